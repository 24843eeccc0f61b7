"""No repository shows anything of a workspace that is outside of the scope it is called with.

Each method is called over three states of one store: empty, with workspace `own`, and with `own` and `other`. With the
scope of `own` the last must give what the second gave, by value, and with the scope of nothing what the first gave.

Then the runs of `own` move to `other`: every scope must see what it sees of a store in which they were there from the
beginning.
"""

import asyncio
import dataclasses
import hashlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pytest

from kit.query import tables
from kit.query.artifacts import WRITER, insert_artifacts
from kit.query.entities import insert_entities
from kit.query.service import CountingStore, Service
from kit.query.tables import NOW_US
from runstream.events.artifacts import (
    USED_BY,
    AddedFile,
    ArtifactCreated,
    ArtifactFile,
    ArtifactFilesAdded,
    ArtifactVersionDeleted,
    ArtifactVersionLogged,
    ArtifactVersionRemarked,
    artifact_id,
)
from runstream.events.entities import EntityCreated
from runstream.events.positions import Positions
from runstream_ingest.assets.local import LocalAssets
from runstream_model.activity import Piece
from runstream_query.filters.tree import Compare, Field
from runstream_query.repositories import Repositories
from runstream_query.repositories.arguments import (
    Chart,
    ChartAxis,
    Curve,
    Lane,
    Place,
    ProjectRuns,
    Range,
    SeriesFrom,
    TailAxis,
)
from runstream_query.repositories.artifacts import ArtifactQuery
from runstream_query.repositories.attributes import Kind
from runstream_query.repositories.events import About, EventPlace
from runstream_query.repositories.past_runs import Candidates
from runstream_query.repositories.questions import Clock, Question
from runstream_query.repositories.runs import RunOrder
from runstream_query.repositories.selection import Selection
from runstream_query.repositories.statements.order import parse_sort
from runstream_query.repositories.statements.printed import Pattern, Printed, Span
from runstream_query.repositories.statements.series import Names
from runstream_query.repositories.statements.tails import tail_parts
from runstream_service.access import EVERYTHING, NOTHING, Scope
from runstream_service.store import QueryClass

OWN = Scope(frozenset({"own"}))
OTHER = Scope(frozenset({"other"}))
BOTH = Scope(frozenset({"own", "other"}))
#: The offset of the records that move the runs of `own`.
MOVED_AT = 9_000
#: The number of rows that a workspace has of everything, so that no count of one equals that of the other.
SIZES = {"own": 2, "other": 3}


def names_of(workspace: str, what: str) -> list[str]:
    return [f"{workspace}-{what}-{number}" for number in range(SIZES[workspace])]


def model_of(workspace: str) -> str:
    return artifact_id(workspace, None, "model", "m")


def state_of(workspace: str, number: int) -> dict[str, Any]:
    """The row of a run."""
    status = {"status": "running", "ended_at": None} if number == 0 else {}
    about = {"workspace": workspace, "experiment": f"{workspace}-experiment", "tags": [f"{workspace}-tag"]}
    links = [f"{one}/p" for one in SIZES if one != workspace]
    offset = {"own": 100, "other": 200}[workspace] + number
    return tables.run(names_of(workspace, "run")[number], **about, **status, links=links, offset=offset)


def moved_state_of(number: int) -> dict[str, Any]:
    """The row of a run of `own` that moved to `other`."""
    return {**state_of("own", number), "workspace": "other", "offset": MOVED_AT + number}


