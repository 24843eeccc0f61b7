"""Target: a sender that has a spool, and gets any responses. It never raises, and loses nothing because of a response
that is no gateway's."""

import itertools
import logging
import random
from pathlib import Path
from typing import Final

from fuzzing.answered import Given, Scripted, any_response, foreign_response, given_bytes, read_given
from fuzzing.cases import Fault, Target
from fuzzing.folders import on_disk
from fuzzing.spooled import spools
from runstream.clock import Clock
from runstream.events import limits
from runstream.sender import channel as channels
from runstream.sender.assets import AssetUploads
from runstream.sender.writers import SpooledWriter
from runstream.spool.format import WriterInfo

_URL: Final = "http://127.0.0.1:1"
_STEPS: Final = 40


def make_sender(rng: random.Random) -> bytes:
    response = foreign_response if rng.random() < 0.3 else any_response
    return given_bytes(*(response(rng) for _ in range(rng.choice((1, 2, 4, 8)))))


def run_sender(data: bytes) -> None:
    logging.getLogger("runstream.sender").setLevel(logging.CRITICAL)  # it says what it was answered, case by case
    responses = read_given(data)
    if not responses:
        return
    files = spools()[len(data) % len(spools())]
    with on_disk({f"writer/{name}": content for name, content in files.items()}) as folder:
        _send(responses, folder)


def _send(responses: list[Given], folder: Path) -> None:
    ticks = itertools.count()
    clock = Clock(lambda: 1_750_000_000 * 10**9, lambda: next(ticks) * 0.5)
    # Round and round: what is refused has to be refused often before it is set aside.
    transport = Scripted([*itertools.islice(itertools.cycle(responses), 2 * _STEPS)])
    all_foreign = all(one.foreign for one in responses)
    uploads = AssetUploads(transport, {}, lambda: 0.5, lambda: 1_750_000_000.0)
    channel = channels.Channel(channels.Target(_URL, None), transport, uploads, clock, lambda: 0.5)
    writer = SpooledWriter(folder / "writer", WriterInfo.read(folder / "writer"), folder / "rejected", clock)
    before = writer.place
    channel.adopt(writer)
    try:
        for _ in range(_STEPS):
            rest_s = channel.step()
            if not 0.0 <= rest_s <= 3600.0:
                raise Fault("a rest that nobody would take", str(rest_s))
        if not all_foreign:
            return
        if writer.place != before:
            raise Fault("a foreign answer acknowledged records", f"{before} became {writer.place}")
        if writer.set_aside_count:
            raise Fault("a foreign answer set records aside", str(writer.set_aside_count))
    finally:
        channel.close()


TARGETS: Final = (
    Target("sender", make_sender, run_sender, lambda data: 60 * len(data) + 8 * limits.TARGET_FRAME_RAW_BYTES, 4),
)
