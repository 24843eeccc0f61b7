"""The summary fold's life: load, fold, save, forget. What summaries mean is in tests/property/test_metric_folds.py."""

import struct
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from runstream.events.encoding import encode_frame, encode_rows
from runstream.events.frame import decode_frame
from runstream_model.columns import Coded, ColumnData
from runstream_model.failures import FoldError, InvalidState, StateNotLoaded
from runstream_model.points import Accepted, PointBatch, collect
from runstream_model.summaries import SummaryFold

NO_ROWS = pa.table({"run": pa.array([], pa.string()), "metric": pa.array([], pa.string())})


def batch(values: dict[str, dict[str, float]], offset: int = 0, step: int = 0) -> PointBatch:
    """One row a run."""
    frames = []
    for run, row in values.items():
        columns = struct.pack(f"<qq{len(row)}d", step, 1_000_000, *row.values())
        group = encode_rows("\n".join(row).encode(), 1, columns, 0)
        frame = decode_frame(encode_frame("ab" * 16, run, offset, offset + 1, b"", [group]))
        frames.append(Accepted(2, offset, frame, ((offset, offset + 1),)))
    return collect(frames)[0]


def new_fold(*runs: str) -> SummaryFold:
    fold = SummaryFold()
    fold.load(set(runs), NO_ROWS)
    return fold


def changed(fold: SummaryFold) -> dict[tuple[str, str], dict[str, Any]]:
    columns, count = fold.changed_columns()
    rows = [{name: data[i] for name, data in columns.items() if isinstance(data, np.ndarray)} for i in range(count)]
    runs, metrics = columns["run"], columns["metric"]
    assert isinstance(runs, Coded)
    assert isinstance(metrics, Coded)
    keys = [
        (runs.dictionary[run], metrics.dictionary[metric])
        for run, metric in zip(runs.codes, metrics.codes, strict=True)
    ]
    assert keys == sorted(keys)
    return dict(zip(keys, rows, strict=True))


def test_a_run_is_loaded_before_it_is_folded() -> None:
    fold = new_fold("known")
    points = batch({"known": {"m": 1.0}, "other": {"m": 2.0}})
    assert fold.unknown_runs(points) == {"other"}
    with pytest.raises(StateNotLoaded, match="other"):
        fold.fold(points)
    assert changed(fold) == {}


def test_only_what_changed_is_handed_over_until_it_is_saved() -> None:
    fold = new_fold("a", "b")
    fold.fold(batch({"a": {"m": 1.0, "n": 2.0}, "b": {"m": 3.0}}, 0))
    assert set(changed(fold)) == {("a", "m"), ("a", "n"), ("b", "m")}
    fold.fold(batch({"a": {"n": 5.0}}, 1))
    assert len(changed(fold)) == 3, "nothing was saved: all of it comes again"
    fold.fold(batch({"b": {"m": 7.0}}, 2))
    fold.mark_saved()
    rest = changed(fold)
    assert set(rest) == {("b", "m")}, "it changed after what was saved had been handed over"
    assert (rest["b", "m"]["total"], rest["b", "m"]["count"], rest["b", "m"]["offset"]) == (10.0, 2, 2)
    fold.mark_saved()
    assert changed(fold) == {}


def test_offset_is_that_of_the_series_last_record() -> None:
    fold = new_fold("a")
    fold.fold(batch({"a": {"m": 1.0, "n": 2.0}}, 3))
    fold.fold(batch({"a": {"n": 2.0}}, 4))
    rows = changed(fold)
    assert {key: (row["part"], row["offset"]) for key, row in rows.items()} == {("a", "m"): (2, 3), ("a", "n"): (2, 4)}


def test_forget_frees_slots_and_refuses_to_lose_changes() -> None:
    fold = new_fold("a", "b")
    fold.fold(batch({"a": {"m": 1.0}, "b": {"m": 1.0, "n": 1.0}}))
    with pytest.raises(FoldError, match="not saved"):
        fold.forget({"a"})
    fold.changed_columns()
    fold.mark_saved()
    fold.forget({"b", "never seen"})
    assert (fold.runs_in_memory, fold.series_in_memory) == (1, 1)
    fold.load({"c"}, NO_ROWS)
    fold.fold(batch({"c": {"x": -4.0, "y": 9.0}}, 5))
    assert fold.series_in_memory == 3
    rows = changed(fold)
    assert (rows["c", "x"]["total"], rows["c", "x"]["maximum"], rows["c", "x"]["count"]) == (-4.0, -4.0, 1)
    assert fold.unknown_runs(batch({"b": {"m": 1.0}})) == {"b"}


def test_names_of_forgotten_metrics_are_given_up() -> None:
    fold = new_fold("stays")
    fold.fold(batch({"stays": {"m": 1.0}}))
    fold.fold(batch({"stays": {"k": 2.0}}))
    for number in range(11):
        run = f"run-{number}"
        fold.load({run}, NO_ROWS)
        fold.fold(batch({run: {f"metric-{number}-{at}": 1.0 for at in range(1_000)} | {"m": 2.0}}, number))
        fold.changed_columns()
        fold.mark_saved()
        fold.forget({run})
    assert len(fold._slots._metric_names) < 10_000, "11,002 names were used"
    fold.fold(batch({"stays": {"m": 1.0, "k": 3.0}}, 99))
    assert {key: row["total"] for key, row in changed(fold).items()} == {("stays", "m"): 2.0, ("stays", "k"): 5.0}


def test_a_run_may_change_its_metrics_at_every_row() -> None:
    fold = new_fold("a")
    for number in range(40):
        fold.fold(batch({"a": {f"m{number % 20}": 1.0, f"n{number}": 2.0}}, number, number))
    rows = changed(fold)
    assert len(rows) == 60
    assert all(rows["a", f"m{i}"]["count"] == 2 for i in range(20))
    assert len(fold._slots.runs["a"].by_schema) <= 16


def test_refuses_a_stored_sum_that_no_fold_wrote() -> None:
    fold = new_fold("a")
    fold.fold(batch({"a": {"m": 1.5}}))
    columns, _ = fold.changed_columns()
    data: dict[str, ColumnData] = {name: one for name, one in columns.items() if isinstance(one, np.ndarray)}
    data |= {"run": ["a"], "metric": ["m"], "total_digits": [[2**40]]}
    with pytest.raises(InvalidState, match="rebuild"):
        SummaryFold().load({"a"}, pa.table(data))
