"""Responses as tables: a header, and rows of cells in CSV (RFC 4180). Pure."""

import csv
import io
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import to_json

from runstream_query.chart_responses import Charts, GroupedCharts
from runstream_query.responses import Curve, Envelope, RunRow, Series, Summaries, Summary

#: What spreadsheets take for the beginning of a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
#: Rows that one call makes: a thread holds the interpreter for some milliseconds.
_ROWS_AT_ONCE: Final = 2_000


@dataclass(frozen=True, slots=True)
class Rows:
    """A table. The cells of `rows` are values as JSON has them, before they are texts."""

    header: Sequence[str]
    rows: Iterable[Sequence[Any]]


def csv_pieces(rows: Iterable[Sequence[Any]], *, exact: bool) -> Iterator[bytes]:
    """Return the rows as CSV in UTF-8, in pieces. `exact`: texts are as they were logged; otherwise one that a
    spreadsheet would take for a formula has an apostrophe in front."""
    for some in _batched(rows):
        text = io.StringIO()
        csv.writer(text, lineterminator="\r\n").writerows([cell(value, exact) for value in row] for row in some)
        yield text.getvalue().encode()


def _batched(rows: Iterable[Sequence[Any]]) -> Iterator[list[Sequence[Any]]]:
    left = iter(rows)
    while some := list(itertools.islice(left, _ROWS_AT_ONCE)):
        yield some


def cell(value: Any, exact: bool) -> str:
    """Return the text of a value: numbers as JSON has them, without quotes around NaN and the infinities; lists and
    objects as JSON; nothing for null."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            if math.isfinite(value):
                return repr(value)
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        case int():
            return str(value)
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case str():
            return f"'{value}" if not exact and value.startswith(_FORMULA) else value
        case _:
            return to_json(value, inf_nan_mode="strings").decode()


def rows_of(content: BaseModel) -> Rows:
    """Return the table of a response: a row for each summary, point or bucket."""
    match content:
        case Summaries():
            names = list(Summary.model_fields)
            return Rows(names, ([getattr(one, name) for name in names] for one in content.summaries))
        case Series(envelopes=None):
            return _points(content.curves or [])
        case Series():
            return _envelopes(content.envelopes or [])
        case Charts():
            return _charts(content)
        case GroupedCharts():
            return _groups(content)
        case _:
            raise TypeError(f"{type(content).__name__} has no table")


def run_rows(runs: Iterable[RunRow], columns: Sequence[str]) -> Iterator[list[Any]]:
    """Return the rows of runs: what every run has, then these columns."""
    for one in runs:
        yield [*(getattr(one, name) for name in RUN_HEADER), *(one.columns.get(name) for name in columns)]


RUN_HEADER: Final = tuple(name for name in RunRow.model_fields if name != "columns")


def _points(curves: Sequence[Curve]) -> Rows:
    has_epochs = any(one.epochs is not None for one in curves)
    header = ["run", "metric", "step", "at", "value", "writer", *(["epoch"] if has_epochs else [])]
    lists = ("steps", "at", "values", "writers", *(["epochs"] if has_epochs else []))
    return Rows(header, _of_lists(curves, ("run", "metric"), lists))


def _envelopes(curves: Sequence[Envelope]) -> Rows:
    lists = [name for name in Envelope.model_fields if name not in ("run", "metric")]
    there = [name for name in lists if any(getattr(one, name) is not None for one in curves)] if curves else lists
    return Rows(["run", "metric", *there], _of_lists(curves, ("run", "metric"), there))


def _charts(content: Charts) -> Rows:
    about = ["run", "metric"]
    about += [name for name in ("writer", "rank", "attempt") if any(getattr(one, name) for one in content.series)]
    lists = ("x", "count", "nan_count", "min", "max", "mean")
    return Rows([*about, *lists], _of_lists(content.series, about, lists))


def _groups(content: GroupedCharts) -> Rows:
    fields = list(dict.fromkeys(name for one in content.series for name in one.group))
    lists = ("x", "runs", "mean", "sd", "median", "min", "max")

    def rows() -> Iterator[list[Any]]:
        for one in content.series:
            about = [*(one.group.get(name) for name in fields), one.size, one.metric]
            for values in zip(*(getattr(one, name) for name in lists), strict=True):
                yield [*about, *values]

    return Rows([*fields, "size", "metric", *lists], rows())


def _of_lists(curves: Sequence[Any], about: Sequence[str], lists: Sequence[str]) -> Iterator[list[Any]]:
    for one in curves:
        fixed = [getattr(one, name) for name in about]
        for values in zip(*(getattr(one, name) for name in lists), strict=True):
            yield [*fixed, *values]
