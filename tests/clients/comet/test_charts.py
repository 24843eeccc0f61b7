"""`get_metrics_for_chart`: curves and parameters of several experiments in one request, whole or sampled."""

import math
from typing import Any

import pytest

from kit.comet.logged import DIP_STEP, LONG_STEPS, ODD_NAME, ODD_RUN, ODD_VALUES, SPIKE_STEP, long_value
from kit.comet.processes import Ask, Logged


@pytest.fixture(scope="module")
def charts(ask: Ask, logged: Logged) -> dict[str, Any]:
    long, odd = logged.runs["long"], logged.runs[ODD_RUN]
    requested = f"[{long!r}, {odd!r}, '{'0' * 32}'], ['wave', 'even', {ODD_NAME!r}, 'none']"
    return ask(
        {
            "full": f"api.get_metrics_for_chart({requested}, ['lr', 'big', 'nan', 'missing'], full=True)",
            "sampled": f"api.get_metrics_for_chart({requested})",
            "aligned": f"api.get_metrics_for_chart([{long!r}], ['wave', 'even'], independent=False, full=True)",
            "nothing": f"api.get_metrics_for_chart([{long!r}], ['none'])",
            "no metrics": f"api.get_metrics_for_chart([{long!r}], [])",
        }
    )


def curves(chart: dict[str, Any]) -> dict[str, Any]:
    return {metric["metricName"]: metric for metric in chart["metrics"]}


def test_full_curves_have_every_point(charts: dict[str, Any], logged: Logged) -> None:
    full = charts["full"]
    assert list(full) == [logged.runs["long"], logged.runs[ODD_RUN]], "an unknown experiment is left out"
    long = full[logged.runs["long"]]
    assert long["experiment_key"] == long["experimentKey"] == logged.runs["long"]
    assert (long["experimentName"], long["epochs"]) == ("long", None)
    found = curves(long)
    assert set(found) == {"wave", "even"}
    wave = found["wave"]
    assert wave["steps"] == list(range(LONG_STEPS))
    assert wave["values"] == [long_value(step) for step in range(LONG_STEPS)]
    assert found["even"]["steps"] == [0, 1000, 2000, 3000, 4000]
    for metric in found.values():
        assert {len(metric[name]) for name in ("values", "steps", "epochs", "timestamps", "durations")} == {
            len(metric["steps"])
        }
        starts = {at - after for at, after in zip(metric["timestamps"], metric["durations"], strict=True)}
        assert len(starts) == 1, "durations count from the run's start"
        assert min(metric["durations"]) >= 0
    assert long["params"] == {"lr": 0.5, "big": None, "nan": None, "missing": None}


def test_values_that_json_has_no_word_for(charts: dict[str, Any], logged: Logged) -> None:
    odd = charts["full"][logged.runs[ODD_RUN]]
    values = curves(odd)[ODD_NAME]["values"]
    assert values[:3] == ["NaN", "Infinity", "-Infinity"], "its JSON reader refuses bare ones; float() takes these"
    assert values[3:] == ODD_VALUES[3:]
    assert math.copysign(1, values[7]) == -1
    assert odd["params"] == {"lr": None, "big": 2**53 + 1, "nan": "NaN", "missing": None}


def test_samples_are_points_of_the_curve_with_its_extremes(charts: dict[str, Any], logged: Logged) -> None:
    long = charts["sampled"][logged.runs["long"]]
    assert long["params"] is None, "none were asked for"
    wave = curves(long)["wave"]
    assert 250 <= len(wave["steps"]) <= 500
    assert wave["steps"] == sorted(set(wave["steps"]))
    assert wave["values"] == [long_value(step) for step in wave["steps"]], "real points, no means"
    assert {0, SPIKE_STEP, DIP_STEP, LONG_STEPS - 1} <= set(wave["steps"])
    gaps = [after - before for before, after in zip(wave["steps"], wave["steps"][1:], strict=False)]
    assert max(gaps) <= 2 * LONG_STEPS / 125
    assert curves(long)["even"] == curves(charts["full"][logged.runs["long"]])["even"], "a short one is whole"


def test_curves_that_are_not_independent_share_their_steps(charts: dict[str, Any], logged: Logged) -> None:
    long = charts["aligned"][logged.runs["long"]]
    found = curves(long)
    assert long["steps"] == list(range(LONG_STEPS))
    assert found["wave"]["steps"] == found["even"]["steps"] == long["steps"]
    assert [value for value in found["even"]["values"] if value is not None] == [0.0, 500.0, 1000.0, 1500.0, 2000.0]
    assert found["even"]["values"][1] is found["even"]["timestamps"][1] is found["even"]["durations"][1] is None


def test_a_chart_of_nothing(charts: dict[str, Any], logged: Logged) -> None:
    assert charts["nothing"][logged.runs["long"]]["metrics"] == []
    assert charts["no metrics"] == []
