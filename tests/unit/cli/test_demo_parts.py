"""The demo's pieces: what it trains, that a diverging model is logged to its end, and what it counts."""

import math
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

import runstream as rs
from runstream_infra.cli.rows import DrawnCurve
from runstream_infra.demo import training
from runstream_infra.demo.curve import draw_curves
from runstream_infra.demo.reading import METRICS
from runstream_infra.demo.server import _running
from runstream_infra.demo.showing import Counts, logarithm
from runstream_infra.demo.spooled import waiting_points
from runstream_infra.demo.sweeping import _train, environment
from runstream_infra.demo.training import Digits, Diverged, accuracy, fit, scores
from runstream_infra.demo.trials import STEP_METRICS, VALIDATION_METRICS, sweep


class Recorded:
    """Stands for a run: keeps what is logged."""

    def __init__(self) -> None:
        self.points: dict[str, dict[int, float]] = defaultdict(dict)

    def log(self, data: Mapping[str, float], step: int) -> None:
        for name, value in data.items():
            self.points[name][step] = value


@pytest.fixture(scope="module")
def digits() -> Digits:
    return Digits.load()


def test_the_sweep_has_every_pair_and_one_that_diverges() -> None:
    trials = sweep(100)
    assert len({(trial.learning_rate, trial.width, trial.activation) for trial in trials}) == len(trials) == 7
    assert len({trial.name for trial in trials}) == 7
    assert trials[-1].config()["activation"] == "identity"
    assert "name" not in trials[0].config()


def test_training_learns_and_counts_what_it_logs(digits: Digits) -> None:
    run, counters = Recorded(), [0] * 4
    model = fit(sweep(300)[1], digits, run, 1, counters)  # type: ignore[arg-type]
    assert accuracy(model, digits.val_x, digits.val_y) > 0.8
    assert set(run.points) == set(METRICS) == {*STEP_METRICS, *VALIDATION_METRICS}
    assert counters == [0, 0, 300, sum(len(points) for points in run.points.values())]
    assert list(run.points["val/loss"]) == [0, 50, 100, 150, 200, 250, 299]
    mean = np.mean([run.points["train/loss"][step] for step in range(250, 300)])
    assert mean < run.points["train/loss"][0] / 2


def test_our_own_forward_pass_is_the_models(digits: Digits) -> None:
    model = fit(sweep(200)[0], digits, Recorded(), 0, [0, 0])  # type: ignore[arg-type]
    ours = scores(model, digits.val_x)
    assert (ours.argmax(axis=1) == model.predict(digits.val_x)).all()


def test_a_diverging_model_is_logged_up_to_its_nan(digits: Digits) -> None:
    run = Recorded()
    with pytest.raises(Diverged, match=r"diverged at step \d+: Solver produced non-finite"):
        fit(sweep(1000)[-1], digits, run, 0, [0, 0])  # type: ignore[arg-type]
    losses = list(run.points["train/loss"].values())
    assert math.isnan(losses[-1])
    assert losses[-2] > 1e100


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Path]:
    with environment({"RUNSTREAM_DIR": str(tmp_path / "spool"), "RUNSTREAM_MODE": "offline"}):
        yield tmp_path / "spool"


def test_waiting_points_are_those_of_the_demos_metrics_alone(spool: Path) -> None:
    assert waiting_points(spool) == 0
    with rs.init(capture_code=False, system_metrics_s=0) as run:
        for step in range(100):
            run.log({"train/loss": 1.0, "train/accuracy": 0.5, "mine": 3.0}, step=step)
        run.log({"val/loss": 1.0})
        run.log({"system/memory": 1.0})
    assert waiting_points(spool) == 201


def test_the_environment_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMO_A", "before")
    monkeypatch.delenv("DEMO_B", raising=False)
    with environment({"DEMO_A": "in", "DEMO_B": "in"}):
        assert (os.environ["DEMO_A"], os.environ["DEMO_B"]) == ("in", "in")
    assert os.environ["DEMO_A"] == "before"
    assert "DEMO_B" not in os.environ


def test_a_trial_has_the_environment_of_its_own_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is forked from a process that may have begun in an earlier sweep."""
    seen = []
    monkeypatch.setattr(training, "train", lambda trial, *rest: seen.append((os.environ["DEMO_A"], trial, rest)))
    monkeypatch.setenv("DEMO_A", "of the first")
    trial = sweep(1)[0]
    _train({"DEMO_A": "of the second"}, trial, "sweep-2", 0)
    assert seen == [("of the second", trial, ("sweep-2", 0))]


@pytest.mark.parametrize("counts", [Counts(5, 4, 5), Counts(5, 5, 4), Counts(4, 5, 5)])
def test_counts_have_to_agree(counts: Counts) -> None:
    assert not counts.agree
    assert Counts(5, 5, 5).agree


def test_a_curve_over_many_orders_keeps_what_has_no_logarithm() -> None:
    assert [logarithm(value) for value in (100.0, math.inf, 0.0)] == [2.0, math.inf, -math.inf]
    assert math.isnan(logarithm(math.nan))
    assert math.isnan(logarithm(-1.0))


def test_a_picture_is_drawn_of_curves_that_are_no_numbers(tmp_path: Path) -> None:
    nan = math.nan
    curves = {
        "fine": DrawnCurve([0, 1], [1.0, 0.5], [0.5, 0.2], [2.0, 0.8]),
        "diverged": DrawnCurve([0, 1, 2], [1.0, 1e300, nan], [1.0, 1e299, nan], [1.0, math.inf, nan]),
        "nothing": DrawnCurve([0], [nan], [nan], [nan]),
    }
    draw_curves(curves, "loss", tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.sockets
def test_what_an_ended_demo_left_behind_is_not_taken_for_a_server(tmp_path: Path) -> None:
    left = tmp_path / "server.json"
    assert _running(left) is None
    left.write_text('{"url": "http://127.0.0.1:1", "pid": 1}')
    assert _running(left) is None
    left.write_text("half a docu")
    assert _running(left) is None
