"""Events -> rows of the tables that hold single facts of a run: attribute_states, asset_states and output.

No state is kept. A row is the newest word on its key; the table's version is the log's offset, so of all events of
one frame, which share an offset, only the last word on a key becomes a row.
"""

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, assert_never

from runstream.events import artifacts as about_artifacts
from runstream.events import control, entities, limits
from runstream.events.control import (
    AnyEvent,
    AssetDeleted,
    AssetLogged,
    EnvironmentCaptured,
    OthersLogged,
    OutputAppended,
    ParametersDeleted,
    ParametersLogged,
)
from runstream_model.projection import COUNT, FLAG, INTEGER, NAME, NUMBER, POSITION, TEXT, TIME, Column, Projection

Row = dict[str, Any]

PARAMETER: Final = "parameter"
OTHER: Final = "other"
ENVIRONMENT: Final = "environment"

ATTRIBUTE_STATES: Final = Projection(
    name="attribute_states",
    version=2,
    key=("run", "kind", "name"),
    view="attributes",
    columns=(
        Column("run", NAME, "the run that it was logged to"),
        Column("kind", NAME, "parameter, other or environment"),
        Column("name", NAME, "its name; those of nested parameters are dotted"),
        Column("value", TEXT, "the value as JSON"),
        Column("text", TEXT, "what a person would read: a string without quotes"),
        Column("number", f"Nullable({NUMBER})", "the value as a number; NULL where it is none"),
        Column("at", TIME, "when it was logged"),
        Column("deleted", FLAG, "whether it was deleted"),
        *POSITION,
    ),
)
ASSET_STATES: Final = Projection(
    name="asset_states",
    version=2,
    key=("run", "asset"),
    view="assets",
    columns=(
        Column("run", NAME, "the run that it was logged to"),
        Column("asset", TEXT, "its id"),
        Column("name", TEXT, "its name"),
        Column("kind", NAME, "what kind of file it is, such as image or model"),
        Column("sha256", TEXT, "the hash that its bytes are kept under"),
        Column("size_bytes", COUNT, "how many bytes it has"),
        Column("content_type", NAME, "its media type"),
        Column("step", f"Nullable({INTEGER})", "the step that it was logged at; NULL: none"),
        Column("metadata", TEXT, "its metadata, as JSON"),
        Column("at", TIME, "when it was logged"),
        Column("deleted", FLAG, "whether it was deleted", internal=True),
        *POSITION,
        Column("context", NAME, "the part of the run that logged it, such as train; empty: not told apart"),
        # Of version 2. In rows of version 1 they are what their migration makes of ids and metadata.
        Column("role", NAME, "what it is to the run: code, graph, patch or page; empty: a file like others"),
        Column("location", TEXT, "where it is; empty: its bytes are here"),
        Column("model", TEXT, "the model that it is a file of; empty: of none, or of the one that its folder names"),
    ),
)
OUTPUT: Final = Projection(
    name="output",
    version=1,
    key=("run", "writer", "seq"),
    columns=(
        Column("run", NAME, "the run that printed it"),
        Column("writer", COUNT, "the first 64 bits of its writer's id"),
        Column("seq", COUNT, "its sequence number"),
        Column("at", TIME, "when it was printed"),
        Column("stream", NAME, "stdout or stderr"),
        Column("text", TEXT, "what was printed"),
        *POSITION,
        # The store works it out, in rows from before it too.
        Column("newlines", "UInt32", "how many lines end in it", internal=True, optional=True),
    ),
)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows by table: column name to value, times as integers (microseconds since 1970 UTC)."""

    attributes: list[Row]
    assets: list[Row]
    output: list[Row]


def rows_from_events(
    run_id: str,
    writer_id: str,
    events: Iterable[tuple[int, AnyEvent]],
    part: int,
    offset: int,
) -> Rows:
    """The rows of one frame's (seq, event) pairs, given in their order; events without rows here are passed over.

    At most one row for each attribute (run, kind, name) and asset (run, asset): the last one. `part` and `offset` are
    the record's. Pure; raises nothing for events that were decoded.
    """
    attributes: dict[tuple[str, str], Row] = {}
    assets: dict[str, Row] = {}
    output: list[Row] = []
    for seq, event in events:
        match event:
            case ParametersLogged() | OthersLogged() | EnvironmentCaptured():
                for kind, name, value in _named_values(event):
                    attributes[kind, name] = _attribute_row(run_id, kind, name, value, event.at_us, part, offset)
            case ParametersDeleted():
                for name in event.names:
                    attributes[PARAMETER, name] = _attribute_tombstone(run_id, name, event.at_us, part, offset)
            case AssetLogged():
                assets[event.asset_id] = _asset_row(run_id, event, part, offset)
            case AssetDeleted():
                assets[event.asset_id] = _asset_tombstone(run_id, event, part, offset)
            case OutputAppended():
                output.append(_output_row(run_id, writer_id, seq, event, part, offset))
            case (
                control.RunStarted()
                | control.RunFinished()
                | control.WriterLost()
                | control.RunStatusChanged()
                | control.RunTimesSet()
                | control.TagsAdded()
                | control.TagsRemoved()
                | control.PointsDropped()
                | control.RunRenamed()
                | control.RunMoved()
                | control.RunLinked()
                | control.RunUnlinked()
                | control.RunNotesSet()
                | control.RunArchived()
                | control.RunRestored()
                | control.RunDeleted()
            ):
                pass  # run_states
            case (
                control.ProjectCreated()
                | control.ProjectUpdated()
                | control.ProjectDeleted()
                | control.ExperimentCreated()
                | control.ExperimentUpdated()
                | control.ExperimentDeleted()
            ):
                pass  # project_states, experiment_states
            case (
                about_artifacts.ArtifactCreated()
                | about_artifacts.ArtifactUpdated()
                | about_artifacts.ArtifactDeleted()
                | about_artifacts.ArtifactVersionReserved()
                | about_artifacts.ArtifactVersionLogged()
                | about_artifacts.ArtifactFilesAdded()
                | about_artifacts.ArtifactVersionUpdated()
                | about_artifacts.ArtifactVersionDeleted()
                | about_artifacts.ArtifactVersionRemarked()
            ):
                pass  # artifact_states
            case entities.EntityCreated() | entities.EntityReplaced() | entities.EntityDeleted():
                pass  # entity_states
            case _:
                assert_never(event)
    return Rows(list(attributes.values()), list(assets.values()), output)


def _named_values(event: ParametersLogged | OthersLogged | EnvironmentCaptured) -> Iterator[tuple[str, str, Any]]:
    match event:
        case ParametersLogged():
            for name, value in event.values.items():
                yield from ((PARAMETER, dotted, leaf) for dotted, leaf in _leaves(name, value))
        case OthersLogged():
            yield from ((OTHER, name, value) for name, value in event.values.items())
        case EnvironmentCaptured():
            yield from ((ENVIRONMENT, f"{event.section}.{name}", value) for name, value in event.values.items())
        case _:
            assert_never(event)


def _leaves(name: str, value: Any) -> list[tuple[str, Any]]:
    """The leaves of a parameter; the parameter itself where their names would be longer than the events of a frame can
    be: 256 kB of JSON, nested in names of 100 kB, would else make gigabytes of them."""
    found, chars = [], 0
    for dotted, leaf in flattened(name, value):
        chars += len(dotted)
        if chars > limits.MAX_FRAME_EVENTS_BYTES:
            return [(name, value)]
        found.append((dotted, leaf))
    return found


def flattened(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The leaves of a value under their dotted names: {"b": {"c": 1}} named "a" gives ("a.b.c", 1). A list is a leaf,
    and so is an empty dict. The decoder bounds how deep a value can be."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from flattened(f"{name}.{key}", inner)
    else:
        yield name, value


def text_of(value: Any) -> str:
    """What a person would read: a string without quotes, numbers exactly, "NaN", "Infinity" and "-Infinity", "true",
    "false" and "null", and JSON for lists and dicts."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return _name_of_non_finite(value)
    return json_of(value)


