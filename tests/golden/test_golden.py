"""Bytes that a released version wrote decode for ever, to what they meant then."""

import json
import math
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest

from kit.golden.events import EVENTS
from kit.golden.files import HERE, VERSION, missing
from kit.golden.frames import contents, frames
from kit.golden.states import (
    ARTIFACT_STATE,
    CAPTURED_RUN_STATE,
    GROUPED_RUN_STATE,
    LINKED_RUN_STATE,
    OPEN_ARTIFACT_STATE,
    REMARKED_ARTIFACT_STATE,
    RESERVED_ARTIFACT_STATE,
    RUN_STATE,
)
from runstream.events.control import EVENT_TYPES, decode_event, encode_event
from runstream.events.frame import LZ4, RAGGED, RAGGED_EPOCHS, ROWS_CONTIGUOUS, ROWS_EXPLICIT, STORED, decode_frame
from runstream.events.upcast import UPCASTS, upcast
from runstream_model import artifact_state
from runstream_model.artifact_state import ArtifactState
from runstream_model.artifact_versions import VersionState
from runstream_model.decoding import decode_events
from runstream_model.run_state import RunState, from_json

EVENT_FILES = sorted(HERE.glob("*/events/*.bin"))
FRAME_FILES = sorted(HERE.glob("*/frames/*.bin"))


def same(left: Any, right: Any) -> bool:
    """Equality in which NaN equals NaN, tuples equal lists, and 1, 1.0 and True differ."""
    match left, right:
        case dict(), dict():
            return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
        case ((list() | tuple()), (list() | tuple())):
            return len(left) == len(right) and all(map(same, left, right))
        case float(), float():
            return math.copysign(1, left) == math.copysign(1, right) and (
                left == right or (math.isnan(left) and math.isnan(right))
            )
        case _:
            return type(left) is type(right) and left == right


def of_then(value: Any, expected: Any) -> Any:
    """Return the value without members that nobody expected when the expectation was written."""
    match value, expected:
        case dict(), dict():
            return {name: of_then(value[name], expected[name]) for name in expected if name in value}
        case _:
            return value


def expectation(path: Path) -> dict[str, Any]:
    expected: dict[str, Any] = json.loads(path.with_suffix(".expected.json").read_bytes())
    return expected


def test_nothing_is_missing() -> None:
    assert [str(path.relative_to(HERE)) for path in missing()] == [], "run PYTHONPATH=tests python -m kit.golden.files"


@pytest.mark.parametrize("path", EVENT_FILES, ids=lambda path: f"{path.parts[-3]}/{path.stem}")
def test_an_event_decodes_to_what_it_meant(path: Path) -> None:
    # A field that was added later has its default, which nobody expected then; a retired version has become today's.
    expected = upcast(expectation(path))
    decoded = decode_event(path.read_bytes()).model_dump(mode="python")
    assert {name: decoded[name] for name in expected if not same(decoded[name], expected[name])} == {}
    assert decoded["type"] in EVENT_TYPES


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_is_encoded_to_the_same_bytes(name: str) -> None:
    golden = (HERE / VERSION / "events" / f"{name}.bin").read_bytes()
    assert encode_event(EVENTS[name]) == golden
    assert encode_event(decode_event(golden)) == golden


@pytest.mark.parametrize("tag", EVENT_TYPES)
def test_every_field_of_every_event_is_in_a_golden_file(tag: str) -> None:
    files = [path for path in EVENT_FILES if path.stem.partition("-")[0] == tag]
    written = {name for path in files for name in json.loads(path.read_bytes())}
    assert set(EVENT_TYPES[tag].model_fields) - written == set(), "add it to kit/golden/events.py, run kit.golden.files"


def test_every_golden_event_is_known_or_upcast() -> None:
    assert {path.stem.partition("-")[0] for path in EVENT_FILES} <= {*EVENT_TYPES, *UPCASTS}


