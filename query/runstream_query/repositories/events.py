"""Control events as they came: the history of a run, and what reads of the past fold."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final

from runstream.events.positions import Positions
from runstream_model.past import LoggedEvent
from runstream_query.repositories.reader import Reader
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.prefix import within
from runstream_query.repositories.statements.scoping import narrowed, of_keys
from runstream_service.access import Scope


@dataclass(frozen=True, slots=True)
class EventPlace:
    """Where an event is in the log: its record, and its number among those of its writer."""

    part: int
    offset: int
    seq: int


@dataclass(frozen=True, slots=True)
class EventRecord:
    """A row of the table `events`. `writer` is the whole id (hexadecimal), `body` the event's JSON."""

    part: int
    offset: int
    seq: int
    writer: str
    at: datetime
    type: str
    body: str

    @property
    def place(self) -> EventPlace:
        """Return where it is in the log."""
        return EventPlace(self.part, self.offset, self.seq)


@dataclass(frozen=True, slots=True)
class About:
    """Which events of a key: those whose type begins with `type_prefix` and, with `experiment`, that name it."""

    type_prefix: str
    experiment: str | None = None


_EVENT: Final = ", ".join(field.name for field in fields(EventRecord))


class EventRepository:
    """Reads control events. All methods raise what the store raises."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def page(self, scope: Scope, key: str, after: EventPlace | None, limit: int) -> list[EventRecord]:
        """Return the events of a key behind a place, in the log's order."""
        parameters = Parameters()
        condition = f"key = {parameters.text(key)}"
        if after is not None:
            condition += f" AND (part, offset, seq) > ({_place(after, parameters)})"
        condition += narrowed(of_keys(scope, parameters))
        sql = (
            f"SELECT {_EVENT} FROM events WHERE {condition} ORDER BY part, offset, seq "
            f"LIMIT {parameters.integer(limit)}"
        )
        return await self._reader.records(lambda row: EventRecord(**row), sql, parameters)

    async def find(self, scope: Scope, key: str, writer: str, seq: int) -> EventRecord | None:
        """Return a writer's event of a key, as it came first; None if it is not visible."""
        parameters = Parameters()
        sql = (
            f"SELECT {_EVENT} FROM events WHERE key = {parameters.text(key)} AND "
            f"writer = {parameters.text(writer)} AND seq = {parameters.bind(seq, 'UInt64')}"
            f"{narrowed(of_keys(scope, parameters))} ORDER BY part, offset LIMIT 1"
        )
        return next(iter(await self._reader.records(lambda row: EventRecord(**row), sql, parameters)), None)

    async def within(
        self, scope: Scope, key: str, prefix: Positions, limit: int, about: About | None = None
    ) -> Sequence[LoggedEvent]:
        """Return the events of a key before a position of the log, in the log's order."""
        parameters = Parameters()
        conditions = [f"key = {parameters.text(key)}", *_about(about, parameters), within(prefix, parameters)]
        return await self._logged(scope, conditions, limit, parameters)

    async def until(
        self, scope: Scope, key: str, place: EventPlace, limit: int, about: About | None = None
    ) -> Sequence[LoggedEvent]:
        """Return the events of a key up to the one at a place, inclusive, in the log's order."""
        parameters = Parameters()
        conditions = [f"key = {parameters.text(key)}", f"(part, offset, seq) <= ({_place(place, parameters)})"]
        return await self._logged(scope, [*conditions, *_about(about, parameters)], limit, parameters)

    async def logs_again(self, scope: Scope, key: str, type_: str) -> bool:
        """Return whether events of this type name one of their `values` more than once; also where that cannot be told
        here, because one is NaN or infinite."""
        parameters = Parameters()
        conditions = [f"key = {parameters.text(key)}", f"type = {parameters.text(type_)}", *of_keys(scope, parameters)]
        sql = (
            "SELECT name FROM (SELECT arrayJoin(if(isValidJSON(body), JSONExtractKeys(body, 'values'), ['', ''])) AS "
            f"name FROM events WHERE {' AND '.join(conditions)}) GROUP BY name HAVING count() > 1 LIMIT 1"
        )
        return bool(await self._reader.rows(sql, parameters))

    async def of_key(self, scope: Scope, key: str, about: About, limit: int | None = None) -> Sequence[LoggedEvent]:
        """Return the events of a key about something, all or the first ones, in the log's order."""
        parameters = Parameters()
        conditions = [f"key = {parameters.text(key)}", *_about(about, parameters)]
        return await self._logged(scope, conditions, limit, parameters)

    async def _logged(
        self, scope: Scope, conditions: Sequence[str], limit: int | None, parameters: Parameters
    ) -> Sequence[LoggedEvent]:
        end = "" if limit is None else f" LIMIT {parameters.integer(limit)}"
        sql = (
            "SELECT part, offset, seq, writer, body FROM events WHERE "
            f"{' AND '.join((*conditions, *of_keys(scope, parameters)))} ORDER BY part, offset, seq{end}"
        )
        return await self._reader.records(lambda row: LoggedEvent(**row), sql, parameters)


def _place(place: EventPlace, parameters: Parameters) -> str:
    bound = (
        parameters.bind(place.part, "UInt16"),
        parameters.bind(place.offset, "UInt64"),
        parameters.bind(place.seq, "UInt64"),
    )
    return ", ".join(bound)


def _about(about: About | None, parameters: Parameters) -> list[str]:
    if about is None:
        return []
    conditions = [f"startsWith(type, {parameters.text(about.type_prefix)})"]
    if about.experiment is not None:
        conditions.append(f"JSONExtractString(body, 'experiment') = {parameters.text(about.experiment)}")
    return conditions
