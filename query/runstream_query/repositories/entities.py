"""Entities: named JSON objects of a project."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from runstream.events.names import project_key
from runstream_query.repositories.reader import Reader
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.scoping import in_workspaces, narrowed, of_keys
from runstream_service.access import Scope

_ANY: Final[Mapping[str, str]] = {}
_LISTED: Final = "workspace, project, kind, name, entity, revision, created_at, updated_at"
_FIELDS: Final = "workspace, project, kind, name, entity, revision, properties, created_at, updated_at"


@dataclass(frozen=True, slots=True)
class EntityRecord:
    """An entity that is there. `properties`: as JSON."""

    workspace: str
    project: str
    kind: str
    name: str
    entity: str
    revision: int
    properties: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class EntityListing:
    """What a list shows of an entity: all but its properties, of which `members` has some, those that are texts; others
    are empty."""

    workspace: str
    project: str
    kind: str
    name: str
    entity: str
    revision: int
    created_at: datetime
    updated_at: datetime
    members: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class EntityOutcomeRecord:
    """What came of an event about an entity: why it was refused (empty: it was done), and the revision that it made."""

    refused: str
    revision: int


class EntityRepository:
    """Reads entities that are there, deleted ones not. All methods raise what the store raises."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def find(self, scope: Scope, workspace: str, project: str, kind: str, name: str) -> EntityRecord | None:
        """Return the entity of a kind with this name in a project; None if there is none."""
        parameters = Parameters()
        place = f"key = {parameters.text(project_key(workspace, project))}"
        where = f"{place} AND kind = {parameters.text(kind)} AND name = {parameters.text(name)}"
        return await self._one(scope, where, parameters)

    async def with_id(self, scope: Scope, kind: str, entity: str) -> EntityRecord | None:
        """Return the entity of a kind with this id; None if there is none."""
        parameters = Parameters()
        keys = f"SELECT key, kind, name FROM entity_states WHERE entity = {parameters.text(entity)}"
        where = (
            f"kind = {parameters.text(kind)} AND (key, kind, name) IN ({keys}) AND entity = {parameters.text(entity)}"
        )
        return await self._one(scope, where, parameters)

    async def page(
        self,
        scope: Scope,
        workspace: str | None,
        project: str | None,
        kind: str,
        prefix: str = "",
        *,
        after: tuple[str, str] | None = None,
        limit: int,
    ) -> list[EntityRecord]:
        """Return the first `limit` entities of a kind by name and id whose names begin with `prefix`, of one workspace
        or project if these are given; only those behind `after`, the name and the id of one."""
        parameters = Parameters()
        conditions = [f"kind = {parameters.text(kind)}"]
        if workspace is not None:
            conditions.append(f"workspace = {parameters.text(workspace)}")
        if project is not None:
            conditions.append(f"project = {parameters.text(project)}")
        if prefix:
            conditions.append(f"startsWith(name, {parameters.text(prefix)})")
        if after is not None:
            name, entity = after
            conditions.append(f"(name, entity) > ({parameters.text(name)}, {parameters.text(entity)})")
        where = " AND ".join(conditions)
        sql = f"{_selected(scope, where, parameters)} ORDER BY name, entity LIMIT {parameters.bind(limit, 'UInt64')}"
        return await self._reader.records(_record, sql, parameters)

    async def listed(
        self,
        scope: Scope,
        workspace: str,
        project: str,
        kind: str,
        members: Sequence[str],
        *,
        where: Mapping[str, str] = _ANY,
        after: str | None = None,
        limit: int,
    ) -> list[EntityListing]:
        """Return the first `limit` entities of a kind in a project by name, with these members of their properties;
        only those behind the name `after`, and whose members are as `where` says."""
        parameters = Parameters()
        conditions = [f"key = {parameters.text(project_key(workspace, project))}", f"kind = {parameters.text(kind)}"]
        if after is not None:
            conditions.append(f"name > {parameters.text(after)}")
        for member, value in where.items():
            conditions.append(f"JSONExtractString(properties, {parameters.text(member)}) = {parameters.text(value)}")
        shown = ", ".join(f"JSONExtractString(properties, {parameters.text(one)})" for one in members)
        sql = (
            f"SELECT {_LISTED}, [{shown}] AS members FROM entities WHERE NOT deleted AND {' AND '.join(conditions)}"
            f"{narrowed(in_workspaces(scope, parameters))} ORDER BY name LIMIT {parameters.bind(limit, 'UInt64')}"
        )

        def listing(row: Mapping[str, Any]) -> EntityListing:
            return EntityListing(**{**row, "members": dict(zip(members, row["members"], strict=True))})

        return await self._reader.records(listing, sql, parameters)

    async def outcome(self, scope: Scope, key: str, writer: str, seq: int) -> EntityOutcomeRecord | None:
        """Return what came of a writer's event of this key; None if that is not visible yet."""
        parameters = Parameters()
        sql = (
            "SELECT refused, revision FROM entity_outcomes WHERE (part, offset, seq) IN "
            f"(SELECT part, offset, seq FROM events WHERE key = {parameters.text(key)} AND "
            f"writer = {parameters.text(writer)} AND seq = {parameters.bind(seq, 'UInt64')}"
            f"{narrowed(of_keys(scope, parameters))} ORDER BY part, offset LIMIT 1) LIMIT 1"
        )
        found = await self._reader.records(lambda row: EntityOutcomeRecord(**row), sql, parameters)
        return next(iter(found), None)

    async def _one(self, scope: Scope, where: str, parameters: Parameters) -> EntityRecord | None:
        sql = f"{_selected(scope, where, parameters)} LIMIT 1"
        return next(iter(await self._reader.records(_record, sql, parameters)), None)


def _selected(scope: Scope, where: str, parameters: Parameters) -> str:
    return f"SELECT {_FIELDS} FROM entities WHERE NOT deleted AND {where}{narrowed(in_workspaces(scope, parameters))}"


def _record(row: Mapping[str, Any]) -> EntityRecord:
    return EntityRecord(**row)
