"""The REST methods that write one experiment. Each responds when what it wrote can be read."""

import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final
from urllib.parse import quote

from aiohttp import web

from runstream.events.control import (
    AssetDeleted,
    EnvironmentCaptured,
    OthersLogged,
    ParametersDeleted,
    ParametersLogged,
    ProjectCreated,
    RunArchived,
    RunDeleted,
    RunEvent,
    RunFinished,
    RunLinked,
    RunMoved,
    RunRenamed,
    RunRestored,
    RunStarted,
    RunStatusChanged,
    RunTimesSet,
    TagsRemoved,
)
from runstream.events.names import project_key
from runstream_protocols.comet.conventions import (
    ADDITIONAL,
    CAPTURED,
    DEFAULT_PROJECT,
    DEFAULT_WORKSPACE,
    HISTOGRAM,
    PACKAGES,
    PROGRAM,
    SECTION,
    combined_histograms_id,
    is_combined,
)
from runstream_protocols.comet.errors import refused
from runstream_protocols.comet.paths import address_of
from runstream_protocols.comet.writes.experiments import checked_key, existing, experiment_of, key_of, place
from runstream_protocols.comet.writes.frames import value_of
from runstream_protocols.comet.writes.live import BEAT_MS, MONITOR_MS
from runstream_protocols.kit.attempts import ENDED, STARTED, attempt_frame, attempt_writer
from runstream_protocols.kit.payloads import Payload
from runstream_protocols.kit.points import values_frames
from runstream_protocols.kit.recorder import Recorder
from runstream_protocols.kit.statements import Statement
from runstream_protocols.kit.values import at_us_of, bounded, fitted, grouped, parameter_name, tags_of, text_of
from runstream_service.turns import in_turns, worked

Response = dict[str, object]
Handler = Callable[[Recorder, web.Request, Payload], Awaitable[Response]]

#: Experiments of one request: each is looked up, or has an append of its own.
_MAX_KEYS: Final = 1_000
#: Names in one event: 100 of 500 characters, each of up to 4 bytes, are 200 kB.
_NAMES: Final = 100
#: The other value that is the experiment's name.
_NAME: Final = "Name"
_NAME_BYTES: Final = 250