def json_of(value: Any) -> str:
    """The value as JSON that every reader takes: NaN and the infinities, for which JSON has no word, become the strings
    "NaN", "Infinity" and "-Infinity" (a number column beside it tells them from strings). Integers are exact."""
    return json.dumps(_strict(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def number_of(value: Any) -> float | None:
    """The value as a number: floats (NaN and infinities too), integers rounded to the nearest double (beyond the
    largest one: an infinity), booleans as 1 and 0; None for everything else, numbers in strings included."""
    match value:
        case bool() | float():
            return float(value)
        case int():
            try:
                return float(value)
            except OverflowError:
                return math.inf if value > 0 else -math.inf
        case _:
            return None


def writer_number(writer_id: str) -> int:
    """The first 64 bits of a writer's id (hex), as the column `writer` of points and output has it."""
    return int(writer_id[:16], 16)


def _strict(value: Any) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return _name_of_non_finite(value)
        case list():
            return [_strict(item) for item in value]
        case dict():
            return {key: _strict(item) for key, item in value.items()}
        case _:
            return value


def _name_of_non_finite(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _attribute_row(run_id: str, kind: str, name: str, value: Any, at_us: int, part: int, offset: int) -> Row:
    return {
        "run": run_id,
        "kind": kind,
        "name": name,
        "value": json_of(value),
        "text": text_of(value),
        "number": number_of(value),
        "at": at_us,
        "deleted": False,
        "part": part,
        "offset": offset,
    }


def _attribute_tombstone(run_id: str, name: str, at_us: int, part: int, offset: int) -> Row:
    return {
        "run": run_id,
        "kind": PARAMETER,
        "name": name,
        "value": "null",
        "text": "",
        "number": None,
        "at": at_us,
        "deleted": True,
        "part": part,
        "offset": offset,
    }


def _asset_row(run_id: str, event: AssetLogged, part: int, offset: int) -> Row:
    return {
        "run": run_id,
        "asset": event.asset_id,
        "name": event.name,
        "kind": event.kind,
        "sha256": event.sha256,
        "size_bytes": event.size_bytes,
        "content_type": event.content_type,
        "step": event.step,
        "metadata": json_of(event.metadata),
        "at": event.at_us,
        "deleted": False,
        "part": part,
        "offset": offset,
        "context": event.context or "",
        "role": event.role or "",
        "location": event.location or "",
        "model": event.model or "",
    }


def _asset_tombstone(run_id: str, event: AssetDeleted, part: int, offset: int) -> Row:
    return {
        "run": run_id,
        "asset": event.asset_id,
        "name": "",
        "kind": "",
        "sha256": "",
        "size_bytes": 0,
        "content_type": "",
        "step": None,
        "metadata": "{}",
        "at": event.at_us,
        "deleted": True,
        "part": part,
        "offset": offset,
        "context": "",
        "role": "",
        "location": "",
        "model": "",
    }


def _output_row(run_id: str, writer_id: str, seq: int, event: OutputAppended, part: int, offset: int) -> Row:
    return {
        "run": run_id,
        "writer": writer_number(writer_id),
        "seq": seq,
        "at": event.at_us,
        "stream": event.stream,
        "text": event.text,
        "part": part,
        "offset": offset,
    }
