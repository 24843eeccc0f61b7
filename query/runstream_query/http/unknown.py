"""What a request names and nothing visible has: told beside the response, with the nearest name that there is.

It is no error. A metric may be logged in a minute, and whoever shows it until then must not break; but a mistyped name
must not pass for a project without runs.
"""

import asyncio
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from runstream.events.protocol import UNKNOWN_HEADER
from runstream.globs import is_glob
from runstream_query.errors import NotFound
from runstream_query.filters.checks import similar
from runstream_query.filters.compiler import ATTRIBUTE_KINDS
from runstream_query.filters.tree import NAMED, And, Compare, Expression, Field, Not, OneOf, Or, Value
from runstream_query.http.context import Context
from runstream_query.http.globs import near_metric
from runstream_query.repositories.arguments import Place
from runstream_query.repositories.attributes import Kind
from runstream_service.access import Scope

#: Names that a similar one is looked for among.
_LOOKED_AT: Final = 1000
#: Of one response.
_MAX_TOLD: Final = 20
#: Servers and proxies take headers of some 8 kB in all.
_MAX_HEADER_CHARS: Final = 3_000
_PLACES: Final = ("workspace", "project")


async def unknown_place(context: Context, within: Place) -> list[str]:
    """Return a sentence if there never was such a workspace or project. For a response that is empty."""
    if within.workspace is None and not within.project:
        return []
    names = await context.repositories.projects.names(context.scope)
    workspaces = sorted({workspace for workspace, _ in names})
    if within.workspace is not None and within.workspace not in workspaces:
        return [f"there is no workspace {within.workspace!r}{await _near(within.workspace, workspaces)}"]
    projects = sorted({project for workspace, project in names if within.workspace in (None, workspace)})
    if not within.project or within.project in projects:
        return []
    where = "" if within.workspace is None else f" in the workspace {within.workspace!r}"
    return [f"there is no project {within.project!r}{where}{await _near(within.project, projects)}"]


async def unknown_names_of_places(context: Context, expression: Expression) -> list[str]:
    """Return a sentence for each workspace and project that a filter asks for by name and that there never was. For a
    response that is empty."""
    wanted = sorted(_names_of_places(expression))
    if not wanted:
        return []
    names = await context.repositories.projects.names(context.scope)
    known = {"workspace": {workspace for workspace, _ in names}, "project": {project for _, project in names}}
    missing = [(kind, name) for kind, name in wanted if name not in known[kind]]
    return [
        f"there is no {kind} {name!r}{await _near(name, sorted(known[kind]))}" for kind, name in missing[:_MAX_TOLD]
    ]


def _names_of_places(expression: Expression) -> set[tuple[str, str]]:
    """The (kind, name) of the workspaces and projects that an expression compares with."""
    match expression:
        case And(items) | Or(items):
            return {place for item in items for place in _names_of_places(item)}
        case Not(item):
            return _names_of_places(item)
        case Compare(field, "=" | "!=", value):
            values: tuple[Value, ...] = (value,)
        case OneOf(field, values):
            pass
        case _:
            return set()
    return {(field.kind, value) for value in values if field.kind in _PLACES and isinstance(value, str)}


def unknown_header(told: Sequence[str]) -> dict[str, str]:
    """Return the header that tells them beside a response that is no JSON: as many of the sentences as it has room
    for."""
    kept: list[str] = []
    for sentence in told:
        if len(json.dumps([*kept, sentence])) > _MAX_HEADER_CHARS:
            break
        kept.append(sentence)
    return {UNKNOWN_HEADER: json.dumps(kept)} if kept else {}


async def unknown_fields(
    context: Context, within: Place, fields: Iterable[Field], shown: Collection[tuple[str, str]]
) -> list[str]:
    """Return a sentence for each metric, parameter or other logged value among `fields` that no run there has. `shown`:
    the (kind, name) of those that some run is known to have."""
    wanted = sorted({(field.kind, field.name) for field in fields if field.kind in NAMED} - set(shown))
    if not wanted:
        return []
    known = await _known(context, within, wanted)
    missing = [one for one in wanted if one not in known]
    return [await _unknown_field(context, within, kind, name) for kind, name in missing[:_MAX_TOLD]]


async def refuse_unknown_runs(context: Context, runs: Collection[str], found: Collection[str]) -> None:
    """Raise NotFound if one of the runs is not there. `found`: those that are known to be."""
    silent = set(runs) - set(found)
    unknown = silent - await context.repositories.runs.known(context.scope, sorted(silent)) if silent else set()
    if unknown:
        raise NotFound(f"no run has the id {min(unknown)!r}: look it up in /api/v1/runs, or wait for it with wait_for")


async def unknown_metrics(context: Context, runs: Sequence[str], metrics: Sequence[str], found: set[str]) -> list[str]:
    """Return a sentence for each metric that is given by its name and that none of the runs has."""
    missing = [name for name in dict.fromkeys(metrics) if name not in found and not is_glob(name)]
    if not missing:
        return []
    of = f"run {runs[0]!r} has no" if len(runs) == 1 else "none of these runs has a"
    return [f"{of} metric {name!r}{await near_metric(context, runs, name)}" for name in missing[:_MAX_TOLD]]


async def _known(context: Context, within: Place, wanted: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    by_kind: dict[str, list[str]] = {}
    for kind, name in wanted:
        by_kind.setdefault(kind, []).append(name)
    metrics = by_kind.pop("metric", [])
    kinds = [Kind(ATTRIBUTE_KINDS[kind], names) for kind, names in by_kind.items()]
    read, scope = context.repositories, context.scope
    found = await read.summaries.known_metrics(scope, within, metrics) if metrics else []
    attributes = await read.attributes.known_names(scope, within, kinds) if kinds else []
    stored: Mapping[str, str] = {one: kind for kind, one in ATTRIBUTE_KINDS.items()}
    return {("metric", name) for name in found} | {(stored[kind], name) for kind, name in attributes}


_WORDS: Final = {"metric": "metric", "param": "parameter", "other": "other value", "env": "value of the environment"}


async def _unknown_field(context: Context, within: Place, kind: str, name: str) -> str:
    near = await _near(name, await _names(context, context.scope, within, kind))
    where = "" if within == Place() else " there"
    return f"no run{where} has the {_WORDS[kind]} {name!r}{near}"


async def _names(context: Context, scope: Scope, within: Place, kind: str) -> Sequence[str]:
    if kind == "metric":
        return await context.repositories.summaries.metrics_within(scope, within, _LOOKED_AT)
    return await context.repositories.attributes.names_within(scope, within, ATTRIBUTE_KINDS[kind], _LOOKED_AT)


async def _near(name: str, names: Sequence[str]) -> str:
    return await asyncio.to_thread(similar, name, names)