async def fill(service: Service, workspace: str, states: Sequence[dict[str, Any]] | None = None) -> None:
    """Rows of every table, about this workspace alone. `states`: the rows of its runs, if they are others."""
    offset = {"own": 100, "other": 200}[workspace]
    runs = names_of(workspace, "run")
    for number, run in enumerate(runs):
        await service.insert("run_states", states[number] if states is not None else state_of(workspace, number))
        await tables.insert_points(
            service.store, run, f"{workspace}/loss", np.arange(600), np.arange(600) + float(offset), offset=offset
        )
        await tables.insert_points(
            service.store, run, "shared", np.arange(3), np.arange(3) - float(offset), offset=offset, epochs=[0, 1, 2]
        )
        logged = [
            tables.attribute(run, name, f"{workspace}-value", kind, offset=offset)
            for name in ("shared", f"{workspace}-name")
            for kind in ("parameter", "other", "environment")
        ]
        await service.insert("attribute_states", *logged)
        await service.insert(
            "asset_states",
            tables.asset(run, f"{workspace}-asset", "shared.bin", "a" * 64, 5, kind="model", offset=offset),
        )
        printed = {"writer": 1, "seq": number, "at": NOW_US, "stream": "stdout", "text": f"{workspace} says\n"}
        await service.insert("output", {"run": run, **printed, "part": 0, "offset": offset})
        await service.insert("watermark_states", tables.watermark(run, WRITER, 3600.0 + offset))
        await service.insert("events", event_of(run, offset + 50 + number, "run_started.v1"))
        twice = [event_of(run, offset + place + number, "parameters_logged.v1") for place in (70, 80)]
        await service.insert("events", *twice)
    texts = {"description": f"about {workspace}", "notes": f"notes of {workspace}"}
    place = {"workspace": workspace, "created_at": NOW_US, "updated_at": NOW_US, "deleted": False}
    await service.insert(
        "project_states",
        *[{**place, **texts, "project": one, "part": 0, "offset": offset} for one in ["p", *names_of(workspace, "p")]],
    )
    experiment = {"project": "p", "experiment": f"{workspace}-experiment", "description": texts["description"]}
    await service.insert("experiment_states", {**place, **experiment, "part": 0, "offset": offset})
    await service.insert("events", event_of(f"{workspace}/p", offset + 60, "project_created.v1"))
    bad = {"cause": "decode", "detail": workspace, "body": "", "at": NOW_US}
    await service.insert("quarantine", {"part": 0, "offset": offset, "item": 0, "key": runs[0], **bad})
    about_model: dict[str, Any] = {
        "at_us": NOW_US,
        "workspace": workspace,
        "artifact_type": "model",
        "name": "m",
    }
    file = ArtifactFile(name=f"{workspace}.bin", sha256="b" * 64, size_bytes=offset, content_type="text/plain")
    await insert_artifacts(
        service,
        ArtifactCreated(**about_model, description=f"about {workspace}"),
        *[
            ArtifactVersionLogged(
                **about_model, open=True, run=run, files=(file,), status=f"{workspace}-status", metadata={"about": 1}
            )
            for run in runs
        ],
        *[ArtifactVersionRemarked(**about_model, ordinal=1, remark={"about": workspace}) for _ in runs],
        ArtifactCreated(**about_model | {"artifact_type": "panel"}, project="p"),
        ArtifactVersionDeleted(**about_model, ordinal=len(runs)),
        ArtifactFilesAdded(**about_model, ordinal=1, files=(AddedFile(name=f"{workspace}-added", sha256="c" * 64),)),
        ArtifactVersionRemarked(**about_model, ordinal=1, remark={USED_BY: runs[0]}),
        ArtifactVersionLogged(**about_model | {"artifact_type": "panel"}, project="p", run=runs[0]),
        first_offset=offset,
    )
    about_entity = {"at_us": NOW_US, "workspace": workspace, "project": "p", "kind": "thing"}
    await insert_entities(
        service,
        *[
            EntityCreated(**about_entity, name=name, entity=entity_of(name), properties={"about": workspace})
            for name in names_of(workspace, "entity")
        ],
        first_offset=offset + 20,
    )


def entity_of(name: str) -> str:
    """The id of an entity with this name."""
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def event_of(key: str, offset: int, kind: str) -> dict[str, Any]:
    body = f'{{"about": "{key}", "values": {{"shared": 1}}}}'
    place = {"key": key, "part": 0, "offset": offset, "seq": 7}
    return place | {"writer": WRITER, "at": NOW_US, "type": kind, "body": body}


def keys_of(workspace: str) -> list[str]:
    return [names_of(workspace, "run")[0], f"{workspace}/m"]


def both(of: Callable[[str], Any]) -> list[Any]:
    """The argument about `own`, that about `other`, and of lists the two together."""
    values = [of("own"), of("other")]
    return [*values, [*values[0], *values[1]]] if isinstance(values[0], list) else values


SORT = "metric.shared"


def series_of(*workspaces: str) -> Names:
    """Both series of all runs of the workspaces."""
    runs = [run for workspace in workspaces for run in names_of(workspace, "run")]
    return Names(tuple(runs), ("shared", *(f"{workspace}/loss" for workspace in workspaces)))


def curve_of(workspace: str) -> Curve:
    return Curve(names_of(workspace, "run")[0], f"{workspace}/loss", 600, 0, 599, False)


def chart_of(*workspaces: str, axis: ChartAxis = "step") -> Chart:
    """Both series of all runs of the workspaces."""
    names = series_of(*workspaces)
    count = len(names.runs)
    whole = (Piece(0, 0, NOW_US),)
    return Chart(
        names.runs, names.metrics, axis, starts_us=(NOW_US,) * count, pieces=(whole,) * count, x_metric="shared"
    )


