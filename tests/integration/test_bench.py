"""The benchmarks run, in sizes that take seconds: their figures mean nothing here, their checks do."""

import io
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench import comet, freshness, ingest, live, log_calls, processes, reads
from bench.comet_ingest import Written
from bench.comet_reads import Curves, Queried
from bench.comet_started import client_python
from bench.processes import Failed, wait_until
from bench.report import show
from bench.shapes import FULL_SPEED, MANY_RUNS, Load, scaled, value_rows

from kit.stores import place_tables


@pytest.fixture(autouse=True)
def servers_find_their_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    start = processes.Child.__init__

    def started(self: processes.Child, command: Sequence[str], **options: Any) -> None:
        if "--data-dir" in command:
            place_tables(Path(command[command.index("--data-dir") + 1]))
        start(self, command, **options)

    monkeypatch.setattr(processes.Child, "__init__", started)


def silent(_: str) -> None:
    pass


def figures(found: Any) -> list[float]:
    """All numbers of a result."""
    match found:
        case dict():
            return [number for value in found.values() for number in figures(value)]
        case list() | tuple():
            return [number for value in found for number in figures(value)]
        case int() | float():
            return [float(found)]
        case _:
            return []


def shown(part: str, found: Any) -> str:
    out = io.StringIO()
    show({part: found}, Console(file=out, width=200))
    return out.getvalue()


def test_calls_of_log_beside_the_floor_and_a_peer_that_is_not_there() -> None:
    found = log_calls.measure(log_calls.Plan(2_000, 1.0, 1, (3,), ("aim",)), silent)["3"]
    names = {"floor", "runstream, server up", "runstream, server slow", "runstream, server absent"}
    assert names <= found["trackers"].keys()
    assert found["trackers"].keys() | found["left_out"].keys() == names | {"aim"}
    assert all(found["trackers"][name]["calls"] == 2_000 for name in names)
    ours = found["trackers"]["runstream, server up"]
    assert 0 < ours["timer_us"] <= ours["p50_us"] <= ours["p99_us"] <= ours["p999_us"] <= ours["most_us"]
    assert "server slow" in shown("log", {"3": found})


@pytest.mark.parametrize(
    ("load", "by_stages"),
    [(scaled(FULL_SPEED, 300, 2), False), (replace(scaled(MANY_RUNS, 3, 12), processes=2), True)],
    ids=["full speed", "many runs, by stages"],
)
def test_ingest_beside_the_raw_insert(load: Load, by_stages: bool) -> None:
    found = ingest.measure_load(load, 1, by_stages, silent)
    (turn,) = found["turns"]
    assert turn["whole"]["points"] == turn["raw"]["points"] == found["sizes"]["points"] == load.points
    stages = found["stages"]
    assert [name for name in stages if stages[name]["points"] != load.points] == []
    assert len(stages) == (4 if by_stages else 0)
    assert all(math.isfinite(number) and number >= 0 for number in figures(found))
    assert load.name in shown("ingest", {"a": found})


def test_reads_give_what_the_engine_alone_gives() -> None:
    found = reads.measure(reads.Plan(2_000, 300_000, 3, 500, 300, 1, 1), silent)
    assert [name for name in ("full series", "view", "panel") if not found[name]["same"]] == []
    assert found["full series"]["rows"] == 2_000
    assert found["panel"]["rows"] == 3 * 10 * 500
    assert found["view"]["equals_scan"]
    assert found["list of runs"]["same"]
    assert "equal to the scan: True" in shown("reads", found)


def test_comets_client_and_the_other_ways_find_what_the_engine_finds() -> None:
    try:
        client_python()
    except Failed as error:
        if os.environ.get("RUNSTREAM_REQUIRE_CLIENTS") == "1":
            raise
        pytest.skip(str(error))
    what = comet.Plan(Curves(2, 600, 1_000, 1, 1), Queried(200, 0.1, 0.05, 1, 1), Written(1, 10, 0.2, 0.5, 300, 1))
    found = comet.measure(what, silent)
    plan = {**found, **found["project"]}
    compared = {name: one["ways"] for name, one in plan.items() if isinstance(one, dict) and "ways" in one}
    assert compared.keys() == {"chart", "chart, native buckets", "chart, full", "curve", "query", "query, few"}
    assert [(name, way) for name, ways in compared.items() for way in ways if ways[way]["same"] is False] == []
    assert [name for name, ways in compared.items() if not any(ways[way]["same"] for way in ways)] == []
    assert found["chart, full"]["found"] == 2 * 10 * 600
    assert found["curve"]["found"] == 1_000
    few = found["project"]["query, few"]
    # Two requests, and one more for every experiment that was found: the client's own way.
    assert few["ways"]["comet_ml"]["requests"] == 2 + few["found"] > 2
    live = found["live"]
    assert live["missing"] == live["rest"]["missing"] == 0 < live["points_per_s"]
    assert "0 missing" in shown("comet", found)


def test_freshness_waits_for_each_row() -> None:
    found = freshness.measure(3, silent)
    assert 0 < found["p50_ms"] <= found["p99_ms"] <= found["most_ms"]
    assert "p50" in shown("freshness", found)


def test_live_streams_tell_each_row_and_stand_beside_the_ingest() -> None:
    latency = live.measure_latency(2, silent)
    what = live.Plan(2, scaled(FULL_SPEED, 200, runs=2), streams=3, turns=1)
    found = live.beside(what, True, "curves of their own", silent)
    (turn,) = found["turns"]
    assert turn["beside"]["tails"] >= turn["without"]["tails"] == 0
    assert turn["beside"]["points"] == turn["without"]["points"] == 2 * 10 * 200
    assert 0 < latency["p50_ms"] <= latency["p95_ms"] <= latency["most_ms"]
    assert "looked to told" in shown("live", {"latency": latency, "ingest": {"curves of their own": found}})


def test_values_are_what_training_logs_and_the_same_each_time() -> None:
    load = scaled(FULL_SPEED, 30)
    rows = value_rows(load, 1)
    assert rows == value_rows(load, 1) != value_rows(load, 2)
    assert len(rows) == load.pool
    assert all(list(row) == load.names() for row in rows)


def test_waiting_ends_with_what_it_waited_for() -> None:
    with pytest.raises(Failed, match="the moon: not within 0 s"):
        wait_until(lambda: False, "the moon", 0.01, timeout_s=0.02)
