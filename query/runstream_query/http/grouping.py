"""Which groups runs are in, by fields of the filter language."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

from runstream_query.errors import FilterError, InvalidRequest
from runstream_query.filters.compiler import ATTRIBUTE_KINDS
from runstream_query.filters.parser import parse_field
from runstream_query.filters.printer import print_field
from runstream_query.filters.tree import FLAGS, RUN_FIELDS, TEXTS, Field
from runstream_query.http.context import Context
from runstream_query.http.lanes import ChartWriter
from runstream_query.repositories.arguments import Lane
from runstream_query.repositories.attributes import Kind

#: Fields that runs can be grouped by: what has one value, or a few.
_RUN_FIELDS: Final = ("tag", *TEXTS, *FLAGS)
#: What divides the points of one run.
WRITER_FIELDS: Final = ("rank", "attempt")
#: Groups of one response, and in how many groups all runs may be together: 1,000 runs with 100 tags each.
MAX_GROUPS: Final = 1_000
_MAX_MEMBERSHIPS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of runs: the value of each field, and how many runs there are; and the numbers of the groups that each
    member is in, in the order in which the members were given."""

    values: Sequence[Mapping[str, Any]]
    sizes: Sequence[int]
    members: Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class GroupFields:
    """What runs are grouped by: the name of each field as it is shown, in order; those of the filter language by their
    names; and which others are told by who wrote the points (`WRITER_FIELDS`)."""

    names: Sequence[str]
    of_runs: Mapping[str, Field]
    of_writers: Sequence[str]


@dataclass(frozen=True, slots=True)
class Member:
    """A run, or a part of its points with what its writers have in common, by `WRITER_FIELDS`."""

    run: str
    written: Mapping[str, int | None]


def fields_of_groups(texts: Sequence[str]) -> GroupFields:
    """Read fields to group by. Raises FilterError and InvalidRequest."""
    of_runs: dict[str, Field] = {}
    names = []
    for text in texts:
        if text.strip() in WRITER_FIELDS:
            names.append(text.strip())
            continue
        try:
            field = parse_field(text)
        except FilterError as error:
            raise FilterError(
                f"group_by: {error.message}; the points of runs can also be divided by {' and '.join(WRITER_FIELDS)}",
                text=error.text,
                column=error.column,
                name="group_by",
            ) from None
        if field.kind not in ATTRIBUTE_KINDS and field.kind not in _RUN_FIELDS:
            raise InvalidRequest(
                f"group_by: {text!r} has too many values: give param, other or env fields, or one of "
                f"{', '.join((*_RUN_FIELDS, *WRITER_FIELDS))}",
                name="group_by",
            )
        of_runs[print_field(field)] = field
        names.append(print_field(field))
    names = list(dict.fromkeys(names))
    return GroupFields(names, of_runs, [name for name in names if name in WRITER_FIELDS])


def divided(writers: Sequence[ChartWriter], by: Sequence[str]) -> tuple[list[Member], tuple[Lane, ...]]:
    """Divide the points of runs by what is known of their writers: the members of groups, and the lanes that have
    their numbers."""
    members: dict[tuple[str, tuple[int | None, ...]], int] = {}
    lanes = []
    for one in writers:
        values = tuple(one.rank if name == "rank" else one.attempt for name in by)
        number = members.setdefault((one.run, values), len(members))
        lanes.append(Lane(one.run, one.writer, number))
    return [Member(run, dict(zip(by, values, strict=True))) for run, values in members], tuple(lanes)


async def groups_of(context: Context, members: Sequence[Member], wanted: GroupFields) -> Groups:
    """Return the groups of the members. Raises InvalidRequest if there are too many."""
    runs = list(dict.fromkeys(member.run for member in members))
    values = await _values(context, runs, list(wanted.of_runs.values()))
    memberships = 0
    keys: list[list[tuple[Any, ...]]] = []
    for member in members:
        of_run = values[member.run]
        of_fields = [
            [_key(member.written[name])]
            if name in member.written
            else [_key(value) for value in of_run[wanted.of_runs[name]]]
            for name in wanted.names
        ]
        keys.append(list(product(*of_fields)))
        memberships += len(keys[-1])
        if memberships > _MAX_MEMBERSHIPS:
            break
    numbers = {key: number for number, key in enumerate(sorted({one for some in keys for one in some}))}
    if memberships > _MAX_MEMBERSHIPS or len(numbers) > MAX_GROUPS:
        raise InvalidRequest(
            f"group_by: these runs are in more than {MAX_GROUPS} groups: group by what has fewer values, or give fewer "
            "runs",
            name="group_by",
        )
    found = [[numbers[key] for key in some] for some in keys]
    sizes = [0] * len(numbers)
    for some in found:
        for number in some:
            sizes[number] += 1
    shown = [{name: _value(part) for name, part in zip(wanted.names, key, strict=True)} for key in numbers]
    return Groups(shown, sizes, found)


async def _values(context: Context, runs: Sequence[str], fields: Sequence[Field]) -> dict[str, dict[Field, list[Any]]]:
    """Of each run the values of each field: those of its tags, one of others, None where it has none."""
    values: dict[str, dict[Field, list[Any]]] = {run: {field: [None] for field in fields} for run in runs}
    kinds: dict[str, list[str]] = {}
    for field in fields:
        if field.kind in ATTRIBUTE_KINDS:
            kinds.setdefault(ATTRIBUTE_KINDS[field.kind], []).append(field.name)
    if kinds:
        wanted = [Kind(kind, names) for kind, names in kinds.items()]
        stored = {kind: name for name, kind in ATTRIBUTE_KINDS.items()}
        for cell in await context.repositories.attributes.cells(context.scope, runs, wanted):
            values[cell.run][Field(stored[cell.kind], cell.name)] = [json.loads(cell.value)]
    columns = [field for field in fields if field.kind in RUN_FIELDS]
    if columns:
        shown = await context.repositories.runs.shown(context.scope, runs, context.clock())
        for run, record in shown.items():
            for field in columns:
                value = record.columns[RUN_FIELDS[field.kind].name]
                values[run][field] = ([*dict.fromkeys(value)] or [None]) if field.kind == "tag" else [value]
    return values


def _key(value: Any) -> tuple[int, Any]:
    """What sorts and compares as the value does: numbers, truth values, texts, what is else, nothing."""
    match value:
        case None:
            return 4, ""
        case bool():
            return 1, value
        case int() | float():
            return 0, value
        case str():
            return 2, value
        case _:
            return 3, json.dumps(value, sort_keys=True)


def _value(key: tuple[int, Any]) -> Any:
    kind, value = key
    return None if kind == 4 else json.loads(value) if kind == 3 else value