def in_lanes(chart: Chart) -> Chart:
    return dataclasses.replace(chart, lanes=tuple(Lane(run, 7, number) for number, run in enumerate(chart.runs)))


def ends_of(*workspaces: str, axis: TailAxis) -> list[SeriesFrom]:
    """Both series of all runs of the workspaces, from the beginning."""
    chart = chart_of(*workspaces)
    series = [(run, metric) for run in chart.runs for metric in chart.metrics]
    return [SeriesFrom(run, metric, axis, 256, -(2**63), NOW_US) for run, metric in series]


def of_workspace(workspace: str) -> Compare:
    return Compare(Field("workspace"), "=", workspace)


#: What each parameter is called with, by its name; by METHOD.NAME or REPOSITORY.METHOD.NAME where
#: the name alone does not say it.
ARGUMENTS: dict[str, list[Any]] = {
    "about": [About("artifact_")],
    "after": [None],
    "aggregates": [["last", "count"]],
    "artifact": both(model_of),
    "artifact_type": ["model"],
    "artifacts": both(lambda workspace: [model_of(workspace)]),
    "asset": both(lambda workspace: f"{workspace}-asset"),
    "axis": ["time"],
    "nearest.axis": ["step", "time"],
    "nearest.to": [2, NOW_US + 2],
    "nearest.most": [1, 3],
    "buckets.axis": ["step"],
    "behind": [None],
    "runs_with_odd_clocks.clock": [Clock(NOW_US, 10**13)],
    "chart": [
        *[chart_of("own", "other", axis=axis) for axis in get_args(ChartAxis)],
        in_lanes(chart_of("own", "other")),
    ],
    "fields.attributes.kinds": [["parameter", "other", "environment"]],
    "fields.columns.columns": [["tags", "status", "workspace"]],
    "fields.attributes.prefix": [""],
    "fields.metrics.prefix": [""],
    "fields.attributes.values": [5],
    "fields.columns.values": [5],
    "groups.width": [256],
    "new_points.series": [[(one.run, one.metric) for one in ends_of("own", "other", axis="step")]],
    "new_points.times": [False, True],
    "buckets.parts": [tail_parts(ends_of("own", "other", axis=axis), 8) for axis in get_args(TailAxis)],
    "per_series": [1000],
    "members": [[[0]] * len(series_of("own", "other").runs)],
    "widths": [{width: series_of("own", "other").runs} for width in (1, 256)],
    "clock": [Clock(NOW_US, 60_000_000)],
    "curves": [[curve_of("own")], [curve_of("other")], [curve_of("own"), curve_of("other")]],
    "entity": both(lambda workspace: entity_of(f"{workspace}-entity-0")),
    **{f"entities.{method}.kind": ["thing"] for method in ("find", "with_id", "page")},
    "entities.listed.kind": ["thing"],
    "listed.members": [["about"]],
    "listed.where": [{}, {"about": "own"}, {"about": "other"}],
    "entities.find.name": both(lambda workspace: f"{workspace}-entity-1"),
    "entities.page.prefix": [""],
    "entities.outcome.key": [f"{workspace}/p" for workspace in SIZES],
    "entities.outcome.seq": [120, 220],
    "expression": [Compare(Field("deleted"), "=", False), *both(lambda workspace: of_workspace(workspace))],
    "key": [key for workspace in SIZES for key in keys_of(workspace)],
    "kind": ["parameter"],
    "printed": both(lambda workspace: Printed(names_of(workspace, "run")[0])),
    "lines.writers.writer": [None],
    "blocks.writers": [[1]],
    "blocks.width": [1 << 20],
    "blocks.pattern": [None, Pattern("says"), Pattern("^own|^other", is_regex=True)],
    "lines.pieces.writer": [1],
    "lines.pieces.lines": [(0, 10)],
    "lines.matching.writer": [1],
    "pattern": [Pattern("says")],
    "span": [Span(0, 100)],
    "at_us": [NOW_US],
    "chars": [100],
    "among.files": both(lambda workspace: [(names_of(workspace, "run")[0], f"{workspace}-asset")]),
    "assets.of_run.kind": ["model"],
    "names_of_kind.kind": ["model"],
    "kinds": [[Kind("parameter"), Kind("other", ["shared"])]],
    "limit": [1000],
    "member": ["about"],
    "metrics": [["*", "shared"]],
    "known_metrics.metrics": [["shared", "own/loss", "other/loss"]],
    "curves.metrics": [["shared", "own/loss", "other/loss"]],
    "name": both(lambda workspace: f"{workspace}.bin"),
    "ids_named.name": ["shared.bin"],
    "text_by_run.name": ["shared"],
    "text_by_run_of_projects.name": ["shared"],
    "attributes.counts.names": [["shared"]],
    "series.first_points.metric": ["shared"],
    "series.progress.metric": ["shared"],
    "series.first_points.runs": both(lambda workspace: names_of(workspace, "run")),
    "steps": [[1, 3]],
    "until": [5],
    "names": [series_of("own"), series_of("other"), series_of("own", "other")],
    "piece.names": [Names((names_of(workspace, "run")[0],), ("shared",)) for workspace in SIZES],
    "offset": [106, 208],
    "matching.offset": [0],
    "order": [RunOrder()],
    "ordinal": [1],
    "ordinals": [[1, 2, 3]],
    "part": [0],
    "place": [EventPlace(0, 10_000, 0)],
    "prefix": [Positions({0: 10_000})],
    "changed.prefix": [Positions({0: 175}), Positions({0: 275})],
    "candidates": [Candidates(), *both(lambda workspace: Candidates(workspaces=frozenset({workspace})))],
    "unchanged.columns": [["name", "started_at"]],
    "prefixes": [["own", "other", "sh"]],
    "project": ["p"],
    "projects": [[("own", "p")], [("other", "p")], [("own", "p"), ("other", "p")]],
    "query": [ArtifactQuery(), *both(lambda workspace: ArtifactQuery(workspace=workspace))],
    "question": [Question(None, parse_sort(sort), None, Clock(NOW_US, 60_000_000)) for sort in ("-created", SORT)],
    "run": both(lambda workspace: names_of(workspace, "run")[0]),
    "runs": both(lambda workspace: names_of(workspace, "run")),
    "seen": [Positions({})],
    "selection": [Selection(), *both(lambda workspace: Selection(workspace=workspace))],
    "seq": [101, 201],
    "text_bytes": [100_000],
    "type_": ["parameters_logged.v1"],
    "value": [f'"{workspace}-value"' for workspace in SIZES],
    "versions": both(lambda workspace: [(model_of(workspace), 1)]),
    "versions_remarked.value": both(str),
    "wanted": [Range()],
    "width": [1, 256],
    "workspace": both(str),
    "within": [Place(), *both(lambda workspace: Place(workspace=workspace))],
    "writer": [WRITER],
    "writers": [[WRITER]],
    "series.last_points.writers": [dict.fromkeys((*names_of("own", "run"), *names_of("other", "run")), (7,))],
    **{
        f"{method}.wanted": [
            ProjectRuns("own", "p", tuple(names_of("other", "run"))),
            ProjectRuns("other", "p", tuple(names_of("own", "run"))),
        ]
        for method in ("metrics_of_project", "tags_of_project", "state_counts", "attributes.counts")
    },
}


