"""Sweeps as training code sees them, where the server is away or says odd things."""

import pickle
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

import runstream
from runstream.errors import Invalid, RunstreamError, Unavailable
from runstream.sweeping import requests, workers
from runstream.sweeping.requests import TrialServer
from runstream.sweeping.sweep import PatientTrials, Sweep, Trial, TrialState

STATE = TrialState(0, {"x": 1}, "r" * 32, "given", None, 1)


def sweep_at(url: str, timeout_s: float = 0.0) -> Sweep:
    return Sweep("s", "w", "p", {}, 3, 3, TrialServer(url, "secret", timeout_s))


class Responses:
    """What a server answers, one after the other; the last one for ever."""

    def __init__(self, *told: "tuple[int, dict[str, Any]] | Exception") -> None:
        self.told = list(told)
        self.sent: list[tuple[str, Mapping[str, Any] | None]] = []

    def __call__(
        self, url: str, key: str | None, path: str, timeout_s: float, limit: int, payload: Mapping[str, Any] | None
    ) -> tuple[int, dict[str, Any]]:
        self.sent.append((path, payload))
        one = self.told.pop(0) if len(self.told) > 1 else self.told[0]
        if isinstance(one, Exception):
            raise one
        return one


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


def answered(monkeypatch: pytest.MonkeyPatch, *told: "tuple[int, dict[str, Any]] | Exception") -> Responses:
    responses = Responses(*told)
    monkeypatch.setattr(requests, "request_json", responses)
    return responses


GIVEN = {"number": 0, "parameters": {"x": 1}, "run": "r", "status": "given", "value": None, "attempt": 1}


def test_a_request_is_repeated_with_its_token(monkeypatch: pytest.MonkeyPatch) -> None:
    responses = answered(monkeypatch, Unavailable("gone"), (503, {"detail": "busy"}), (200, {"trial": GIVEN}))
    trial = sweep_at("http://x", 60.0).ask()
    assert trial is not None
    assert (trial.number, trial["x"], trial.run_id) == (0, 1, "r")
    tokens = {payload["token"] for _, payload in responses.sent if payload is not None}
    assert (len(responses.sent), len(tokens)) == (3, 1)


def test_a_server_that_stays_away_is_told_with_the_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    answered(monkeypatch, Unavailable("http://x cannot be asked"))
    with pytest.raises(Unavailable, match=r"cannot be asked.* Nothing was lost.*timeout_s of sweep, 0 now"):
        sweep_at("http://x").ask()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409])
