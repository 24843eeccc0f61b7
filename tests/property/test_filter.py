"""Filters: text and tree are the same thing, and the engine agrees with the plain-Python meaning."""

import asyncio
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.examples import examples
from kit.oracles.filter_trees import NOW_US, expressions, random_run
from kit.oracles.filters import Run, holds
from kit.recorded.stored_runs import insert, rows_of_run
from kit.stores import open_migrated
from runstream_processors.store.chdb import ChdbStore
from runstream_query.errors import FilterError
from runstream_query.filters import check, compile_filter, parse, print_filter
from runstream_query.filters.tree import Expression
from runstream_query.repositories.questions import Clock
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.runs import run_rows

pytestmark = pytest.mark.store


@given(expressions)
@settings(max_examples=examples(200), deadline=None)
def test_printing_and_parsing_give_the_same_tree(expression: Expression) -> None:
    check(expression)
    text = print_filter(expression)
    assert parse(text) == expression
    assert print_filter(parse(text)) == text


@given(st.text(st.sampled_from("metric.loss<>=!() \"'and or not in tag,1-e\\.n{}|&\t\nü"), max_size=40))
@settings(max_examples=examples(200), deadline=None)
def test_any_text_is_a_tree_or_an_error_with_a_place(text: str) -> None:
    error = _error_of(text)
    if error is not None:
        assert 1 <= error.column <= len(text) + 1
        assert error.pointed().endswith("^")


def _error_of(text: str) -> FilterError | None:
    try:
        parse(text)
    except FilterError as error:
        return error
    return None


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ChdbStore, list[Run]]]:
    """A store with random runs, and the same runs as plain values."""
    random = Random(20260131)
    runs = [random_run(f"run-{number}", random) for number in range(150)]

    async def opened() -> ChdbStore:
        store = await open_migrated(tmp_path_factory.mktemp("store"), query_threads=1)
        await insert(store, [rows_of_run(run) for run in runs])
        return store

    store = asyncio.run(opened())
    yield store, runs
    asyncio.run(store.close())


async def _matching(store: ChdbStore, filters: list[Expression]) -> list[set[str]]:
    """The runs that pass each filter, all asked in one statement."""
    parameters = Parameters()
    rows = run_rows(parameters, Clock(NOW_US, 30_000_000))
    conditions = [compile_filter(expression, parameters, NOW_US) for expression in filters]
    columns = ", ".join(f"toBool({condition}) AS c{number}" for number, condition in enumerate(conditions))
    response = await store.query(f"SELECT run, {columns} FROM {rows}", parameters.values)
    ids = response.column("run").to_pylist()
    return [
        {run for run, holding in zip(ids, response.column(f"c{number}").to_pylist(), strict=True) if holding}
        for number in range(len(filters))
    ]


@given(st.lists(expressions, min_size=15, max_size=15))
@settings(max_examples=examples(30), deadline=None, suppress_health_check=list(HealthCheck))
def test_the_engine_agrees_with_plain_python(filled: tuple[ChdbStore, list[Run]], filters: list[Expression]) -> None:
    store, runs = filled
    found = asyncio.run(_matching(store, filters))
    for expression, ids in zip(filters, found, strict=True):
        assert ids == {run.id for run in runs if holds(expression, run, NOW_US)}, print_filter(expression)