async def create(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    """An experiment that requests write: it is running until one of them says that it is over."""
    key = uuid.uuid4().hex
    workspace = place("workspace", payload.optional("workspaceName") or DEFAULT_WORKSPACE)
    project = place("project", payload.optional("projectName") or DEFAULT_PROJECT)
    name = payload.optional("experimentName")
    writer = attempt_writer(key, "created")
    now_us = recorder.stamp()
    started = RunStarted(
        at_us=now_us,
        workspace=workspace,
        project=project,
        name=fitted(name, _NAME_BYTES) if name else None,
        heartbeats=False,
    )
    await recorder.append(Statement(key, b"", now_us), [attempt_frame(writer, key, STARTED, started)])
    recorder.known_runs.remember(key)
    return {"experimentKey": key, "msg": "created"}


async def keep_alive(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    """A sign of life of an experiment that is written by REST: it runs until they stop coming."""
    key = await experiment_of(recorder, payload)
    known = await recorder.lookup.run(key)
    writer = _kept_alive(key)
    now_us = recorder.stamp()
    workspace, project = (known.workspace, known.project) if known else (DEFAULT_WORKSPACE, DEFAULT_PROJECT)
    started = RunStarted(at_us=now_us, workspace=workspace, project=project, resumed=True)
    await recorder.append(Statement(key, b"", now_us), [attempt_frame(writer, key, STARTED, started)])
    return {
        "isAliveBeatDurationMillis": BEAT_MS,
        "gpuMonitorIntervalMillis": MONITOR_MS,
        "cpuMonitorIntervalMillis": MONITOR_MS,
    }


async def metric(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    key = await experiment_of(recorder, payload)
    value = value_of(payload.fields)
    if not isinstance(payload.fields.get("metricName"), str):
        payload.loose_text("metricName")
    statement = recorder.statement(key, payload.content, value.at_us)
    await recorder.append(statement, values_frames(statement, [value]))
    return {}


def system_metrics(read: Callable[[Mapping[str, Any]], Iterator[tuple[str, Any]]]) -> Handler:
    """What a machine measured, as metrics of the names that the live client gives them."""

    async def handle(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
        key = await experiment_of(recorder, payload)
        shared = {name: payload.fields.get(name) for name in ("step", "epoch", "timestamp", "context")}
        values = [
            value_of({**shared, "metricName": name, "metricValue": number})
            async for name, number in in_turns(islice(read(payload.fields), payload.max_items))
        ]
        at_us = values[0].at_us if values else None
        statement = recorder.statement(key, payload.content, at_us)
        frames = await worked(len(values), values_frames, statement, values)
        await recorder.append(statement, frames)
        return {}

    return handle


def of_cpu(fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for number, percent in enumerate(_list_of(fields, "cpuPercentUtilization"), start=1):
        yield f"sys.cpu.percent.{number:02d}", percent


def of_gpu(fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    names = {
        "freeMemory": "free_memory",
        "usedMemory": "used_memory",
        "gpuUtilization": "gpu_utilization",
        "totalMemory": "total_memory",
    }
    for gpu in _list_of(fields, "gpus"):
        for theirs, name in names.items():
            if isinstance(gpu, dict) and theirs in gpu:
                yield f"sys.gpu.{gpu.get('gpuId', 0)}.{name}", gpu[theirs]


def _list_of(fields: Mapping[str, Any], name: str) -> list[Any]:
    found = fields.get(name)
    return found if isinstance(found, list) else []


def of_ram(fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "sys.ram.total", fields.get("totalRam")
    yield "sys.ram.used", fields.get("usedRam")


def of_load(fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "sys.load.avg", fields.get("loadAverage")


async def parameter(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    name = parameter_name(payload.loose_text("parameterName"))
    at_us = at_us_of(payload.fields.get("timestamp"))
    values = {name: _value(payload)}
    return await _record(recorder, payload, lambda at: ParametersLogged(at_us=at, values=values), at_us)


def _value(payload: Payload) -> object:
    return bounded(payload.fields.get("parameterValue"))


async def delete_parameter(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    name = parameter_name(payload.loose_text("parameterName"))
    return await _record(recorder, payload, lambda at: ParametersDeleted(at_us=at, names=(name,)))


async def delete_parameters(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    """A list of (experiment, parameter): usually of one experiment."""
    by_key: dict[str, list[str]] = {}
    async for item in in_turns(payload.listed("items")):
        one = Payload(item if isinstance(item, dict) else {}, b"")
        by_key.setdefault(key_of(one), []).append(parameter_name(one.loose_text("parameterName")))
    if len(by_key) > _MAX_KEYS:
        raise refused(f"{len(by_key)} experiments are named, at most {_MAX_KEYS} can be at once", status=413)
    for key in by_key:
        await recorder.require(key)
    for key, names in by_key.items():
        portions = [tuple(names[at : at + _NAMES]) for at in range(0, len(names), _NAMES)]
        await recorder.record(
            key, payload.content, [ParametersDeleted(at_us=recorder.stamp(), names=some) for some in portions]
        )
    return {}


async def other(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    """Another value. The one called Name is the experiment's name."""
    name, value = payload.loose_text("key"), payload.fields.get("value")
    at_us = at_us_of(payload.fields.get("timestamp"))
    if name == _NAME and value not in (None, ""):
        return await _record(recorder, payload, lambda at: RunRenamed(at_us=at, name=fitted(value, _NAME_BYTES)), at_us)
    fitting = parameter_name(name)
    return await _record(recorder, payload, lambda at: OthersLogged(at_us=at, values={fitting: bounded(value)}), at_us)


async def delete_tags(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    key = await experiment_of(recorder, payload)
    listed = payload.listed("tags")
    events = [TagsRemoved(at_us=recorder.stamp(), tags=tags) async for tags in in_turns(tags_of(listed))]
    await recorder.record(key, payload.content, events)
    return {}


async def file_path(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    section, name = PROGRAM
    path = bounded(payload.loose_text("filePath"))
    return await _record(
        recorder, payload, lambda at: EnvironmentCaptured(at_us=at, section=section, values={name: path})
    )


async def system_details(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    """Facts about the machine, each replacing what was given before; additional ones by their own keys. Where the
    SDK captures a fact too, it is kept as if the SDK had."""
    sections: dict[str, dict[str, Any]] = {}
    for name, value in payload.fields.items():
        if name in ("experimentKey", "apiKey") or value is None:
            continue
        if name == "installedPackages" and isinstance(value, list):
            sections.setdefault(PACKAGES, {}).update(_packages(value))
        elif name == "logAdditionalSystemInfoList" and isinstance(value, list):
            added = {str(fact.get("key")): fact.get("value") for fact in value if isinstance(fact, dict)}
            sections.setdefault(ADDITIONAL, {}).update(added)
        else:
            section, fact_name = CAPTURED.get(name, (SECTION, name))
            sections.setdefault(section, {})[fact_name] = value
    await _capture(recorder, await experiment_of(recorder, payload), payload, sections)
    return {}


def _packages(listed: list[Any]) -> dict[str, Any]:
    """Versions by name; what has no version is a name."""
    pairs = (str(item).partition("==") for item in listed)
    return {name.strip(): version or None for name, _, version in pairs if name.strip()}


async def cloud_details(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    facts = {"provider": payload.fields.get("provider"), "metadata": payload.fields.get("metadata")}
    await _capture(recorder, await experiment_of(recorder, payload), payload, {"cloud": facts})
    return {}


async def dependencies(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    """Packages by name and version, beside those that are known."""
    found = {
        str(one["name"]): one.get("version")
        for one in payload.listed("logDependencies")
        if isinstance(one, dict) and one.get("name")
    }
    await _capture(recorder, await experiment_of(recorder, payload), payload, {PACKAGES: found})
    return {}


async def git_metadata(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    names = {"root": "root", "branch": "branch", "parent": "commit", "origin": "remote"}
    facts = {ours: payload.fields[name] for name, ours in names.items() if payload.fields.get(name) is not None}
    sections = {"git": facts}
    if payload.fields.get("user") is not None:
        sections["git"]["user"] = payload.fields["user"]
    await _capture(recorder, await experiment_of(recorder, payload), payload, sections)
    return {}


async def _capture(recorder: Recorder, key: str, payload: Payload, sections: Mapping[str, Mapping[str, Any]]) -> None:
    events: list[RunEvent] = []
    for section, facts in sections.items():
        if len(facts) > payload.max_items:
            raise refused(f"{len(facts)} facts are given, at most {payload.max_items} can be at once", status=413)
        kept = {fitted(name, 400): bounded(value) async for name, value in in_turns(facts.items())}
        groups = await worked(len(kept), _groups, kept)
        events += [EnvironmentCaptured(at_us=recorder.stamp(), section=section, values=some) for some in groups]
    if events:
        await recorder.record(key, payload.content, events)


def _groups(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list(grouped(facts))


async def times(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    """When it began and ended; null leaves a time as it is."""
    began, ended = at_us_of(payload.fields.get("startTimeMillis")), at_us_of(payload.fields.get("endTimeMillis"))
    return await _record(recorder, payload, lambda at: RunTimesSet(at_us=at, started_at_us=began, ended_at_us=ended))


async def update_status(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    """Running, finished or crashed, as somebody says, with the error that ended it; or an error of the client's own (a
    picture that was none), which ends nothing."""
    error = bounded(text_of(payload.optional("error")))
    if payload.flag("hasCrashed"):
        return await _record(recorder, payload, lambda at: RunStatusChanged(at_us=at, status="failed", message=error))
    if error:
        values = {"error": error}
        return await _record(
            recorder, payload, lambda at: EnvironmentCaptured(at_us=at, section=SECTION, values=values)
        )
    if payload.flag("isAlive"):
        await _end_signs_of_life(recorder, payload)
        return await _record(recorder, payload, lambda at: RunStatusChanged(at_us=at, status="running"))
    return await _record(recorder, payload, lambda at: RunStatusChanged(at_us=at, status="finished"))


async def _end_signs_of_life(recorder: Recorder, payload: Payload) -> None:
    """Wait for no more signs of life by `keep_alive`: without them, what was said would not hold for long."""
    key = await experiment_of(recorder, payload)
    known, writer = await recorder.lookup.run(key), _kept_alive(key)
    if known is not None and writer in known.writers:
        now_us = recorder.stamp()
        ended = attempt_frame(writer, key, ENDED, RunFinished(at_us=now_us))
        await recorder.append(Statement(key, b"", now_us), [ended], wait=False)


def _kept_alive(key: str) -> str:
    return attempt_writer(key, "kept alive")


def of_state(event: Callable[[int], RunEvent]) -> Handler:
    """A change that needs no more than the key: archive, restore, delete, stop."""

    async def handle(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
        return await _record(recorder, payload, event)

    return handle


archive = of_state(lambda at: RunArchived(at_us=at))
restore = of_state(lambda at: RunRestored(at_us=at))
delete = of_state(lambda at: RunDeleted(at_us=at))
stop = of_state(lambda at: RunStatusChanged(at_us=at, status="killed", message="stopped by hand"))


async def delete_asset(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    """An asset; of histograms that are shown as one, all."""
    asset_id = payload.text("assetId")
    if not is_combined(asset_id):
        return await _record(recorder, payload, lambda at: AssetDeleted(at_us=at, asset_id=asset_id))
    key = await experiment_of(recorder, payload)
    parts = await recorder.lookup.run_files(key, HISTOGRAM)
    gone = [one.asset for one in parts if combined_histograms_id(key, one.name) == asset_id]
    await recorder.record(key, payload.content, [AssetDeleted(at_us=recorder.stamp(), asset_id=one) for one in gone])
    return {}


async def move(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    """Experiments into another project, which needs not be there; or links to them, and they stay where they are."""
    workspace = place("workspace", payload.optional("targetWorkspaceName") or DEFAULT_WORKSPACE)
    project = place("project", payload.text("targetProjectName"))
    await recorder.require(project_key(workspace, project))
    keys = [checked_key(key) for key in payload.listed("experimentKeys", _MAX_KEYS)]
    for key in keys:
        await existing(recorder, key)
    if payload.flag("symlink"):
        await _link(recorder, payload, keys, workspace, project)
        return {}
    for key in keys:
        moved = RunMoved(at_us=recorder.stamp(), workspace=workspace, project=project)
        await recorder.record(key, payload.content, [moved], wait=key == keys[-1])
    return {}


async def symlink(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    """A link to an experiment in another project of its workspace."""
    key, project = await experiment_of(recorder, payload), place("project", payload.text("projectName"))
    known = await recorder.lookup.run(key)
    workspace = known.workspace if known else DEFAULT_WORKSPACE
    await _link(recorder, payload, [key], workspace, project)
    where = f"{quote(workspace)}/{quote(project)}/{key}"
    return {"link": f"{address_of(request)}/{where}"}


async def _link(recorder: Recorder, payload: Payload, keys: Sequence[str], workspace: str, project: str) -> None:
    """Show the experiments in that project too, which is created if it is missing."""
    created = ProjectCreated(at_us=recorder.stamp(), workspace=workspace, project=project)
    await recorder.record(project_key(workspace, project), payload.content, [created], wait=False)
    for key in keys:
        linked = RunLinked(at_us=recorder.stamp(), workspace=workspace, project=project)
        await recorder.record(key, payload.content, [linked], wait=False)
    await recorder.settled()


async def _record(
    recorder: Recorder, payload: Payload, event: Callable[[int], RunEvent], at_us: int | None = None
) -> Response:
    key = await experiment_of(recorder, payload)
    await recorder.record(key, payload.content, [event(recorder.stamp() if at_us is None else at_us)], at_us=at_us)
    return {}