@dataclass(frozen=True)
class Case:
    """One call of a method, without its scope."""

    repository: str
    method: str
    arguments: dict[str, Any]


class NoStore:
    """The reader of repositories that are only looked at."""

    async def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, of: QueryClass = QueryClass.WORKER
    ) -> pa.Table:
        raise AssertionError(f"nothing is to be read: {sql}")


def methods() -> Iterator[tuple[str, str, Any]]:
    """Every public method of every repository: (repository, name, function)."""
    for repository, value in vars(Repositories.over(NoStore(), QueryClass.LIGHT)).items():
        if repository != "reader":
            for name, function in inspect.getmembers(type(value), inspect.isfunction):
                if not name.startswith("_"):
                    yield repository, name, function


METHODS = [(repository, name) for repository, name, _ in methods()]


def cases_of(repository: str, name: str, function: Any) -> list[Case]:
    cases = [Case(repository, name, {})]
    for parameter in list(inspect.signature(function).parameters.values())[2:]:
        names = (f"{repository}.{name}.{parameter.name}", f"{name}.{parameter.name}", parameter.name)
        values = next((ARGUMENTS[one] for one in names if one in ARGUMENTS), None)
        if values is None and parameter.default is not parameter.empty:
            continue
        assert values is not None, f"say in ARGUMENTS what {repository}.{name} is called with as {parameter.name}"
        cases = [Case(repository, name, {**case.arguments, parameter.name: one}) for case in cases for one in values]
    return cases


CASES = [case for method in methods() for case in cases_of(*method)]


async def value_of(store: Any, case: Case, scope: Scope) -> str:
    """What a call gives, as a text that says all of it."""
    repository = getattr(Repositories.over(store, QueryClass.LIGHT), case.repository)
    called = getattr(repository, case.method)(scope, **case.arguments)
    result = [one async for one in called] if inspect.isasyncgen(called) else await called
    return repr(_plain(result))


