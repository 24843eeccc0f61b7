"""What a notebook shows of lists, runs and curves: escaped, without scripts, and without hiding a spike."""

import math
import re
from datetime import UTC, datetime
from functools import partial
from typing import Any
from xml.etree import ElementTree

import pytest

from runstream.api import ServerUnreachable
from runstream.api.views import notebook
from runstream.api.views.runs import Runs, RunView
from runstream.api.views.series import Curve, Envelope, Series

HOSTILE = "<script>alert(1)</script>"
AT = datetime(2026, 1, 31, 12, tzinfo=UTC)


class Api:
    """Gives a run one curve, or no response."""

    def __init__(self, responses: bool = True) -> None:
        self._responses = responses

    def summaries(self, *_: Any, **__: Any) -> list[Any]:
        if not self._responses:
            raise ServerUnreachable("nobody is there")
        return [type("Summary", (), {"metric": name})() for name in ("loss<", "system/cpu_percent")]

    def series(self, run: str, metrics: list[str], max_points: int, **_: Any) -> list[Envelope]:
        assert metrics == ["loss<"]
        return [envelope(run, metrics[0], [0.0], [1.0])]


def envelope(run: str, metric: str, low: list[float], high: list[float]) -> Envelope:
    places = list(range(len(low)))
    return Envelope(run, metric, places, places, [1] * len(low), [0] * len(low), low, high, low)


def run_view(api: Any, run: str = "r1", **fields: Any) -> RunView:
    given: dict[str, Any] = {
        "workspace": "w",
        "project": "p",
        "experiment": "",
        "name": HOSTILE,
        "status": "finished",
        "message": "",
        "user": "u",
        "host": "h",
        "notes": "",
        "tags": ("a", "b"),
        "created_at": AT,
        "started_at": AT,
        "ended_at": None,
        "updated_at": AT,
        "duration_s": 1.5,
        "archived": False,
        "deleted": False,
        "points_dropped": 0,
    }
    return RunView(api=api, run=run, **{**given, **fields})


def well_formed(html: str) -> ElementTree.Element:
    """The pieces as one tree: raises for whatever is not closed or not escaped."""
    return ElementTree.fromstring(f"<div>{html}</div>")


def points_of(svg: str) -> list[float]:
    """All heights that the line goes to."""
    return [float(height) for pair in re.findall(r"[ML]\d+ ([\d.]+)V([\d.]+)", svg) for height in pair]


def test_a_list_of_runs() -> None:
    runs = Runs([run_view(None, columns={"param.lr": 0.1}), run_view(None, "r2", name="b & c")], more=True)
    html = runs._repr_html_()
    texts = [cell.text for cell in well_formed(html).iter("td")]
    assert texts == [
        *("r1", HOSTILE, "finished", "p", "2026-01-31 12:00:00", "1.5", "0.1"),
        *("r2", "b & c", "finished", "p", "2026-01-31 12:00:00", "1.5", None),
    ]
    assert [cell.text for cell in well_formed(html).iter("th")][-1] == "param.lr"
    assert "<script" not in html
    assert "there are more than the limit" in html


def test_a_long_list_says_what_it_leaves_out() -> None:
    html = Runs([run_view(None, f"r{number}") for number in range(250)])._repr_html_()
    assert len(list(well_formed(html).iter("tr"))) == notebook.MAX_ROWS + 1
    assert "250 rows, 150 more than shown" in html


def test_a_run_with_its_curves() -> None:
    html = run_view(Api(), tags=(HOSTILE,))._repr_html_()
    tree = well_formed(html)
    assert "<script" not in html
    assert "loss<" in [cell.text for cell in tree.iter("td")]
    assert len(list(tree.iter("svg"))) == 1


def test_a_run_whose_server_does_not_answer() -> None:
    html = run_view(Api(responses=False))._repr_html_()
    assert "nobody is there" in html
    assert "r1" in html


def test_no_spike_is_hidden() -> None:
    for at in (0, 1, 54_321, 99_998, 99_999):
        values = [0.0] * 100_000
        values[at] = -7.0
        values[(at + 50_000) % 100_000] = 99.0
        curve = Curve("r", "m", range(100_000), [AT] * 100_000, values)
        html = Series(partial(list, [curve]), lambda: None)._repr_html_()
        texts = [cell.text for cell in well_formed(html).iter("td")]
        assert texts[-3:] == ["-7", "99", "100000"]
        assert (min(points_of(html)), max(points_of(html))) == (2.0, 34.0)
        assert len(html) < 20_000


def test_an_envelope_is_drawn_from_its_lowest_to_its_highest() -> None:
    html = envelope("r", "m", [0.0, -5.0, 0.0], [1.0, 1.0, 10.0])._repr_html_()
    assert points_of(html) == [23.3, 21.2, 21.2, 34.0, 23.3, 2.0], "from each height to the next by the shorter way"


@pytest.mark.parametrize(
    ("values", "strokes"),
    [
        ([], 0),
        ([1.0], 1),
        ([1.0, 1.0], 1),
        ([1.0, math.nan, 2.0], 2),
        ([math.nan], 0),
        ([math.inf, -math.inf, 0.0], 1),
        ([-1.7e308, 1.7e308], 1),
    ],
)
def test_odd_curves(values: list[float], strokes: int) -> None:
    svg = notebook.sparkline(values, values)
    assert svg.count("M") == strokes
    assert all(0 <= height <= 36 for height in points_of(svg))
    well_formed(svg)
