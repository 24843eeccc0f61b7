"""Targets: what a gateway and a worker do with frames, events and commands, without a log and a store."""

import asyncio
import contextlib
import functools
import importlib
import random
from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

import pyarrow as pa
from pydantic import ValidationError

from fuzzing.cases import Fault, Target
from fuzzing.events import event_of, golden_events, odd_events_text
from fuzzing.framed import EditableFrame, Part, frames_body, repaired, simpler, writer_of
from fuzzing.values import Pairs, Raw, json_bytes, odd_text, odd_value, some_changes
from runstream.events import limits
from runstream.events.columns import Rows, read_group
from runstream.events.control import EVENT_TYPES, key_of
from runstream.events.frame import InvalidFrame, decode_frame
from runstream.events.names import InvalidName
from runstream_ingest.gateway import GatewaySettings
from runstream_ingest.gateway.frames import BadFrame, Sent, TooManyFrames, frames_by_writer
from runstream_model.decoding import decode_events
from runstream_processors.store.resume import Commit
from runstream_processors.worker.feed import Decoded, decode
from runstream_processors.worker.folding import Folding
from runstream_service.log import Record
from runstream_service.problems import Problem

_NOW_US: Final = 1_750_000_000_000_000
#: What a store has of keys that are new.
_NO_ROWS: Final = pa.table({name: pa.array([], pa.string()) for name in ("run", "key", "part", "offset")})
_MAX_FRAMES: Final = 20_000
#: A decoder copies what a frame unpacks to a few times: unpacked bytes, columns, each with its row's numbers.
_MULTIPLE: Final = 12


def _frames_of(body: bytes) -> Iterator[Sent]:
    """What a gateway appends of a body; nothing if it refuses the body."""
    try:
        found = frames_by_writer(memoryview(body), _MAX_FRAMES)
    except (BadFrame, TooManyFrames):
        return
    for sent in found.values():
        yield from sent


def make_frames(rng: random.Random) -> bytes:
    return frames_body(rng, f"fuzz-{rng.randrange(1000)}", writer_of(rng))


def _unpacked_bytes(body: bytes) -> int:
    """What the frames of a body say that they unpack to, as far as a gateway lets them through."""
    total = len(body)
    for sent in _frames_of(body):
        try:
            frame = decode_frame(sent.data)
        except InvalidFrame:
            total += limits.MAX_FRAME_RAW_BYTES // _MULTIPLE  # the one that does not unpack was unpacked
            continue
        total += len(frame.events) + sum(group.raw_size for group in frame.groups)
    return _MULTIPLE * total


def run_frames(body: bytes) -> None:
    """Each frame that a gateway lets through decodes, or is refused as a whole; so does each group."""
    for sent in _frames_of(body):
        try:
            frame = decode_frame(sent.data)
        except InvalidFrame:
            continue
        covered = sent.header.end_seq - sent.header.first_seq
        rows = 0
        for group in frame.groups:
            try:
                read = read_group(group, sent.header.first_seq)
            except InvalidFrame:
                continue
            rows += group.rows
            shape = len(read.seqs)
            if isinstance(read, Rows) and read.values.shape != (group.rows, len(read.metrics)):
                raise Fault("wrong shape", f"{read.values.shape} of {group.rows} rows")
            if not len(read.steps) == len(read.at_us) == shape or (
                not isinstance(read, Rows) and len(read.index) != shape
            ):
                raise Fault("wrong shape", f"columns of a group of {group.rows} rows differ in length")
        if rows > covered:
            raise Fault("wrong shape", f"{rows} rows in a frame that covers {covered}")


def run_fold(body: bytes) -> None:
    """A worker folds whatever a gateway lets through: bad parts go into quarantine, and nothing raises."""
    decoded: list[Decoded] = []
    for offset, sent in enumerate(_frames_of(body)):
        decoded.append(decode(Record(0, offset, _NOW_US, sent.header.key.encode(), bytes(sent.data))))
    if not decoded:
        return
    folding = Folding({0: Commit()}, {})
    folding.load(folding.needs(decoded), _NO_ROWS, _NO_ROWS, _NO_ROWS)
    folding.fold(decoded)
    folding.flush()


