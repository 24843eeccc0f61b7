"""Pages of runs equal plain Python, whatever old states lie beside the newest, and however small the windows are."""

import asyncio
import math
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.examples import examples
from kit.oracles.filter_trees import NOW_US, expressions, logged, metrics, random_run, texts, times
from kit.oracles.filters import Run, duration_us, holds
from kit.recorded.stored_runs import history, insert, rows_of_run, writer_row
from kit.stores import open_migrated
from runstream_model.attributes import number_of, text_of
from runstream_processors.store.chdb import ChdbStore
from runstream_query.filters import And, Compare, Expression, Field, Not, OneOf, Or, evaluation, print_filter
from runstream_query.filters.evaluation import Facts, LoggedValue, conjuncts, is_of_columns, texts_of
from runstream_query.repositories import Repositories
from runstream_query.repositories import runs as run_repository
from runstream_query.repositories.cursors import Cursor
from runstream_query.repositories.ordering import in_order, is_behind, terms_of
from runstream_query.repositories.questions import Clock, Question, SortKey
from runstream_service.access import EVERYTHING
from runstream_service.store import QueryClass

pytestmark = pytest.mark.store

#: A writer that was heard of now is silent already: so runs are lost, and their duration still ends now.
CLOCK = Clock(NOW_US, -1)

sort_fields = st.one_of(
    metrics,
    logged,
    texts,
    times,
    st.sampled_from([Field("id"), Field("status"), Field("duration"), Field("archived")]),
)
sorts = st.lists(st.builds(SortKey, sort_fields, st.booleans()), min_size=1, max_size=3).map(tuple)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ChdbStore, list[Run]]]:
    """A store a store in which nothing is merged, and its runs as plain values."""
    random = Random(20260201)
    runs = [random_run(f"run-{number}", random) for number in range(60)]
    pieces = [piece for run in runs for piece in history(run, random)]
    random.shuffle(pieces)
    writers = [writer_row(run) for run in runs if random.random() < 0.5]
    folder = tmp_path_factory.mktemp("store")

    async def opened() -> ChdbStore:
        store = await open_migrated(folder, query_threads=1)
        await store.command("SYSTEM STOP MERGES")
        for begin in range(0, len(pieces), 40):
            await insert(store, pieces[begin : begin + 40])
        await insert(store, [{"watermark_states": writers}])
        return store

    store = asyncio.run(opened())
    silent = {row["key"] for row in writers}
    for run in runs:
        if run.texts["status"] == "running" and run.id in silent:
            run.texts["status"] = "crashed"
    yield store, runs
    asyncio.run(store.close())


def sorted_runs(runs: list[Run], sort: tuple[SortKey, ...]) -> list[Run]:
    """Stable sorts from the last key to the first; the rank, which no direction turns around, after the value."""
    ordered = sorted(runs, key=lambda run: run.id)
    for key in reversed(sort):
        ordered.sort(key=lambda run, key=key: _rank_and_value(run, key.field)[1], reverse=key.descending)  # type: ignore[misc]
        ordered.sort(key=lambda run, key=key: _rank_and_value(run, key.field)[0])  # type: ignore[misc]
    return ordered


def _rank_and_value(run: Run, field: Field) -> tuple[int, tuple[float, bytes]]:
    """Numbers, NaN, texts, nothing; and what orders within the first and third of these."""
    if field.kind == "metric":
        return _ranked(run.metrics.get(field.name, {}).get(field.aggregate or "last"))
    if field.kind in ("param", "other", "env"):
        return _ranked(run.logged[field.kind].get(field.name))
    if field.kind == "duration":
        return _ranked(float(duration_us(run, NOW_US)))
    if field.kind == "id":
        return 0, (0.0, run.id.encode())
    if field.kind in run.texts:
        return 0, (0.0, run.texts[field.kind].encode())
    if field.kind in run.times:
        return _ranked(run.times[field.kind])
    return _ranked(run.flags[field.kind])


def _ranked(value: Any) -> tuple[int, tuple[float, bytes]]:
    if value is None:
        return 3, (0.0, b"")
    number = number_of(value)
    if number is None:
        return 2, (0.0, text_of(value).encode())
    return (1, (0.0, b"")) if math.isnan(number) else (0, (number, b""))


def reads(store: ChdbStore) -> run_repository.RunRepository:
    return Repositories.over(store, QueryClass.LIGHT).runs