@pytest.mark.parametrize("path", FRAME_FILES, ids=lambda path: f"{path.parts[-3]}/{path.stem}")
def test_a_frame_decodes_to_what_it_held(path: Path) -> None:
    data = path.read_bytes()
    assert contents(data) == expectation(path)
    assert decode_events(decode_frame(data))[1] == []


@pytest.mark.parametrize("name", frames())
def test_a_frame_is_encoded_to_the_same_bytes_if_nothing_is_compressed(name: str) -> None:
    path = HERE / VERSION / "frames" / f"{name}.bin"
    today, golden = frames()[name], path.read_bytes()
    # What lz4 makes of a text may change with its version, what is in it may not.
    assert contents(today) == contents(golden)
    if not name.endswith("-lz4"):
        assert today == golden


def test_every_layout_and_codec_is_in_a_golden_frame() -> None:
    decoded = [decode_frame(path.read_bytes()) for path in FRAME_FILES]
    seen = {(group.layout, group.codec) for frame in decoded for group in frame.groups}
    layouts = (ROWS_CONTIGUOUS, ROWS_EXPLICIT, RAGGED, RAGGED_EPOCHS)
    assert seen == {(layout, codec) for layout in layouts for codec in (STORED, LZ4)}


@pytest.mark.parametrize("path", sorted(HERE.glob("*/states/run_state*.bin")), ids=lambda path: path.stem)
def test_a_stored_run_state_is_read(path: Path) -> None:
    expected, read = expectation(path), asdict(from_json(path.read_bytes()))
    state = of_then(read, expected)
    assert {name: state[name] for name in expected if not same(state[name], expected[name])} == {}
    assert list(read["writers"]) == list(json.loads(path.read_bytes())["writers"])


def test_every_field_of_a_run_state_is_in_the_golden_file() -> None:
    plain = RunState()
    assert [f.name for f in fields(RunState) if getattr(plain, f.name) == getattr(CAPTURED_RUN_STATE, f.name)] == []
    assert from_json((HERE / VERSION / "states" / "run_state.bin").read_bytes()) == RUN_STATE
    assert from_json((HERE / VERSION / "states" / "run_state-group.bin").read_bytes()) == GROUPED_RUN_STATE
    assert from_json((HERE / VERSION / "states" / "run_state-links.bin").read_bytes()) == LINKED_RUN_STATE
    captured = from_json((HERE / VERSION / "states" / "run_state-captured.bin").read_bytes())
    assert captured == CAPTURED_RUN_STATE


@pytest.mark.parametrize("path", sorted(HERE.glob("*/states/artifact_state*.bin")), ids=lambda path: path.stem)
def test_a_stored_state_of_an_artifact_is_read(path: Path) -> None:
    # As JSON writes it: numbers that are keys are texts there.
    state, expected = json.loads(json.dumps(asdict(artifact_state.from_json(path.read_bytes())))), expectation(path)
    assert same(of_then(state, expected), expected)


def test_every_field_of_an_artifacts_state_is_in_the_golden_file() -> None:
    plain, version = ArtifactState("", None, "", "", 0, 0), VersionState(0, "", 0, 0)
    assert [f.name for f in fields(plain) if getattr(plain, f.name) == getattr(RESERVED_ARTIFACT_STATE, f.name)] == []
    kept = (REMARKED_ARTIFACT_STATE.versions[1], OPEN_ARTIFACT_STATE.versions[5])
    values = {f.name: [getattr(one, f.name) for one in kept] for f in fields(version)}
    assert [name for name, some in values.items() if set(map(repr, some)) == {repr(getattr(version, name))}] == []
    states = {
        "": ARTIFACT_STATE,
        "-remarks": REMARKED_ARTIFACT_STATE,
        "-reserved": RESERVED_ARTIFACT_STATE,
        "-open": OPEN_ARTIFACT_STATE,
    }
    for suffix, expected in states.items():
        stored = (HERE / VERSION / "states" / f"artifact_state{suffix}.bin").read_bytes()
        assert artifact_state.from_json(stored) == expected
        assert artifact_state.to_json(expected).encode() == stored