def make_fold(rng: random.Random) -> bytes:
    """As `make_frames`, and frames whose events are odd."""
    if rng.random() < 0.4:
        return make_frames(rng)
    parts = []
    run, writer, first = f"fuzz-{rng.randrange(1000)}", writer_of(rng), 0
    for _ in range(rng.choice((1, 1, 2, 4))):
        text = odd_events_text(rng, first)
        end = first + rng.choice((1, 4, 4, 100))
        key = rng.choice((run, run, run, "research/vision", "research/digits"))
        parts.append(EditableFrame(writer, key.encode(), first, end, Part(text, rng.random() < 0.3)).encoded())
        first = end
    return b"".join(parts)


def make_events(rng: random.Random) -> bytes:
    text = odd_events_text(rng, 0)
    return EditableFrame(bytes(16), b"run-1", 0, rng.choice((1, 5, 2**64 - 1)), Part(text)).encoded()


def run_events(data: bytes) -> None:
    try:
        frame = decode_frame(data)
    except InvalidFrame:
        return
    decoded, rejected = decode_events(frame)
    for seq, _ in decoded:
        if not frame.header.first_seq <= seq < frame.header.end_seq:
            raise Fault("wrong sequence number", f"{seq} was taken")
    for one in rejected:
        one.detail.encode()  # it goes into a column of text


def _event_bytes(data: bytes) -> int:
    return 60 * len(data)


def command_of(rng: random.Random) -> Pairs:
    """A valid command, most of the time about a run of its own."""
    event = rng.choice(golden_events())
    key = f"fuzz-{rng.randrange(10_000)}"
    model = EVENT_TYPES[event["type"]]
    if "workspace" in model.model_fields and "project" in model.model_fields:
        with contextlib.suppress(AttributeError):  # of a run, which is named by the command's key
            key = key_of(model.model_validate(event))  # type: ignore[arg-type]
    return Pairs([("key", key), ("event", event)])


def make_commands(rng: random.Random) -> bytes:
    chance = rng.random()
    if chance < 0.45:
        return json_bytes(rng, command_of(rng), some_changes(rng))
    if chance < 0.9:
        commands: list[object] = [command_of(rng) for _ in range(rng.choice((1, 2, 5)))]
        return json_bytes(rng, Pairs([("commands", commands)]), some_changes(rng))
    if chance < 0.9985:
        command = Pairs([("key", odd_text(rng)), ("event", event_of(rng, 2))])
        return json_bytes(rng, rng.choice((command, odd_value(rng), [command])), 1)
    items = rng.choice(("0,", '{"key":"a"},', "[],", '{"key":"a","event":{"type":"run_deleted.v1"}},'))
    count = rng.choice((1_000, 20_000, 100_000))
    return json_bytes(rng, Pairs([("commands", Raw(f"[{items * count}0]"))]), 0)


@functools.cache
def _runner() -> asyncio.Runner:
    return asyncio.Runner()


def _commands_of(body: bytes) -> Sequence[Any]:
    """What a gateway makes of a body of commands. Raises what it raises."""
    module: Any = importlib.import_module("runstream_ingest.gateway.commands")
    if hasattr(module, "read_commands"):
        return cast("Sequence[Any]", module.read_commands(body, _NOW_US))
    bodies: Any = importlib.import_module("runstream_service.bodies")
    settings: Any = GatewaySettings()

    async def read() -> Sequence[Any]:
        try:
            members = await bodies.read_json(body, settings.max_json_items)
        except ValueError as error:
            raise Problem(400, "invalid-json", "The body is no JSON", str(error)) from None
        return cast("Sequence[Any]", await module.check_commands(members, _NOW_US, settings.max_commands_per_request))

    return _runner().run(read())


def run_commands(body: bytes) -> None:
    try:
        commands = _commands_of(body)
    except Problem as problem:
        _check_problem(problem)
    except (InvalidName, ValidationError):
        pass
    else:
        for command in commands:
            command.key.encode()


def _check_problem(problem: Problem) -> None:
    if not 400 <= problem.status < 500:
        raise Fault("wrong status", f"a body is answered with {problem.status}: {problem.detail}")
    problem.response()  # it can be sent


#: A million small values are objects of some 30 to 100 bytes each, and errors about each of them some more.
_COMMAND_MULTIPLE: Final = 60

TARGETS: Final = (
    Target("frames", make_frames, run_frames, _unpacked_bytes, 250, repaired, simpler),
    Target("fold", make_fold, run_fold, lambda body: 3 * _unpacked_bytes(body), 100, repaired, simpler),
    Target("events", make_events, run_events, _event_bytes, 150, repaired, simpler),
    Target("commands", make_commands, run_commands, lambda body: _COMMAND_MULTIPLE * len(body), 120),
)
