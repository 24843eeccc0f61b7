"""What an engine's error means to the caller: try again, or never again."""

import re
from typing import Final

from runstream_service.store import StoreCorrupt, StoreError, StoreInvalid, StoreUnavailable

_CODE: Final = re.compile(r"Code: (\d+)\.")
_BEFORE: Final = re.compile(r"\A.*?DB::(?:Exception|ErrnoException|NetException): ", re.DOTALL)
_AFTER: Final = re.compile(r"\s*(?:\(version [^)]*\)|Stack trace:).*\Z", re.DOTALL)
_MESSAGE_CHARS: Final = 400
_STATEMENT_CHARS: Final = 160

MEND_DIRECTORY: Final = (
    "Stop the server and move the store's directory away: the next start makes the tables again from the log"
)
MEND_SERVER: Final = "Drop the database on that server and rebuild it from the log"

#: ClickHouse's error codes that say "not now": files, memory, sockets, replicas, limits on load. Any other code
#: blames the statement, its parameters or the data; an error without a code is nobody's fault that we know of.
NOT_NOW: Final = frozenset(
    {
        *(3, 23, 24),  # unexpected end of file, cannot read or write a stream
        *(74, 75, 76, 77, 87, 88, 294, 586, 641),  # cannot read, write, open, close, seek, truncate, create a file
        *(95, 96, 198, 209, 210, 279),  # sockets, DNS, time-outs of the network, all connections failed
        *(107, 172, 204, 274, 275),  # a file is gone, cannot create a directory, fsync, asynchronous reads and writes
        *(159, 160, 202, 236, 394, 425, 439, 460, 473, 677, 735),  # too slow, too many, aborted, cancelled, no thread
        *(173, 241, 777, 778),  # out of memory
        *(225, 242, 285, 286, 289, 297, 319, 517, 999),  # replicas, coordination; a table that is read-only for now
        *(243, 252, 574, 692, 745),  # out of disk, too many parts, waiting distributed blocks or mutations, overloaded
        *(499, 500, 693, 707),  # object stores
        *(1000, 1001, 1002),  # whatever a library below threw
    }
)

#: Codes that say that nothing was done, because another insert or change of a replicated table is not done yet. The
#: same request may be made again at once.
BUSY: Final = frozenset({286, 289, 517})
#: The same for commands: a replica that starts, as it does for a while after its table was made, is read-only. (An
#: insert may meet it in the middle, when its outcome is open.)
STARTING: Final = frozenset({242})

#: Codes that say that files of a table are not what was written: checksums, decompression, sizes, marks, parts.
DAMAGED: Final = frozenset({33, 39, 40, 91, 226, 227, 228, 230, 231, 246, 271, 740})


def error_code(error: BaseException) -> int | None:
    """ClickHouse's code, from what an engine or a client raised."""
    found = _CODE.search(str(error))
    if found:
        return int(found[1])
    code = getattr(error, "code", None)
    return code if isinstance(code, int) else None


def store_error(error: BaseException, statement: str, mend: str = MEND_DIRECTORY) -> StoreError:
    """`error`, as an engine or its client raised it while running `statement`, as one of the store's errors.

    mend: the sentence that says how to go on without files that are damaged.
    """
    code = error_code(error)
    message = _shortened(_AFTER.sub("", _BEFORE.sub("", str(error))), _MESSAGE_CHARS) or repr(error)
    head = _shortened(" ".join(statement.split()), _STATEMENT_CHARS)
    if code is None:
        return StoreUnavailable(f"the store failed with {type(error).__name__}: {message} (statement: {head})")
    # What an insert cannot read is the block that it was given.
    if code in DAMAGED and not head.startswith("INSERT"):
        return StoreCorrupt(f"files of the store are damaged: {message} (code {code}, statement: {head}). {mend}")
    if code in NOT_NOW:
        return StoreUnavailable(f"the store cannot now: {message} (code {code}, statement: {head})")
    return StoreInvalid(f"the store refuses: {message} (code {code}, statement: {head})")


def _shortened(text: str, limit: int) -> str:
    text = text.strip()
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
