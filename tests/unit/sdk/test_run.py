"""A run in one process: what its methods write, and that none of them raises."""

import argparse
import dataclasses
import hashlib
import io
import json
import math
import os
import pickle
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import runstream as rs
from runstream.client.run import Run
from runstream.errors import Invalid, InvalidSetting, Unusable
from runstream.events.control import decode_event

Read = Callable[[Path], Any]


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., Run]:
    def begin(**arguments: Any) -> Run:
        defaults = {
            "mode": "offline",
            "dir": tmp_path / "spool",
            "capture_console": False,
            "capture_code": False,
            "system_metrics_s": 0,
        }
        return rs.init(**{**defaults, **arguments})

    return begin


@pytest.fixture
def written(read: Read) -> Callable[[Run], Any]:
    def look(run: Run) -> Any:
        assert run.spool_folder is not None
        return read(run.spool_folder)

    return look


def test_a_run_from_beginning_to_end(start: Any, written: Any) -> None:
    run = start(
        project="digits", name="mlp-3", experiment="sweep", config={"lr": 1e-3, "net": {"width": 64}}, tags=["a"]
    )
    for step in range(100):
        run.log({"loss": 1 / (step + 1), "acc": step}, step=step)
    run.log_other("note", "fine")
    run.add_tags("b", ["c", "b"])
    run.remove_tags("a")
    run.rename("mlp-4")
    run.notes("long text")
    run.finish()
    found = written(run)
    assert [row[2] for row in found.rows] == list(range(100))
    types = [event["type"] for _, event in found.events if event["type"] != "environment_captured.v1"]
    assert types[:3] == ["run_started.v1", "parameters_logged.v1", "tags_added.v1"]
    assert types[-1] == "run_finished.v1"
    started = found.events[0][1]
    assert (started["workspace"], started["project"], started["experiment"]) == ("default", "digits", "sweep")
    assert (started["name"], started["resumed"], started["pid"]) == ("mlp-3", False, os.getpid())
    assert found.of_type("parameters_logged.v1")[0]["values"] == {"lr": 1e-3, "net.width": 64}
    assert [event["tags"] for event in found.of_type("tags_added.v1")] == [["a"], ["b", "c"]]
    assert found.of_type("tags_removed.v1")[0]["tags"] == ["a"]
    assert found.of_type("others_logged.v1")[0]["values"] == {"note": "fine"}
    assert found.of_type("run_renamed.v1")[0]["name"] == "mlp-4"
    assert found.of_type("run_notes_set.v1")[0]["notes"] == "long text"
    for _, event in found.events:
        decode_event(json.dumps(event))


def test_run_ids_sort_by_time(start: Any) -> None:
    ids = [start().run_id for _ in range(3)]
    assert len(set(ids)) == 3
    for run_id in ids:
        assert len(run_id) == 32
        assert run_id[12] == "7"
        assert abs(int(run_id[:12], 16) / 1000 - time.time()) < 60


def test_two_writers_of_one_run(start: Any, written: Any) -> None:
    first, second = start(run_id="shared.run", rank=0), start(run_id="shared.run", rank=1)
    first.log({"a": 1})
    second.log({"a": 2})
    assert first.spool_folder != second.spool_folder
    assert [written(run).events[0][1]["rank"] for run in (first, second)] == [0, 1]
    assert written(first).values("a") == [1]


def test_resuming_counts_steps_from_where_it_was_told(start: Any, written: Any) -> None:
    first = start(run_id="r1")
    first.finish()
    run = start(run_id="r1", resume="must", resume_from_step=4000)
    run.log({"a": 1})
    run.log({"a": 1})
    found = written(run)
    assert [row[2] for row in found.rows] == [4000, 4001]
    assert found.events[0][1]["resumed"] is True
    assert found.events[0][1]["resumed_at_step"] == 4000


def test_a_group_is_given_at_the_start(start: Any, written: Any) -> None:
    run = start(group="sweep-7", job_type="train")
    assert (run.group, run.job_type) == ("sweep-7", "train")
    (started,) = written(run).of_type("run_started.v1")
    assert (started["group"], started["job_type"]) == ("sweep-7", "train")
    (bare,) = written(start(group="")).of_type("run_started.v1")
    assert not {"group", "job_type"} & {name for name, value in bare.items() if value}


def test_parameters_of_every_kind(start: Any, written: Any) -> None:
    @dataclasses.dataclass
    class Optimizer:
        lr: float
        betas: tuple[float, float]

    run = start()
    run.log_params({"opt": Optimizer(0.1, (0.9, 0.99)), "none": None, "nan": math.nan, 3: "int key"})
    run.log_params(argparse.Namespace(seed=1, path=Path("/data")))
    run.config({"np": np.float64(1.5), "array": np.array(2), "set": {2, 1}, "huge": "x" * 400_000})
    values: dict[str, Any] = {}
    for event in written(run).of_type("parameters_logged.v1"):
        values |= event["values"]
    assert math.isnan(values.pop("nan"))
    assert values.pop("huge").startswith('"xxx')
    assert values == {
        "opt.lr": 0.1,
        "opt.betas": [0.9, 0.99],
        "none": None,
        "3": "int key",
        "seed": 1,
        "path": "/data",
        "np": 1.5,
        "array": 2,
        "set": [1, 2],
    }


