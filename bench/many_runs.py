"""Many short runs at once, sent as frames: what a project looks like after years."""

import json
import random
import urllib.request
from collections.abc import Iterator, Sequence
from typing import Final

from runstream.events.control import ParametersLogged, RunFinished, RunStarted, encode_event
from runstream.events.encoding import encode_events, encode_frame, encode_rows, transposed
from runstream.ids import uuid7_hex
from runstream.spool.format import ROW_HEAD_BYTES, ROW_TAIL_BYTES, row_struct

METRICS: Final = 10
_START_US: Final = 1_760_000_000_000_000
_FRAMES_PER_REQUEST: Final = 2_000


def frames(runs: int, seed: int = 1, *, projects: int = 10, parameters: int = 0) -> Iterator[bytes]:
    """One frame a run: it started, said its parameters, logged a row of METRICS metrics and finished. Values of metrics
    are uniform in [0, 1)."""
    rng = random.Random(seed)
    names = "\n".join(f"val/metric_{number}" for number in range(METRICS)).encode()
    row, width = row_struct(METRICS), row_struct(METRICS).size
    for number in range(runs):
        at_us = _START_US + number * 1_000_000
        run_id = uuid7_hex(at_us // 1000, rng.randbytes(10))
        started = RunStarted(
            at_us=at_us, workspace="default", project=f"project-{number % projects}", name=f"run-{number}"
        )
        finished = RunFinished(at_us=at_us + 1, status="finished")
        facts = [encode_event(started)]
        if parameters:
            values = {f"parameter_{index}": rng.randrange(100) for index in range(parameters)}
            facts.append(encode_event(ParametersLogged(at_us=at_us, values=values)))
        at_row = len(facts)
        events = encode_events([*enumerate(facts), (at_row + 1, encode_event(finished))])
        packed = row.pack(0, 0, at_us * 1000, *(rng.random() for _ in range(METRICS)), 0)
        columns = transposed(packed, width, ROW_HEAD_BYTES, ROW_TAIL_BYTES)
        writer_id = uuid7_hex(at_us // 1000, rng.randbytes(10))
        yield encode_frame(writer_id, run_id, 0, at_row + 2, events, [encode_rows(names, 1, columns, at_row)])


def send(url: str, runs: int, *, projects: int = 10, parameters: int = 0) -> None:
    """Send all of them, one request after the other."""
    held: list[bytes] = []
    for frame in frames(runs, projects=projects, parameters=parameters):
        held.append(frame)
        if len(held) == _FRAMES_PER_REQUEST:
            post(url, held)
            held = []
    if held:
        post(url, held)


def post(url: str, held: Sequence[bytes]) -> None:
    """Send frames in one request."""
    request = urllib.request.Request(f"{url}/ingest/v1/frames", b"".join(held), method="POST")
    request.add_header("Content-Type", "application/vnd.runstream.frames")
    with urllib.request.urlopen(request, timeout=120) as response:
        json.load(response)
