"""What happens to a writer when its run ends: how its end is recorded, and the wait until the server has everything."""

from collections.abc import Callable
from typing import Final

from runstream.client.opening import Opening
from runstream.client.waiting import wait_to_the_end, wait_until_readable
from runstream.client.writers import Writer
from runstream.clock import Clock
from runstream.deletion import kept_unseen
from runstream.errors import Unavailable
from runstream.notices import Notices
from runstream.spool.ending import Ending, read_position

#: Reads show what is acknowledged some 0.2 s later; a store that is away is not waited for longer than this.
_READABLE_S: Final = 10.0


def leave_end_to_sender(
    writer: Writer, run_id: str, notices: Notices, status: str | None, message: str | None, at_us: int
) -> None:
    """Have the sender say how the run ended and what was lost, which the spool does not hold. Between `seal` and
    `release`."""
    if (folder := writer.folder) is None:
        return
    ending = Ending(at_us, writer.next_seq, status, message, writer.lost.points, writer.lost.events)
    try:
        ending.write(folder)
    except OSError as error:
        notices.warn(f"how run {run_id} ended cannot be kept in {folder}: {error}")


def wait_for_server(
    writer: Writer,
    opening: Opening,
    notices: Notices,
    clock: Clock,
    *,
    timeout_s: float,
    given: bool,
    keep_sender: Callable[[], None],
) -> tuple[bool, str]:
    """Wait until all of a sealed writer is acknowledged and can be read, `timeout_s` at most. Returns whether it is
    acknowledged, and where in the log it is (empty: not known).

    `given`: somebody asked for this timeout, so a server that is away is waited for as well.
    """
    folder = writer.folder
    if folder is None:
        return True, ""
    began_s = clock.monotonic_s()
    if timeout_s > 0:
        keep_sender()  # one that exits when it has nothing to do may have done so just now
    if not wait_to_the_end(folder, opening.run_id, writer.next_seq, timeout_s, clock, notices.line, given, keep_sender):
        return False, ""
    position = read_position(folder)
    left_s = min(timeout_s - (clock.monotonic_s() - began_s), _READABLE_S)
    if position and left_s > 0:
        _tell_how_it_reads(opening, notices, position, left_s)
    return True, position


def _tell_how_it_reads(opening: Opening, notices: Notices, position: str, timeout_s: float) -> None:
    """Wait until the run can be read; say so if it cannot, or if no list shows it because somebody deleted it."""
    try:
        found = wait_until_readable(opening.url, opening.api_key, opening.run_id, position, timeout_s)
    except Unavailable as error:
        notices.line(f"run {opening.run_id} is acknowledged, and cannot be read yet ({error})")
        return
    if found.deleted:
        tell_deleted(opening.run_id, notices)


def tell_deleted(run_id: str, notices: Notices) -> None:
    """Say, once, that the run was deleted."""
    notices.once(deleted_key(run_id), kept_unseen(run_id))


def deleted_key(run_id: str) -> str:
    """Return the key of the notice that the run was deleted."""
    return f"{run_id} deleted"