def test_what_no_repetition_changes_is_raised_at_once(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    responses = answered(monkeypatch, (status, {"detail": "there is no sweep"}))
    with pytest.raises(Invalid, match="there is no sweep"):
        sweep_at("http://x", 60.0).ask()
    assert len(responses.sent) == 1


def test_iterating_ends_when_none_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    answered(monkeypatch, (200, {"trial": GIVEN}), (200, {"trial": GIVEN | {"number": 1}}), (200, {"trial": None}))
    assert [trial.number for trial in sweep_at("http://x")] == [0, 1]


def test_iterating_waits_for_trials_of_others_and_not_for_its_own(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none(*runs: str) -> tuple[int, dict[str, Any]]:
        return 200, {"trial": None, "repeatable": len(runs), "repeatable_runs": list(runs)}

    again = (200, {"trial": GIVEN | {"run": "again"}})
    responses = answered(
        monkeypatch, (200, {"trial": GIVEN}), none("r", "theirs"), none("r", "theirs"), again, none("r", "again")
    )
    with caplog.at_level("WARNING"):
        assert [trial.run_id for trial in sweep_at("http://x")] == ["r", "again"]
    assert len(responses.sent) == 5
    assert caplog.text.count("the sweep 's' waits for 1 that other workers have") == 1


def test_a_worker_waits_for_trials_that_others_may_lose(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    none: dict[str, Any] = {"trial": None, "repeatable_runs": ["theirs"]}
    responses = answered(
        monkeypatch, *[(200, none)] * 4, (200, {"trial": GIVEN}), (200, none), (200, none | {"repeatable_runs": []})
    )
    trials = PatientTrials(sweep_at("http://x"), 600.0)
    assert [trial.number for trial in pickle.loads(pickle.dumps(trials))] == [0]
    tokens = [payload["token"] for _, payload in responses.sent if payload is not None]
    assert [tokens.count(token) for token in dict.fromkeys(tokens)] == [5, 2], "one token for each trial"
    assert pauses == [1.0, 2.0, 4.0, 5.0, 1.0]


@pytest.mark.parametrize("patience_s", [0.0, -1.0])
def test_a_worker_waits_no_longer_than_it_is_told(monkeypatch: pytest.MonkeyPatch, patience_s: float) -> None:
    responses = answered(monkeypatch, (200, {"trial": None, "repeatable_runs": ["theirs"]}))
    assert list(sweep_at("http://x").patient(patience_s)) == []
    assert sweep_at("http://x").ask() is None
    assert len(responses.sent) == 2


@pytest.mark.parametrize(
    "told", [Unavailable("gone"), (503, {}), (403, {"detail": "no"}), (200, {}), ValueError("odd")]
)
def test_whether_to_stop_never_raises(monkeypatch: pytest.MonkeyPatch, told: Any) -> None:
    responses = answered(monkeypatch, told)
    trial = Trial(sweep_at("http://x"), STATE)
    assert [trial.should_stop(every_s=0) for _ in range(3)] == [False] * 3
    assert len(responses.sent) == 3, "it is asked once each time, and not repeated"


def test_whether_to_stop_is_asked_now_and_then_and_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    responses = answered(monkeypatch, (200, {"stop": False, "reason": ""}), (200, {"stop": True, "reason": "worse"}))
    trial = Trial(sweep_at("http://x"), STATE)
    assert [trial.should_stop(every_s=3600) for _ in range(3)] == [False] * 3
    assert len(responses.sent) == 1
    trial = Trial(sweep_at("http://x"), STATE)
    assert [trial.should_stop() for _ in range(3)] == [True] * 3
    assert (trial.stopped, len(responses.sent)) == ("worse", 2)


def test_a_sweep_goes_to_other_processes_and_shows_no_key() -> None:
    sweep = sweep_at("http://x")
    assert pickle.loads(pickle.dumps(sweep)) == sweep
    assert "secret" not in repr(sweep)


def test_work_goes_on_after_a_failure_and_ends_after_some_in_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    done: list[int] = []

    def function(number: int) -> None:
        done.append(number)
        if number in (1, 3, 4, 5):
            raise ValueError(f"at {number}")

    def numbers() -> Iterator[int]:
        yield from range(9)

    with pytest.raises(ValueError, match="at 5"):
        workers.work(numbers(), function, 3)
    assert done == [0, 1, 2, 3, 4, 5]
    assert "ValueError: at 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("statuses", "raised"),
    [
        ([0, 0], None),
        ([0, -9], None),
        ([0, 1, 3], "2 of 3 workers of s gave up, the first is worker 1 with status 1"),
        ([-9, 3], "1 of 2 workers of s gave up, the first is worker 1 with status 3"),
        ([-9, -15], "all 2 workers of s were killed"),
    ],
)
def test_a_worker_that_gave_up_is_no_success(
    statuses: list[int], raised: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    if raised is None:
        workers.check_ends("s", statuses)
    else:
        with pytest.raises(RunstreamError, match=raised):
            workers.check_ends("s", statuses)
    told = caplog.text
    assert [f"worker {number} of s was killed" in told for number in range(len(statuses))] == [
        status < 0 for status in statuses
    ]


def failing(number: int) -> None:
    raise ValueError(f"at {number}")


def test_a_function_that_always_raises_is_raised_of_other_processes() -> None:
    with pytest.raises(RunstreamError, match=r"1 of 1 workers of range\(0, 9\) gave up, .* worker 0 with status 1"):
        workers.work_in_processes(range(9), failing, 1, 3)


def test_what_other_processes_cannot_have_is_told() -> None:
    with pytest.raises(Invalid, match="define it at the top of a module"):
        workers.work_in_processes([], lambda trial: None, 2, 3)
    with pytest.raises(Invalid, match=r"workers = 1000 of Sweep\.run"):
        workers.work_in_processes([], print, 1000, 3)


@pytest.mark.parametrize(
    ("space", "told"), [({"x": [float("nan")]}, "nan in a sweep"), ({"x": {"min": object()}}, "in a sweep cannot")]
)
def test_what_json_cannot_hold_is_refused_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch, space: Any, told: str
) -> None:
    responses = answered(monkeypatch, (200, {}))
    with pytest.raises(Invalid, match=told):
        runstream.sweep("s", space, "loss", url="http://x")
    assert responses.sent == []


@pytest.mark.parametrize(
    "given",
    [{"metric": "loss"}, {"max_trials": 100}, {"goal": "maximize"}, {"retries": 0}, {"early_stop": runstream.ASHA()}],
)
def test_what_is_given_without_a_space_is_not_ignored(monkeypatch: pytest.MonkeyPatch, given: dict[str, Any]) -> None:
    responses = answered(monkeypatch, (200, {}))
    with pytest.raises(Invalid, match=rf"{next(iter(given))} = .* of sweep needs a space"):
        runstream.sweep("s", url="http://x", **given)
    assert responses.sent == []


def test_spaces_may_have_tuples_ranges_and_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    responses = answered(monkeypatch, (200, {"config": {}, "limit": 1, "size": 1}))
    runstream.sweep("s", {"x": (1, 2), "y": range(3)}, "loss", early_stop=runstream.ASHA(2, 4), url="http://x")
    [(_, payload)] = responses.sent
    assert payload is not None
    assert payload["config"] == {
        "space": {"x": [1, 2], "y": [0, 1, 2]},
        "metric": "loss",
        "early_stop": {"rule": "asha", "min_steps": 2, "reduction_factor": 4, "max_steps": None},
    }
