"""A live experiment: the handshake, signs of life, and batches of values."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from aiohttp import web

from runstream.events.control import (
    ParametersLogged,
    RunFinished,
    RunStarted,
    RunTimesSet,
    TagsAdded,
)
from runstream.events.names import project_id
from runstream_protocols.comet.conventions import DEFAULT_PROJECT, DEFAULT_WORKSPACE
from runstream_protocols.comet.errors import EXPERIMENT_EXISTS, no_experiment, refused
from runstream_protocols.comet.paths import address_of
from runstream_protocols.comet.writes.experiments import checked_key, experiment_of, key_of, place
from runstream_protocols.comet.writes.frames import Line, output_frames, value_of
from runstream_protocols.kit.attempts import ENDED, STARTED, alive_frame, attempt_frame, attempt_writer
from runstream_protocols.kit.payloads import Payload
from runstream_protocols.kit.points import values_frames
from runstream_protocols.kit.recorder import Recorder
from runstream_protocols.kit.statements import Statement
from runstream_protocols.kit.values import (
    at_us_of,
    bounded,
    grouped,
    parameter_name,
    step_of,
    tags_of,
    text_of,
)
from runstream_service.lookup import KnownRun
from runstream_service.problems import Problem
from runstream_service.turns import in_turns, worked

#: A run whose writers are silent for 30 s has crashed: three signs of life may be late or lost.
BEAT_MS = 5_000
#: Who was heard within two beats, and a little, is alive.
_ALIVE_US = (2 * BEAT_MS + 2_000) * 1_000
#: How often the client looks at the machine.
MONITOR_MS = 15_000
#: How often it sends parameters that changed.
PARAMETERS_MS = 10_000
_FILE_LIMIT_MB = 100 * 1024
#: The client's own numbers.
_MAX_POINTS_IN_SPACE = 1_000_000
_MAX_BOXES_IN_SPACE = 250_000
#: Places in the output that the client counts on from ours are beyond; those of a count that begins at 0 are not.
_OUR_PLACES = 10**12
#: A place times the pieces of a line is a number of 64 bits.
_LAST_PLACE = 2**53


async def add_run(recorder: Recorder, request: web.Request, payload: Payload) -> dict[str, object]:
    """Begin an experiment whose key the client made. The same request again has the response of the first time."""
    key = key_of(payload)
    workspace = place("workspace", payload.optional("teamName") or DEFAULT_WORKSPACE)
    project = place("project", payload.optional("projectName") or DEFAULT_PROJECT)
    writer = attempt_writer(key, f"add {payload.fields.get('local_timestamp')}")
    known = await recorder.lookup.run(key)
    if known is not None:
        await recorder.require(key)
    again = known is not None and writer in known.writers
    if known is not None and not again and not payload.flag("getOrCreateEnabled"):
        detail = f"there is an experiment with the key {key} in {known.workspace}/{known.project} already"
        raise refused(detail, code=EXPERIMENT_EXISTS)
    started = RunStarted(
        at_us=_time_of(payload, recorder),
        workspace=workspace,
        project=project,
        resumed=known is not None and not again,
        sdk_version=_version(payload),
    )
    await _begin(recorder, key, writer, started)
    if known is not None:
        workspace, project = known.workspace, known.project
    return _handshake(recorder, request, key, writer, (workspace, project), known)


async def get_run(recorder: Recorder, request: web.Request, payload: Payload) -> dict[str, object]:
    """Go on with an experiment: a new attempt, or one more writer where another one is alive. Who was killed a moment
    ago cannot be told from one that is alive, and would leave the run crashed: so two beats decide, not the 30 s that
    others are given."""
    key = checked_key(payload.fields.get("previousExperiment"))
    known = await recorder.lookup.run(key)
    if known is None or known.deleted:
        raise no_experiment(key)
    await recorder.require(key)
    writer = attempt_writer(key, f"get {payload.fields.get('local_timestamp')}")
    started = RunStarted(
        at_us=_time_of(payload, recorder),
        workspace=known.workspace,
        project=known.project,
        resumed=not _is_alive(known, recorder.now_us()),
        sdk_version=_version(payload),
    )
    await _begin(recorder, key, writer, started)
    return _handshake(recorder, request, key, writer, (known.workspace, known.project), known)


def _is_alive(known: KnownRun, now_us: int) -> bool:
    return known.heard_at_us is not None and now_us - known.heard_at_us < _ALIVE_US


async def _begin(recorder: Recorder, key: str, writer: str, started: RunStarted) -> None:
    frame = attempt_frame(writer, key, STARTED, started)
    positions = await recorder.append(Statement(key, b"", started.at_us), [frame], wait=False)
    if not await recorder.can_be_found(positions):
        detail = f"experiment {key} is written down, but other gateways cannot see it yet: ask again"
        raise Problem(503, "not-visible", "Not visible yet", detail, retry_after_s=1, msg=detail)
    recorder.known_runs.remember(key)


def _handshake(
    recorder: Recorder, request: web.Request, key: str, writer: str, names: tuple[str, str], known: KnownRun | None
) -> dict[str, object]:
    workspace, project = names
    return {
        "runId": writer,
        "project_id": project_id(workspace, project),
        "focusUrl": f"{address_of(request)}/{quote(workspace)}/{quote(project)}/",
        "name": known.name if known and known.name != key else None,
        # Lines count on from here, so that those of a later attempt stand behind those of an earlier one.
        "lastOffset": recorder.stamp(),
        "upload_file_size_limit_in_mb": _FILE_LIMIT_MB,
        "uploadVideoMaxSizeMB": _FILE_LIMIT_MB,
        "asset_upload_file_size_limit_in_mb": _FILE_LIMIT_MB,
        "s3DirectAccessEnabled": False,
        "assetNameMaxLength": 1000,
        "imageNameMaxLength": 1000,
        "featureToggles": [],
    }


async def status(recorder: Recorder, request: web.Request, payload: Payload) -> dict[str, object]:
    """A sign of life, or that the experiment is over."""
    key, writer = await experiment_of(recorder, payload), payload.text("runId")
    if len(writer) != 32 or not all(letter in "0123456789abcdef" for letter in writer):
        raise refused(f"runId is {writer!r}: give the one of the handshake")
    now_us = recorder.now_us()
    alive = payload.fields.get("is_alive") is not False
    if alive:
        frame = alive_frame(writer, key)
    else:
        frame = attempt_frame(writer, key, ENDED, RunFinished(at_us=_time_of(payload, recorder)))
    await recorder.append(Statement(key, b"", now_us), [frame], wait=not alive)
    return {
        "is_alive_beat_duration_millis": BEAT_MS,
        "gpu_monitor_interval_millis": MONITOR_MS,
        "cpu_monitor_interval_millis": MONITOR_MS,
        "parameter_update_interval_millis": PARAMETERS_MS,
        "pending_rpcs": False,
    }


async def offline_times(recorder: Recorder, request: web.Request, payload: Payload) -> dict[str, object]:
    """When an experiment that was uploaded later began and ended."""
    times = RunTimesSet(
        at_us=recorder.stamp(),
        started_at_us=at_us_of(payload.fields.get("startTimestamp")),
        ended_at_us=at_us_of(payload.fields.get("endTimestamp")),
    )
    await recorder.record(await experiment_of(recorder, payload), payload.content, [times])
    return {}


async def metrics(recorder: Recorder, request: web.Request, payload: Payload) -> dict[str, object]:
    """A batch of values, durable when it has its response. No odd value is refused: the client would drop the batch."""
    key = await experiment_of(recorder, payload)
    values = [value_of(one) async for one in in_turns(payload.listed("values")) if isinstance(one, dict)]
    at_us = next((value.at_us for value in values if value.at_us is not None), None)
    statement = recorder.statement(key, payload.content, at_us)
    frames = await worked(len(values), values_frames, statement, values)
    await recorder.append(statement, frames, wait=False)
    return {}


async def parameters(recorder: Recorder, request: web.Request, payload: Payload) -> dict[str, object]:
    """A batch of parameters, each with the time at which it was logged: the last of a name counts."""
    key = await experiment_of(recorder, payload)
    found = [one for one in payload.listed("values") if isinstance(one, dict)]
    at_us = next((at for one in found if (at := at_us_of(one.get("timestamp"))) is not None), None)
    moment = recorder.stamp() if at_us is None else at_us
    named = {
        parameter_name(one.get("parameterName"), one.get("context")): (
            moment if (at := at_us_of(one.get("timestamp"))) is None else at,
            bounded(one.get("parameterValue")),
        )
        async for one in in_turns(found)
    }
    events = await worked(len(named), _parameter_events, named)
    await recorder.record(key, payload.content, events, at_us=at_us, wait=False)
    return {}


def _parameter_events(named: Mapping[str, tuple[int, Any]]) -> list[ParametersLogged]:
    by_time: dict[int, dict[str, Any]] = {}
    for name, (at_us, value) in named.items():
        by_time.setdefault(at_us, {})[name] = value
    return [ParametersLogged(at_us=at_us, values=some) for at_us, values in by_time.items() for some in grouped(values)]


async def tags(recorder: Recorder, request: web.Request, payload: Payload) -> dict[str, object]:
    key = await experiment_of(recorder, payload)
    events = [
        TagsAdded(at_us=recorder.stamp(), tags=tags) async for tags in in_turns(tags_of(payload.listed("addedTags")))
    ]
    await recorder.record(key, payload.content, events)
    return {}


async def output(recorder: Recorder, request: web.Request, payload: Payload) -> dict[str, object]:
    """Lines that were printed. Those of a live experiment count on from the handshake's `lastOffset`; the offsets of
    `log_output` begin at 0 each time and mean nothing, and neither does its clock: those stand where they arrive."""
    key = await experiment_of(recorder, payload)
    found = [one for one in payload.listed("outputLines") if isinstance(one, dict)]
    offsets = [step_of(one.get("offset")) or 0 for one in found]
    live = (
        bool(offsets)
        and _OUR_PLACES <= offsets[0] < _LAST_PLACE
        and offsets == [*range(offsets[0], offsets[0] + len(offsets))]
    )
    statement = recorder.statement(key, payload.content, recorder.now_us() if live else None)
    places = offsets if live else range(statement.at_us, statement.at_us + len(found))
    lines = [
        Line(place, text_of(one.get("output")) or "", bool(one.get("stderr")))
        async for place, one in in_turns(zip(places, found, strict=True))
    ]
    # Texts of 32 kB, which each take about as long as ten lines.
    size = len(lines) + sum(len(line.text) for line in lines) // 3_000
    frames = await worked(size, output_frames, key, lines, statement.at_us)
    await recorder.append(statement, frames, wait=not live)
    return {}


async def space_limits(recorder: Recorder, request: web.Request, payload: Payload) -> dict[str, object]:
    """Return how many points and boxes in space the client may send: it has numbers for when no server responds."""
    return {
        "maxPoints": _MAX_POINTS_IN_SPACE,
        "maxPointsFileSizeInBytes": _FILE_LIMIT_MB * 1024 * 1024,
        "maxBoxes": _MAX_BOXES_IN_SPACE,
        "maxBoxesFileSizeInBytes": _FILE_LIMIT_MB * 1024 * 1024,
    }


async def accepted(recorder: Recorder, request: web.Request, payload: Payload) -> dict[str, object]:
    """Nothing to be kept: a summary of what was kept."""
    return {}


def _time_of(payload: Payload, recorder: Recorder) -> int:
    return at_us_of(payload.fields.get("local_timestamp")) or recorder.now_us()


def _version(payload: Payload) -> str | None:
    version = payload.optional("libVersion")
    return f"comet_ml {version[:40]}" if version else None