def _plain(value: Any) -> Any:
    """The value by the types of Python; lists by their members, of which not all methods say the order."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [type(value).__name__, *(_plain(getattr(value, field.name)) for field in dataclasses.fields(value))]
    if isinstance(value, pa.Table):
        return _plain(value.to_pylist())
    if isinstance(value, dict):
        return sorted((repr(name), repr(_plain(one))) for name, one in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return sorted(repr(_plain(one)) for one in value)
    return value


Values = dict[str, list[str]]
#: What is read of runs that moved: of both workspaces together there is what `everything` has.
SCOPES = {"own": OWN, "other": OTHER, "everything": EVERYTHING}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Values]:
    """The values of all CASES, by what they were read of and with."""
    store = tables.open_store(tmp_path_factory.mktemp("store"))

    async def values(scope: Scope) -> list[str]:
        return [await value_of(store, case, scope) for case in CASES]

    async def read() -> Values:
        service = Service(store, CountingStore(store), LocalAssets(tmp_path_factory.mktemp("assets")))
        read = {"empty": await values(EVERYTHING)}
        await fill(service, "own")
        read["alone"] = await values(EVERYTHING)
        await fill(service, "other")
        return read | {
            "of nothing": await values(NOTHING),
            "of own": await values(OWN),
            "of both": await values(BOTH),
            "of everything": await values(EVERYTHING),
        }

    async def read_moved() -> Values:
        service = Service(store, CountingStore(store), LocalAssets(tmp_path_factory.mktemp("assets")))
        await service.insert("run_states", *map(moved_state_of, range(SIZES["own"])))
        return {f"moved, {name}": await values(scope) for name, scope in SCOPES.items()}

    async def read_there_from_the_beginning() -> Values:
        service = Service(store, CountingStore(store), LocalAssets(tmp_path_factory.mktemp("assets")))
        await fill(service, "own", [moved_state_of(number) for number in range(SIZES["own"])])
        await fill(service, "other")
        return {f"there, {name}": await values(scope) for name, scope in SCOPES.items()}

    read_values = asyncio.run(read()) | asyncio.run(read_moved())
    asyncio.run(store.close())
    store = tables.open_store(tmp_path_factory.mktemp("store"))
    yield read_values | asyncio.run(read_there_from_the_beginning())
    asyncio.run(store.close())


def differing(found: Values, one: str, another: str, repository: str, name: str) -> list[Any]:
    return [
        (case.arguments, was, became)
        for case, was, became in zip(CASES, found[one], found[another], strict=True)
        if (case.repository, case.method) == (repository, name) and was != became
    ]


@pytest.mark.parametrize(("repository", "name"), METHODS)
def test_a_method_sees_its_scope_and_nothing_else(found: Values, repository: str, name: str) -> None:
    assert not differing(found, "alone", "of own", repository, name), "it shows something of the other workspace"
    assert not differing(found, "empty", "of nothing", repository, name), "it shows something to who may see nothing"
    assert not differing(found, "of both", "of everything", repository, name), "it hides something of its scope"
    # Where nothing differed by the data, the above would have shown nothing.
    assert differing(found, "empty", "alone", repository, name), "it shows nothing of its own workspace"
    assert differing(found, "of own", "of everything", repository, name), "nothing of the other workspace is asked for"


@pytest.mark.parametrize(("repository", "name"), METHODS)
def test_a_method_takes_a_scope_first(repository: str, name: str) -> None:
    function = next(function for *method, function in methods() if method == [repository, name])
    _, first, *_ = inspect.signature(function, eval_str=True).parameters.values()
    assert (first.name, first.annotation) == ("scope", Scope)


#: What they read is what was once in a project: a run that moved away was.
OF_THE_PAST = {("runs", "were_in_project"), ("attributes", "text_by_run_of_projects")}


@pytest.mark.parametrize(("repository", "name"), [method for method in METHODS if method not in OF_THE_PAST])
def test_a_run_that_moved_is_seen_where_it_is(found: Values, repository: str, name: str) -> None:
    for scope in SCOPES:
        assert not differing(found, f"moved, {scope}", f"there, {scope}", repository, name), scope


def test_a_run_that_moved_is_gone_from_where_it_was(found: Values) -> None:
    """Its points, summaries, values, files, output, events and marks: each method that showed some of them."""
    changed = {
        (case.repository, case.method)
        for case, was, became in zip(CASES, found["of own"], found["moved, own"], strict=True)
        if was != became
    }
    assert {repository for repository, _ in changed} >= {
        "runs",
        "series",
        "summaries",
        "attributes",
        "assets",
        "output",
        "events",
        "watermarks",
    }
