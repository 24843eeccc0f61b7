"""How `finish` waits until what a run wrote is acknowledged, and what it says meanwhile."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from runstream.client.resuming import Found, on_server
from runstream.clock import Clock
from runstream.errors import Unavailable
from runstream.sender.lock import sender_lives
from runstream.sender.status import SenderStatus, read_status
from runstream.spool.format import Acked, SpoolCorrupt, WriterInfo

_POLL_S: Final = 0.02
#: How often a sender that lives is looked for meanwhile: one flock.
_SENDER_S: Final = 0.5
#: What a response takes once the server has waited.
_RESPONSE_S: Final = 5.0
#: A wait that is over sooner says nothing.
_QUIET_S: Final = 2.0
_LINE_EVERY_S: Final = 10.0
#: A `finish` that nobody gave a time does not wait for a server that the sender has not reached for this long.
STALLED_S: Final = 10.0


def wait_until_acknowledged(
    folder: Path,
    next_seq: int,
    timeout_s: float,
    clock: Clock,
    sleep: Callable[[float], None],
    say: Callable[[str], None],
    stalled_s: float | None = None,
    keep_sender: Callable[[], None] = lambda: None,
) -> bool:
    """Wait until everything below `next_seq` of the writer in `folder` is acknowledged, at most `timeout_s`; with
    `stalled_s` also no longer than that since anything was acknowledged while the sender gives a reason for it.

    Says after a while how far it is and what holds it up. Calls `keep_sender` now and then, so that a sender that dies
    meanwhile is replaced. The caller holds the writer's lock, so a sender leaves the folder there: one that is gone was
    removed by somebody else, and ends the wait.
    """
    began_s = clock.monotonic_s()
    next_line_s, next_sender_s = began_s + _QUIET_S, began_s + _SENDER_S
    moved_s, last_waiting = began_s, -1
    while True:
        if (waiting := next_seq - Acked.read(folder).next_seq) <= 0:
            return True
        now_s = clock.monotonic_s()
        if waiting != last_waiting:
            moved_s, last_waiting = now_s, waiting
        if now_s - began_s >= timeout_s or not folder.exists():
            return False
        if stalled_s is not None and now_s - moved_s >= stalled_s and because(folder):
            return False
        if now_s >= next_sender_s:
            next_sender_s = now_s + _SENDER_S
            keep_sender()
        if now_s >= next_line_s:
            next_line_s = now_s + _LINE_EVERY_S
            say(f"waiting for {waiting:,} of {next_seq:,} records to be acknowledged{because(folder)}")
        sleep(min(_POLL_S, timeout_s))


def wait_to_the_end(
    folder: Path,
    run_id: str,
    next_seq: int,
    timeout_s: float,
    clock: Clock,
    say: Callable[[str], None],
    given: bool,
    keep_sender: Callable[[], None],
) -> bool:
    """What `finish` does after the last record: `wait_until_acknowledged` in real time, and a word about what is left.

    `given`: somebody asked for this timeout, so a server that is away is waited for as well.
    """
    stalled_s = None if given else STALLED_S
    if wait_until_acknowledged(folder, next_seq, timeout_s, clock, time.sleep, say, stalled_s, keep_sender):
        return True
    if not folder.exists():
        say(
            f"run {run_id} is not wholly acknowledged, and its folder {folder} was removed by somebody: what was not "
            "sent is lost"
        )
    elif timeout_s > 0:
        say(
            f"run {run_id} is not wholly acknowledged yet{because(folder)}. Nothing is lost: it stands in {folder}, "
            "and the sender goes on with it; `runstream sync` waits for that"
        )
    return False


def wait_until_readable(url: str, api_key: str | None, run_id: str, position: str, timeout_s: float) -> Found:
    """Wait until reads show everything up to `position` of the log, at most `timeout_s`, and return what they show.
    Raises Unavailable."""
    wait = {"wait_for": position, "wait_s": f"{timeout_s:g}"}
    found = on_server(url, api_key, run_id, timeout_s + _RESPONSE_S, wait)
    if found is None:
        raise Unavailable("the server does not have it")
    return found


def because(folder: Path) -> str:
    """What the sender of this spool says about this writer, as the end of a sentence; nothing if all is well."""
    try:
        url = WriterInfo.read(folder).url
    except (OSError, SpoolCorrupt):  # the sender removes it in this moment
        return ""
    spool = folder.parent.parent
    with contextlib.suppress(OSError):
        if not sender_lives(spool):
            return f" (no sender runs: {spool / 'sender.log'} may tell why)"
    reason = sender_reason(read_status(spool), folder.name, url)
    return f" ({reason})" if reason else ""


def sender_reason(status: SenderStatus | None, writer_id: str, url: str) -> str | None:
    """Why the sender does not get on with a writer of `url`; None if it says no reason."""
    if status is None:
        return "no sender has said anything yet"
    if status.state == "stopped":
        return "the sender has stopped"
    if writer_id in status.unusable:
        return status.unusable[writer_id]
    channels = [channel for channel in status.targets if channel.url == url]
    problems = [
        one.problem for channel in channels for one in channel.telling if one.writer_id == writer_id and one.problem
    ]
    errors = [channel.last_error for channel in channels if channel.last_error]
    return next(iter(problems + errors), None)
