"""Entities: one name, one revision at a time, whoever changes them."""

from typing import Any

import pytest

from runstream.events import limits
from runstream.events.entities import EntityCreated, EntityDeleted, EntityEvent, EntityReplaced, check_entity_name
from runstream.events.names import InvalidName
from runstream_model.entities import (
    CHANGED_MEANWHILE,
    ENTITIES,
    NAME_TAKEN,
    NO_SUCH_ENTITY,
    OUTCOMES,
    PROJECT_FULL,
    EntityRows,
    ProjectEntities,
    entity_from_row,
    fold_entity,
    had_effect,
)
from runstream_model.source import Source

FIRST, SECOND = "a" * 32, "b" * 32
ROOM = 10_000


def created(name: str = "lr", entity: str = FIRST, **fields: Any) -> EntityCreated:
    return EntityCreated(**about(name, entity), **fields)


def about(name: str, entity: str, at_us: int = 1) -> dict[str, Any]:
    return {"at_us": at_us, "workspace": "w", "project": "p", "kind": "variable", "name": name, "entity": entity}


def replaced(revision: int, entity: str = FIRST, at_us: int = 2, **properties: Any) -> EntityReplaced:
    return EntityReplaced(**about("lr", entity, at_us), revision=revision, properties=properties)


def deleted(revision: int, name: str = "lr", entity: str = FIRST, below: bool = False) -> EntityDeleted:
    return EntityDeleted(**about(name, entity, 3), revision=revision, below=below)


class Folded:
    """What is known of a project after events, and what came of each."""

    def __init__(self, *events: EntityEvent) -> None:
        self.known, rows = ProjectEntities(), EntityRows()
        for offset, event in enumerate(events):
            rows.fold(self.known, event, Source("w", offset, 0, offset), lambda _: True)
        taken = rows.take()
        self.refused = [row["refused"] for row in taken[OUTCOMES]]
        self.revisions = [row["revision"] for row in taken[OUTCOMES]]
        self.rows = taken[ENTITIES]

    def names(self) -> list[str]:
        return sorted(name for _, name in self.known.states)


def test_one_name_is_given_once() -> None:
    folded = Folded(created(properties={"x": 1}), created(entity=SECOND, properties={"x": 2}))
    assert folded.refused == ["", NAME_TAKEN]
    assert folded.revisions == [1, 0]
    assert [(row["entity"], row["properties"]) for row in folded.rows] == [(FIRST, '{"x":1}')]


def test_of_two_that_replace_one_revision_the_first_succeeds() -> None:
    folded = Folded(created(), replaced(1, x=1), replaced(1, x=2), replaced(2, x=3))
    assert folded.refused == ["", "", CHANGED_MEANWHILE, ""]
    assert folded.revisions == [1, 2, 0, 3]
    assert folded.rows[0]["properties"] == '{"x":3}'


def test_a_name_is_free_again_and_what_has_it_then_is_another() -> None:
    folded = Folded(created(), deleted(1), created(entity=SECOND), replaced(1, x=1), deleted(1))
    assert folded.refused == ["", "", "", NO_SUCH_ENTITY, NO_SUCH_ENTITY]
    assert folded.rows[0]["entity"] == SECOND


@pytest.mark.parametrize("event", [replaced(1), deleted(1)])
def test_what_is_not_there_cannot_be_changed(event: EntityEvent) -> None:
    assert fold_entity(None, event, ROOM).refused == NO_SUCH_ENTITY


def test_what_is_below_goes_with_it() -> None:
    names = ["lr", "lr/a", "lr/a/b", "lr2", "lrx/a", "other"]
    known = [created(name, f"{number:032x}") for number, name in enumerate(names)]
    assert Folded(*known, deleted(1, entity="0" * 32, below=True)).names() == ["lr2", "lrx/a", "other"]
    assert Folded(*known, deleted(1, entity="0" * 32)).names() == names[1:]
    gone = Folded(*known, deleted(1, entity="0" * 32, below=True)).rows
    assert {row["name"] for row in gone if row["deleted"]} == {"lr", "lr/a", "lr/a/b"}
    assert {row["properties"] for row in gone if row["deleted"]} == {"{}"}


def test_a_project_holds_so_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_PROJECT_ENTITY_CHARS", 500)
    folded = Folded(
        created(properties={"x": "y" * 100}),
        created("b", SECOND, properties={"x": "y" * 100}),
        replaced(1, x="y" * 400),
        replaced(1, x="y"),
        created("b", SECOND),
    )
    assert folded.refused == ["", PROJECT_FULL, PROJECT_FULL, "", ""]
    assert folded.known.chars == sum(state.chars for state in folded.known.states.values()) <= 500
    assert Folded(created(), deleted(1)).known.chars == 0


def test_a_row_holds_the_whole_state() -> None:
    folded = Folded(created(properties={"größe": [1, 2**70, 0.1, None]}), replaced(1, at_us=9, x={"y": "z"}))
    assert entity_from_row(folded.rows[0]) == folded.known.states["variable", "lr"]


def test_times_do_not_go_back() -> None:
    state = Folded(created(), replaced(1, at_us=9), replaced(2, at_us=5)).known.states["variable", "lr"]
    assert (state.created_at_us, state.updated_at_us, state.revision) == (1, 9, 3)


def test_whether_the_last_event_was_done() -> None:
    assert had_effect([created()])
    assert not had_effect([created(), created(entity=SECOND)])


def test_rows_that_are_there_already_are_not_made_again() -> None:
    rows, known = EntityRows(), ProjectEntities()
    rows.fold(known, created(), Source("w", 0, 0, 0), lambda table: table != OUTCOMES)
    rows.fold(known, created("b", SECOND), Source("w", 1, 0, 1), lambda table: False)
    taken = rows.take()
    assert (taken[OUTCOMES], [row["name"] for row in taken[ENTITIES]], len(known.states)) == ([], ["lr"], 1)


@pytest.mark.parametrize("name", ["", "x" * 501, "a\nb", "\ud800", "/".join("abcdefghi")])
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(InvalidName):
        check_entity_name(name)
    assert check_entity_name("/".join("abcdefgh")) == "a/b/c/d/e/f/g/h"
