"""Entities folded in any batches, with crashes between the tables, are those of the whole history."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from runstream.events.entities import EntityCreated, EntityDeleted, EntityEvent, EntityReplaced
from runstream_model.entities import ENTITIES, OUTCOMES, EntityRows, ProjectEntities, entity_from_row
from runstream_model.source import Source

NAMES = st.sampled_from(("a", "a/b", "a/b/c", "ab", "b"))
ABOUT: dict[str, Any] = {
    "at_us": st.integers(0, 9),
    "kind": st.sampled_from(("x", "y")),
    "name": NAMES,
    "entity": st.sampled_from(("0" * 32, "1" * 32)),
}
PROPERTIES = st.dictionaries(st.sampled_from("ab"), st.integers(0, 3), max_size=2)
REVISIONS = st.integers(1, 4)
EVENTS: st.SearchStrategy[EntityEvent] = st.one_of(
    st.builds(EntityCreated, **ABOUT, properties=PROPERTIES, workspace=st.just("w"), project=st.just("p")),
    st.builds(
        EntityReplaced,
        **ABOUT,
        properties=PROPERTIES,
        revision=REVISIONS,
        workspace=st.just("w"),
        project=st.just("p"),
    ),
    st.builds(
        EntityDeleted,
        **ABOUT,
        revision=REVISIONS,
        below=st.booleans(),
        below_kind=st.sampled_from((None, "x", "y")),
        workspace=st.just("w"),
        project=st.just("p"),
    ),
)
HISTORIES = st.lists(EVENTS, max_size=30)


def oracle(history: list[EntityEvent]) -> dict[tuple[str, str], tuple[str, int, dict[str, Any]]]:
    """What is there after a history, by the shortest program that says it."""
    there: dict[tuple[str, str], tuple[str, int, dict[str, Any]]] = {}
    for event in history:
        key = event.kind, event.name
        now = there.get(key)
        if isinstance(event, EntityCreated):
            if now is None:
                there[key] = event.entity, 1, event.properties
        elif now is None or now[:2] != (event.entity, event.revision):
            continue
        elif isinstance(event, EntityReplaced):
            there[key] = event.entity, event.revision + 1, event.properties
        else:
            below = [one for one in there if one[1].startswith(f"{event.name}/")]
            for one in (key, *(one for one in below if event.below or one[0] == event.below_kind)):
                del there[one]
    return there


class Tables:
    """What is stored: outcomes, and the newest row of each entity; and where each table ends."""

    def __init__(self) -> None:
        self.outcomes: list[dict[str, Any]] = []
        self.newest: dict[tuple[str, str], dict[str, Any]] = {}
        self.ends = {OUTCOMES: -1, ENTITIES: -1}

    def insert(self, table: str, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            if table == OUTCOMES:
                self.outcomes.append(row)
            else:
                self.newest[row["kind"], row["name"]] = row
            self.ends[table] = max(self.ends[table], row["offset"])

    def loaded(self) -> ProjectEntities:
        known = ProjectEntities()
        for row in self.newest.values():
            if not row["deleted"]:
                known.put(entity_from_row(row))
        return known


def folded(history: list[EntityEvent], cuts: list[tuple[int, int]]) -> Tables:
    """Fold, flushing after every so many events; after each flush so many of the two tables are written before a crash
    (2: both, and no crash)."""
    tables, committed, turn = Tables(), 0, 0
    while committed < len(history):
        rows, known, ends, at = EntityRows(), tables.loaded(), dict(tables.ends), committed
        while at < len(history):
            size, written = cuts[turn % len(cuts)] if turn < 3 * len(history) else (len(history), 2)
            turn += 1
            for offset in range(at, min(at + size, len(history))):
                beyond = {table: offset > end for table, end in ends.items()}
                rows.fold(known, history[offset], Source("w", offset, 0, offset), beyond.__getitem__)
            at = min(at + size, len(history))
            for table, found in list(rows.take().items())[:written]:
                tables.insert(table, found)
            if written < 2:
                break
            committed = at
    return tables


@settings(max_examples=200, deadline=None)
@given(HISTORIES)
def test_the_fold_agrees_with_the_oracle(history: list[EntityEvent]) -> None:
    tables = folded(history, [(len(history) or 1, 2)])
    states = tables.loaded().states
    assert {key: (one.entity, one.revision, json.loads(one.properties)) for key, one in states.items()} == oracle(
        history
    )
    assert len(tables.outcomes) == len(history)


@settings(max_examples=200, deadline=None)
@given(HISTORIES, st.lists(st.tuples(st.integers(1, 6), st.integers(0, 3)), min_size=1, max_size=6))
def test_batches_and_crashes_between_tables_change_nothing(
    history: list[EntityEvent], cuts: list[tuple[int, int]]
) -> None:
    whole, cut = folded(history, [(len(history) or 1, 2)]), folded(history, cuts)
    assert cut.outcomes == whole.outcomes
    assert cut.newest == whole.newest
    known = cut.loaded()
    assert known.chars == sum(state.chars for state in known.states.values())
