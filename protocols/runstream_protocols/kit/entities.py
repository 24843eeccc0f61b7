"""Entities of foreign clients: what they keep in a project that is no run, experiment or artifact.

Names and revisions are the fold's to give, so a change is appended, waited for, and its outcome read. Of several that
create one name, or replace one revision, at whichever gateways, one succeeds.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar
from uuid import uuid4

from pydantic import ValidationError

from runstream.events import limits
from runstream.events.control import encode_event
from runstream.events.entities import AboutEntity, EntityCreated, EntityDeleted, EntityEvent, EntityReplaced
from runstream.events.moments import moment_of
from runstream_model.entities import CHANGED_MEANWHILE, NAME_TAKEN, NO_SUCH_ENTITY, PROJECT_FULL
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.outcomes import invalid, not_visible
from runstream_protocols.kit.recorder import Recorder
from runstream_protocols.kit.statements import Statement, events_frame
from runstream_query.http.context import Context
from runstream_query.repositories.entities import EntityOutcomeRecord, EntityRecord
from runstream_service.access import EVERYTHING

#: What an entity's properties may take as JSON: the event that carries them has to fit into a frame.
MAX_PROPERTIES_BYTES: Final = 200_000
#: Workspace and project.
Place = tuple[str, str]
E = TypeVar("E", bound=AboutEntity)


@dataclass(frozen=True, slots=True)
class Entity:
    """An entity as it was read. `id`: 32 hexadecimal digits, given when it is created; `revision`: 1, 2, ..."""

    workspace: str
    project: str
    kind: str
    name: str
    id: str
    revision: int
    properties: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime

    @property
    def place(self) -> Place:
        """Return the workspace and the project that it is in."""
        return self.workspace, self.project


class EntityRefused(Exception):
    """The change was not made. `entity`: the one that has the name now; None: none has."""

    def __init__(self, kind: str, name: str, entity: Entity | None) -> None:
        super().__init__(kind, name)
        self.kind = kind
        self.name = name
        self.entity = entity


class EntityExists(EntityRefused):
    """The name is taken."""


class EntityChanged(EntityRefused):
    """Somebody else changed the entity since it was read."""


class EntityMissing(EntityRefused):
    """The entity is not there any more."""


class Entities:
    """The entities that one request may see, and changes of them, which it appends.

    What a change does is visible everywhere when it returns. All methods raise what the store raises; changes raise
    Problem, also 503 where they are durable but cannot be read yet, and Refused for values that no entity can have.
    """

    def __init__(self, recorder: Recorder, context: Context) -> None:
        self._recorder = recorder
        self._context = context

    async def find(self, place: Place, kind: str, name: str) -> Entity | None:
        """Return the entity of a kind with this name in a project; None if there is none."""
        found = await self._context.repositories.entities.find(self._context.scope, *place, kind, name)
        return None if found is None else _entity(found)

    async def find_by_id(self, kind: str, entity: str) -> Entity | None:
        """Return the entity of a kind with this id, in whichever project; None if there is none."""
        found = await self._context.repositories.entities.with_id(self._context.scope, kind, entity)
        return None if found is None else _entity(found)

    async def list(
        self,
        place: Place | None,
        kind: str,
        prefix: str = "",
        *,
        after: tuple[str, str] | None = None,
        limit: int = 10_000,
    ) -> list[Entity]:
        """Return the first `limit` entities of a kind by name, of one project or of all, whose names begin with
        `prefix`; only those behind `after`, the name and the id of one."""
        workspace, project = place or (None, None)
        found = await self._context.repositories.entities.page(
            self._context.scope, workspace, project, kind, prefix, after=after, limit=limit
        )
        return await self._context.off_loop(lambda: [_entity(one) for one in found])

    async def create(self, place: Place, kind: str, name: str, properties: Mapping[str, Any]) -> Entity:
        """Create an entity. Raises EntityExists."""
        workspace, project = place
        about = {"workspace": workspace, "project": project, "kind": kind, "name": name, "entity": uuid4().hex}
        event = _event(EntityCreated, at_us=self._recorder.stamp(), properties=_checked(name, properties), **about)
        await self._append(event)
        at = moment_of(event.at_us)
        return Entity(workspace, project, kind, name, event.entity, 1, event.properties, at, at)

    async def replace(self, entity: Entity, properties: Mapping[str, Any]) -> Entity:
        """Replace all properties of an entity that is still as it was read. Raises EntityChanged, EntityMissing."""
        checked = _checked(entity.name, properties)
        event = _event(EntityReplaced, revision=entity.revision, properties=checked, **self._about(entity))
        outcome = await self._append(event)
        updated_at = max(entity.updated_at, moment_of(event.at_us))
        return dataclasses.replace(
            entity, revision=outcome.revision, properties=event.properties, updated_at=updated_at
        )

    async def delete(self, entity: Entity, *, below: bool = False, below_kind: str | None = None) -> None:
        """Delete an entity that is still as it was read; also those whose name begins with its name and a slash: with
        `below` of any kind, with `below_kind` of this one. Raises EntityChanged, EntityMissing."""
        how = {"below": below, "below_kind": below_kind}
        await self._append(_event(EntityDeleted, revision=entity.revision, **how, **self._about(entity)))

    def _about(self, entity: Entity) -> dict[str, Any]:
        return {
            "at_us": self._recorder.stamp(),
            "workspace": entity.workspace,
            "project": entity.project,
            "kind": entity.kind,
            "name": entity.name,
            "entity": entity.id,
        }

    async def _append(self, event: EntityEvent) -> EntityOutcomeRecord:
        """Append an event, wait until it is folded and return what came of it."""
        statement = Statement(event.key, encode_event(event), event.at_us, stamped=True)
        positions = await self._recorder.append(statement, [events_frame(statement, [event])], wait=False)
        await self._recorder.visible(positions)
        entities, first = self._context.repositories.entities, statement.first_seq()
        outcome = await entities.outcome(EVERYTHING, event.key, statement.writer_id, first)
        if outcome is None:
            raise not_visible(f"{event.kind} {event.name}")
        if outcome.refused:
            raise await self._refusal(event, outcome.refused)
        return outcome

    async def _refusal(self, event: EntityEvent, refused: str) -> Exception:
        if refused == PROJECT_FULL:
            return Refused(
                f"the project {event.key} keeps at most {limits.MAX_PROJECT_ENTITY_CHARS} characters of such things as "
                f"{event.kind} {event.name[:100]!r}: delete some that nobody needs, or use another project"
            )
        now = await self.find((event.workspace, event.project), event.kind, event.name)
        return _REFUSALS[refused](event.kind, event.name, now)


_REFUSALS: Final = {NAME_TAKEN: EntityExists, NO_SUCH_ENTITY: EntityMissing, CHANGED_MEANWHILE: EntityChanged}


def _event(made: type[E], /, **fields: Any) -> E:
    """Return an event. Raises Refused for values that it cannot have."""
    try:
        return made(**fields)
    except ValidationError as error:
        raise invalid(error) from None


def _checked(name: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties as they are read again. Raises Refused for what JSON cannot hold, or is too long."""
    try:
        text = json.dumps(dict(properties), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        size_bytes = len(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise Refused(f"{name[:100]!r} cannot be kept, it has a value that JSON cannot hold: {error}") from None
    if size_bytes > MAX_PROPERTIES_BYTES:
        raise Refused(
            f"what {name[:100]!r} holds takes {size_bytes} bytes, at most {MAX_PROPERTIES_BYTES} are kept: keep long "
            "texts in a file"
        )
    return dict(json.loads(text))


def _entity(record: EntityRecord) -> Entity:
    return Entity(
        record.workspace,
        record.project,
        record.kind,
        record.name,
        record.entity,
        record.revision,
        json.loads(record.properties),
        record.created_at,
        record.updated_at,
    )