async def _paged(store: ChdbStore, expression: Expression, sort: tuple[SortKey, ...], limit: int) -> list[str]:
    """The ids of all pages. A window of a few states sees more than one step of the search."""
    found: list[str] = []
    after: Cursor | None = None
    with patch.object(run_repository, "FIRST_WINDOW", 10):
        while True:
            page = await reads(store).page(EVERYTHING, Question(expression, sort, after, CLOCK), limit)
            found += [record.run for record in page.runs]
            if page.ends is None:
                return found
            assert len(page.runs) == limit
            after = Cursor(page.ends, NOW_US, "")


@given(expressions, sorts, st.integers(1, 25))
@settings(max_examples=examples(30), deadline=None, suppress_health_check=list(HealthCheck))
def test_pages_equal_plain_python(
    filled: tuple[ChdbStore, list[Run]], expression: Expression, sort: tuple[SortKey, ...], limit: int
) -> None:
    store, runs = filled
    wanted = [run.id for run in sorted_runs(runs, sort) if holds(expression, run, NOW_US)]
    question = f"{print_filter(expression)} by {', '.join(map(str, sort))}"
    assert asyncio.run(_paged(store, expression, sort, limit)) == wanted, question
    assert asyncio.run(reads(store).count(EVERYTHING, expression, CLOCK)) == len(wanted), question


def test_rows_show_the_newest_state(filled: tuple[ChdbStore, list[Run]]) -> None:
    store, runs = filled
    shown = asyncio.run(reads(store).shown(EVERYTHING, [run.id for run in runs], CLOCK))
    for run in runs:
        row = shown[run.id]
        assert {name: row.columns[name] for name in ("project", "name", "status", "notes")} == {
            name: run.texts[name] for name in ("project", "name", "status", "notes")
        }
        assert (row.tags, row.archived, row.deleted) == (run.tags, run.flags["archived"], run.flags["deleted"])
        assert row.duration_s == duration_us(run, NOW_US) / 1_000_000


def facts_of(run: Run) -> Facts:
    """The run as the fold of its events gives it."""
    rows = rows_of_run(run)
    (state,) = rows["run_states"]
    logged = {
        (row["kind"], row["name"]): LoggedValue(row["value"], row["text"], row["number"])
        for row in rows["attribute_states"]
    }
    metrics = {(name, key): value for name, values in run.metrics.items() for key, value in values.items()}
    return Facts({**state, "duration_s": duration_us(run, NOW_US) / 1_000_000}, metrics, logged)


@given(expressions, sorts, st.integers(1, 25))
@settings(max_examples=examples(200), deadline=None, suppress_health_check=list(HealthCheck))
def test_pages_of_runs_at_hand_equal_plain_python(
    filled: tuple[ChdbStore, list[Run]], expression: Expression, sort: tuple[SortKey, ...], limit: int
) -> None:
    _, runs = filled
    question = f"{print_filter(expression)} by {', '.join(map(str, sort))}"
    wanted = [run.id for run in sorted_runs(runs, sort) if holds(expression, run, NOW_US)]
    at_hand = [facts_of(run) for run in runs]
    terms = {one.columns["run"]: terms_of(sort, one) for one in at_hand if evaluation.holds(expression, one, NOW_US)}
    descending = next((down for _, down in terms.values()), ())
    found: list[str] = []
    while True:
        after = terms[found[-1]][0] if found else None
        behind = [
            (values, run) for run, (values, _) in terms.items() if after is None or is_behind(values, after, descending)
        ]
        page = in_order(behind, descending)[:limit]
        found += page
        if not page:
            break
    assert found == wanted, question


@given(expressions)
@settings(max_examples=examples(200), deadline=None)
def test_what_a_filter_requires_holds_wherever_it_does(expression: Expression) -> None:
    """Parts that all have to hold, and the texts of which one has to be there."""
    for run in [random_run(f"run-{number}", Random(number)) for number in range(40)]:
        holding = holds(expression, run, NOW_US)
        assert holding == all(holds(one, run, NOW_US) for one in conjuncts(expression))
        for kind in ("project", "workspace"):
            values = texts_of(expression, kind)
            assert not holding or values is None or run.texts[kind] in values
        if is_of_columns(expression):
            bare = replace(run, metrics={}, logged={kind: {} for kind in run.logged})
            assert holding == holds(expression, bare, NOW_US)


def test_an_expression_tells_which_runs_it_is_about() -> None:
    one, other = Compare(Field("id"), "=", "a"), OneOf(Field("id"), ("a", "b"))
    assert texts_of(And((other, And((one, Compare(Field("archived"), "=", False))))), "id") == frozenset({"a"})
    assert texts_of(other, "id") == frozenset({"a", "b"})
    for other_texts in (Not(one), Or((one, other)), OneOf(Field("id"), ("a",), True), Compare(Field("id"), ">", "a")):
        assert texts_of(other_texts, "id") is None
