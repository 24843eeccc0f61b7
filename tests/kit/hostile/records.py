"""Records of runs, and among them some that end the process which decodes or folds them (`POISONED`)."""

import struct

from runstream.events.control import OthersLogged, RunStarted, encode_event
from runstream.events.encoding import encode_events, encode_frame, encode_rows


def started(run: str) -> bytes:
    body = encode_event(RunStarted(at_us=1, workspace="w", project="p"))
    return encode_frame(writer_of(run), run, 0, 1, encode_events([(0, body)]))


def point(run: str, seq: int) -> bytes:
    group = encode_rows(b"loss", 1, struct.pack("<qqd", seq, 10**18 + seq, float(seq)), 0)
    return encode_frame(writer_of(run), run, seq, seq + 1, b"", [group])


def poison(run: str, kind: str) -> bytes:
    body = encode_event(OthersLogged(at_us=1, values={"note": f"POISON-{kind}"}))
    return encode_frame(writer_of(run), run, 0, 1, encode_events([(0, body)]))


def writer_of(run: str) -> str:
    return run.encode().hex().ljust(32, "0")[:32]