def test_many_parameters_are_several_events(start: Any, written: Any) -> None:
    run = start()
    run.log_params({f"p{i}": "v" * 100 for i in range(5000)})
    events = written(run).of_type("parameters_logged.v1")
    assert len(events) > 1
    assert sum(len(event["values"]) for event in events) == 5000


def test_assets_are_copied_before_it_returns(start: Any, written: Any, tmp_path: Path) -> None:
    run = start()
    path = tmp_path / "confusion.png"
    path.write_bytes(b"png" * 1000)
    ids = [
        run.log_asset(path, step=3, metadata={"a": np.int64(1)}),
        run.log_asset(b"weights", name="model.pt"),
        run.log_asset(io.BytesIO(b"x,y\n"), name="t.csv", kind="predictions"),
        run.log_asset(io.StringIO("text é"), name="a.txt"),
        run.log_text("prompt", "hello"),
    ]
    path.unlink()
    events = written(run).of_type("asset_logged.v1")
    assert [event["asset_id"] for event in events] == ids
    assert [event["kind"] for event in events] == ["image", "model", "predictions", "text", "text"]
    assert [event["name"] for event in events] == ["confusion.png", "model.pt", "t.csv", "a.txt", "prompt"]
    assert (events[0]["step"], events[0]["metadata"], events[0]["content_type"]) == (3, {"a": 1}, "image/png")
    for event, data in zip(events, [b"png" * 1000, b"weights", b"x,y\n", "text é".encode(), b"hello"], strict=True):
        assert event["sha256"] == hashlib.sha256(data).hexdigest()
        assert event["size_bytes"] == len(data)
        assert (run.spool_folder / "assets" / event["sha256"]).read_bytes() == data
    assert len(list((run.spool_folder / "assets").iterdir())) == 5, "and nothing else"


def test_an_open_file_stays_open(start: Any, tmp_path: Path) -> None:
    run = start()
    (tmp_path / "x.bin").write_bytes(b"abcdef")
    with (tmp_path / "x.bin").open("rb") as file:
        file.read(2)
        run.log_asset(file)
        assert not file.closed
    assert {path.read_bytes() for path in (run.spool_folder / "assets").iterdir()} == {b"cdef"}


def test_nothing_raises(start: Any, written: Any, caplog: pytest.LogCaptureFixture) -> None:
    run = start()
    attempts: list[tuple[str, Callable[[], Any]]] = [
        ("log_asset", lambda: run.log_asset("/nowhere/at/all")),
        ("log_asset", lambda: run.log_asset(3)),
        ("log_asset", lambda: run.log_asset(b"x", name="n" * 2000)),
        ("log_image", lambda: run.log_image(object())),
        ("log_image", lambda: run.log_image(np.zeros((5, 5, 7)))),
        ("log_params", lambda: run.log_params(3)),
        ("log_others", lambda: run.log_others(None)),
        ("add_tags", lambda: run.add_tags("")),
        ("add_tags", lambda: run.add_tags(3)),
        ("remove_tags", lambda: run.remove_tags("x" * 201)),
        ("rename", lambda: run.rename("")),
        ("rename", lambda: run.rename(None)),
    ]
    for name, attempt in attempts:
        caplog.clear()
        assert attempt() is None
        assert f"{name}() of run {run.run_id}" in caplog.text
        assert "left out" in caplog.text
    run.log_other("odd", object())
    run.notes("lone \ud800 surrogate")
    found = written(run)
    own = [event["type"] for _, event in found.events if event["type"] != "environment_captured.v1"]
    assert own == ["run_started.v1", "others_logged.v1", "run_notes_set.v1"]
    assert not list((run.spool_folder / "assets").iterdir())


def test_after_finish_nothing_raises_either(start: Any, written: Any, caplog: pytest.LogCaptureFixture) -> None:
    run = start()
    run.finish("killed", message="by hand")
    assert run.finish("failed") is True
    run.log({"a": 1})
    assert run.log_asset(b"x") is None
    run.log_other("a", 1)
    found = written(run)
    assert found.rows == []
    assert [(e["status"], e["message"]) for e in found.of_type("run_finished.v1")] == [("killed", "by hand")]
    assert "is finished" in caplog.text


@pytest.mark.parametrize(
    ("error", "status"),
    [(None, "finished"), (ValueError("boo"), "failed"), (KeyboardInterrupt(), "killed"), (SystemExit(0), "finished")],
)
def test_with_says_how_it_ended(
    error: BaseException | None, status: str, start: Callable[..., Run], written: Any
) -> None:
    def work() -> Run:
        with start() as run:
            runs.append(run)
            if error is not None:
                raise error
        return run

    runs: list[Run] = []
    if error is None:
        work()
    else:
        with pytest.raises(type(error)):
            work()
    (end,) = written(runs[0]).of_type("run_finished.v1")
    assert end["status"] == status
    if status == "failed":
        assert end["message"] == "ValueError: boo"
        assert "raise error" in end["traceback"]


