"""The start and the end of a run, written by a client that numbers nothing. Pure."""

from typing import Final

from runstream.events.control import RunEvent, encode_event
from runstream.events.encoding import encode_events, encode_frame, heartbeat
from runstream_protocols.kit.statements import digest

#: A writer says nothing but that it began (0) and that it ended (1).
STARTED: Final = 0
ENDED: Final = 1


def attempt_writer(key: str, identity: str) -> str:
    """Return the writer of one attempt at a run: what the client calls it (a time) makes it the same again."""
    return digest(16, b"attempt", key.encode(), identity.encode()).hex()


def attempt_frame(writer_id: str, key: str, number: int, event: RunEvent) -> bytes:
    """Return one of the two things that an attempt's writer says: STARTED, ENDED."""
    return encode_frame(writer_id, key, number, number + 1, encode_events([(number, encode_event(event))]))


def alive_frame(writer_id: str, key: str) -> bytes:
    """Return the frame by which the attempt goes on."""
    return heartbeat(writer_id, key, ENDED)
