"""What entities are, folded from their events. All events of a project share its key, so they are in one partition, in
order.

The fold is the only one to say whose a name is and which revision is the newest. What it cannot do it refuses, with a
word for the one who asked; a refused event changes nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, assert_never

from runstream.events import limits
from runstream.events.entities import EntityCreated, EntityDeleted, EntityEvent, EntityReplaced
from runstream.events.moments import micros_of
from runstream.events.names import project_key
from runstream_model.attributes import json_of
from runstream_model.projection import COUNT, FLAG, NAME, POSITION, TEXT, TIME, Column, Projection
from runstream_model.source import Source

Row = dict[str, Any]

OUTCOMES: Final = "entity_outcomes"
#: Holds all that the fold goes on from, so it must be written behind the outcomes: what it includes is not folded
#: again, and they would never get their rows.
ENTITIES: Final = "entity_states"

NAME_TAKEN: Final = "name taken"
NO_SUCH_ENTITY: Final = "no such entity"
CHANGED_MEANWHILE: Final = "changed meanwhile"
PROJECT_FULL: Final = "project full"

#: What an entity takes of what those of a project may hold, beside its name and properties.
_OVERHEAD_CHARS: Final = 200

ENTITY_STATES: Final = Projection(
    name=ENTITIES,
    version=1,
    key=("key", "kind", "name"),
    view="entities",
    columns=(
        Column("key", TEXT, "the key of its records: WORKSPACE/PROJECT", internal=True),
        Column("kind", NAME, "what it is, such as algo or variable"),
        Column("name", TEXT, "its name"),
        Column("workspace", NAME, "the workspace that it is in"),
        Column("project", TEXT, "the project that it is in"),
        Column("entity", TEXT, "its id"),
        Column("revision", COUNT, "how often it was written: 1 when it is created"),
        Column("properties", TEXT, "its properties, as JSON"),
        Column("created_at", TIME, "when it was created"),
        Column("updated_at", TIME, "when it last changed"),
        Column("deleted", FLAG, "whether it was deleted", internal=True),
        *POSITION,
    ),
)
ENTITY_OUTCOMES: Final = Projection(
    name=OUTCOMES,
    version=1,
    key=("part", "offset", "seq"),
    columns=(
        Column("entity", TEXT, "the id of the entity that the event was about"),
        Column("writer", TEXT, "the id of the event's writer"),
        Column("seq", COUNT, "the event's sequence number"),
        Column("refused", NAME, "why it could not be done; empty: it was done"),
        Column("revision", COUNT, "the revision that it made; 0: none"),
        *POSITION,
    ),
)


@dataclass(frozen=True, slots=True)
class EntityState:
    """An entity that is there. `properties`: as JSON. Times: us since 1970 UTC."""

    workspace: str
    project: str
    kind: str
    name: str
    entity: str
    revision: int
    properties: str
    created_at_us: int
    updated_at_us: int

    @property
    def chars(self) -> int:
        """What it takes of what the entities of a project may hold."""
        return len(self.name) + len(self.properties) + _OVERHEAD_CHARS


@dataclass(frozen=True, slots=True)
class Decision:
    """The entity after one more event, None if it is not there, and why the event was refused; empty if it was not."""

    state: EntityState | None
    refused: str = ""


def fold_entity(state: EntityState | None, event: EntityEvent, room_chars: int) -> Decision:
    """Return what becomes of an entity by one more event about it, where those of its project have `room_chars` left.
    Pure and total; the state is the one before, itself, if nothing changed."""
    match event:
        case EntityCreated():
            if state is not None:
                return Decision(state, NAME_TAKEN)
            about = (event.workspace, event.project, event.kind, event.name, event.entity)
            created = EntityState(*about, 1, json_of(event.properties), event.at_us, event.at_us)
            return Decision(None, PROJECT_FULL) if created.chars > room_chars else Decision(created)
        case EntityReplaced() | EntityDeleted():
            if state is None or state.entity != event.entity:
                return Decision(state, NO_SUCH_ENTITY)
            if state.revision != event.revision:
                return Decision(state, CHANGED_MEANWHILE)
            return Decision(None) if isinstance(event, EntityDeleted) else _replaced(state, event, room_chars)
        case _:
            assert_never(event)


def _replaced(state: EntityState, event: EntityReplaced, room_chars: int) -> Decision:
    after = replace(
        state,
        revision=state.revision + 1,
        properties=json_of(event.properties),
        updated_at_us=max(state.updated_at_us, event.at_us),
    )
    grown = after.chars - state.chars
    return Decision(state, PROJECT_FULL) if grown > max(room_chars, 0) else Decision(after)


def row_from_entity(state: EntityState, deleted: bool, part: int, offset: int) -> Row:
    """Return the row of `entity_states`: column name to value, times as integers (microseconds since 1970 UTC)."""
    return {
        "key": project_key(state.workspace, state.project),
        "kind": state.kind,
        "name": state.name,
        "workspace": state.workspace,
        "project": state.project,
        "entity": state.entity,
        "revision": state.revision,
        "properties": "{}" if deleted else state.properties,
        "created_at": state.created_at_us,
        "updated_at": state.updated_at_us,
        "deleted": deleted,
        "part": part,
        "offset": offset,
    }


def entity_from_row(row: Mapping[str, Any]) -> EntityState:
    """Return the state that a row of one that is there holds; its times may be integers or, as the store's reader gives
    them, datetimes."""
    return EntityState(
        workspace=row["workspace"],
        project=row["project"],
        kind=row["kind"],
        name=row["name"],
        entity=row["entity"],
        revision=row["revision"],
        properties=row["properties"],
        created_at_us=_us(row["created_at"]),
        updated_at_us=_us(row["updated_at"]),
    )


def _us(at: int | datetime) -> int:
    return at if isinstance(at, int) else micros_of(at)


@dataclass(slots=True)
class ProjectEntities:
    """The entities of one project that are there, by kind and name; and the keys of those that are below a name."""

    states: dict[tuple[str, str], EntityState] = field(default_factory=dict)
    chars: int = 0
    _below: dict[str, set[tuple[str, str]]] = field(default_factory=dict)

    def put(self, state: EntityState) -> None:
        """Take in an entity as it is now."""
        self.remove(state.kind, state.name)
        self.states[state.kind, state.name] = state
        self.chars += state.chars
        for name in _above(state.name):
            self._below.setdefault(name, set()).add((state.kind, state.name))

    def remove(self, kind: str, name: str) -> None:
        """Forget an entity, if it is there."""
        before = self.states.pop((kind, name), None)
        if before is None:
            return
        self.chars -= before.chars
        for above in _above(name):
            self._below[above].discard((kind, name))
            if not self._below[above]:
                del self._below[above]

    def below(self, name: str) -> list[EntityState]:
        """Return the entities of any kind whose name begins with `name` and a slash."""
        return [self.states[key] for key in sorted(self._below.get(name, ()))]


def _above(name: str) -> list[str]:
    """Return the names that `name` is below: `a` and `a/b` of `a/b/c`."""
    return [name[:place] for place, sign in enumerate(name) if sign == "/"]


class EntityRows:
    """Folds events and keeps what changed until it is taken. One thread at a time."""

    def __init__(self) -> None:
        self._outcomes: list[Row] = []
        self._entities: dict[tuple[str, str, str], Row] = {}

    def fold(
        self, known: ProjectEntities, event: EntityEvent, source: Source, is_beyond: Callable[[str], bool]
    ) -> None:
        """Fold one event into `known`, the entities of its key. `is_beyond` says whether a table lacks the rows of its
        record; if `entity_states` does not, `known` includes the event, and nothing is left to do."""
        if not is_beyond(ENTITIES):
            return
        before = known.states.get((event.kind, event.name))
        decision = fold_entity(before, event, limits.MAX_PROJECT_ENTITY_CHARS - known.chars)
        after = decision.state
        if after is not None and after is not before:
            known.put(after)
            self._change(after, False, source)
        elif before is not None and after is None:
            below = _gone_below(known, event) if isinstance(event, EntityDeleted) else ()
            self._remove(known, [before, *below], event.at_us, source)
        if is_beyond(OUTCOMES):
            revision = 0 if decision.refused or after is None else after.revision
            self._outcomes.append(_row_of_outcome(event.entity, decision.refused, revision, source))

    def take(self) -> dict[str, list[Row]]:
        """Return the rows of each table since the last call; of states one a key, under the position of the last record
        that changed it."""
        taken = {OUTCOMES: self._outcomes, ENTITIES: list(self._entities.values())}
        self._outcomes, self._entities = [], {}
        return taken

    def _remove(self, known: ProjectEntities, gone: Iterable[EntityState], at_us: int, source: Source) -> None:
        for state in gone:
            known.remove(state.kind, state.name)
            self._change(replace(state, updated_at_us=max(state.updated_at_us, at_us)), True, source)

    def _change(self, state: EntityState, deleted: bool, source: Source) -> None:
        row = row_from_entity(state, deleted, source.part, source.offset)
        self._entities[row["key"], state.kind, state.name] = row


def _gone_below(known: ProjectEntities, event: EntityDeleted) -> list[EntityState]:
    """Return the entities that are deleted with the one that the event is about."""
    if not event.below and event.below_kind is None:
        return []
    return [one for one in known.below(event.name) if event.below or one.kind == event.below_kind]


def had_effect(events: Sequence[EntityEvent]) -> bool:
    """Return whether the last of these events, which are all of a project in the log's order, was done."""
    known, rows = ProjectEntities(), EntityRows()
    for seq, event in enumerate(events):
        rows.fold(known, event, Source("", seq, 0, 0), lambda _: True)
    outcomes = rows.take()[OUTCOMES]
    return bool(outcomes) and not outcomes[-1]["refused"]


def _row_of_outcome(entity: str, refused: str, revision: int, source: Source) -> Row:
    return {
        "entity": entity,
        "writer": source.writer,
        "seq": source.seq,
        "refused": refused,
        "revision": revision,
        "part": source.part,
        "offset": source.offset,
    }