def test_images(start: Any, written: Any) -> None:
    from matplotlib.figure import Figure
    from PIL import Image

    run = start()
    rgb = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    figure = Figure()
    figure.subplots().plot([1, 2])
    images = [rgb, rgb.transpose(2, 0, 1)[:, :, :5], rgb[:, :, 0], rgb / 255, rgb > 9, Image.fromarray(rgb), figure]
    for image in images:
        assert run.log_image(image, "x.png", step=1) is not None
    events = written(run).of_type("asset_logged.v1")
    assert {(event["kind"], event["content_type"], event["step"]) for event in events} == {("image", "image/png", 1)}
    decoded = [np.asarray(Image.open(run.spool_folder / "assets" / event["sha256"])) for event in events]
    assert np.array_equal(decoded[0], rgb)
    assert np.array_equal(decoded[1], rgb[:, :5])
    assert np.array_equal(decoded[2], rgb[:, :, 0])
    assert np.array_equal(decoded[3], rgb)
    assert np.array_equal(decoded[4], (rgb > 9) * 255)
    assert np.array_equal(decoded[5], rgb)
    assert decoded[6].ndim == 3


def test_disabled_keeps_nothing(start: Any, tmp_path: Path) -> None:
    run = start(mode="disabled", config={"a": 1}, tags=["x"])
    run.log({"a": 1})
    assert run.log_asset(b"x") is None
    assert run.log_text("a", "b") is None
    run.log_other("a", 1)
    assert run.finish() is True
    assert not (tmp_path / "spool").exists()
    assert rs.active_run() is None


def test_module_level_functions_use_the_active_run(start: Callable[..., Run], written: Any) -> None:
    outer, inner = start(), start()
    rs.log({"a": 1}, step=4)
    rs.log_params({"p": 1})
    rs.log_other("o", 1)
    rs.add_tags("t")
    rs.remove_tags("t")
    rs.log_text("n", "x")
    rs.log_asset(b"x", name="y")
    rs.log_image(np.zeros((2, 2)))
    rs.log_others({"q": 2})
    assert rs.active_run() is inner
    rs.finish()
    assert rs.active_run() is outer
    assert written(outer).rows == []
    assert [row[2] for row in written(inner).rows] == [4]
    own = [event for _, event in written(inner).events if event["type"] != "environment_captured.v1"]
    assert len(own) == 10
    outer.finish()
    assert rs.finish() is True
    rs.log({"a": 1})  # warns, and does nothing


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"run_id": "a/b"}, Invalid, "run id 'a/b'"),
        ({"experiment": "a/b"}, Invalid, "experiment 'a/b'"),
        ({"name": "n" * 300}, Invalid, "argument name"),
        ({"group": "g" * 251}, Invalid, "argument group = 'ggg.*at most 250 characters"),
        ({"job_type": 7}, Invalid, "argument job_type = 7 of init cannot be used"),
        ({"rank": "first"}, Invalid, "argument rank"),
        ({"resume": "maybe"}, Invalid, "'allow', 'must', 'never'"),
        ({"resume": "must"}, Invalid, "give its run_id"),
        ({"tags": 5}, Invalid, "give a list"),
        ({"tags": [1]}, Invalid, "tag 1"),
        ({"config": 3}, Invalid, "give a dict"),
        ({"project": ""}, InvalidSetting, "argument project"),
        ({"mode": "on"}, InvalidSetting, "argument mode"),
        ({"dir": "/proc/nowhere"}, Unusable, "argument dir"),
    ],
)
def test_init_says_what_is_wrong(arguments: dict[str, Any], error: type[Exception], words: str, start: Any) -> None:
    with pytest.raises(error, match=words):
        start(**arguments)
    assert rs.active_run() is None


def test_a_pickled_run_is_joined(start: Any, written: Any) -> None:
    run = start(api_key="very-secret", experiment="e")
    data = pickle.dumps(run)
    assert b"very-secret" not in data
    other = pickle.loads(data)
    assert other.run_id == run.run_id
    assert other.spool_folder is None, "nothing is opened before it is used"
    other.log({"a": 1})
    run.log({"a": 2})
    assert other.spool_folder != run.spool_folder
    from runstream.spool.format import WriterInfo

    assert other.spool_folder is not None
    assert WriterInfo.read(other.spool_folder).api_key == "very-secret"
    assert written(other).values("a") == [1]
    assert written(run).values("a") == [2]
    assert written(other).events[0][1]["experiment"] == "e"
    other.finish()


def test_offline_says_how_to_sync(start: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run = start()
    assert run.finish() is False
    assert "runstream sync" in capsys.readouterr().err


def test_names_of_the_package() -> None:
    assert set(rs.__all__) <= set(dir(rs))
    for name in rs.__all__:
        if name == "API":
            continue
        assert getattr(rs, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        rs.nothing  # noqa: B018
    assert rs.init is sys.modules["runstream.client.init"].init


def test_the_version_is_that_of_the_project() -> None:
    import tomllib

    path = Path(rs.__file__).parents[2] / "pyproject.toml"
    assert tomllib.loads(path.read_text())["project"]["version"] == rs.__version__
