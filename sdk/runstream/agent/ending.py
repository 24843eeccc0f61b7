"""How the code of a run ended, and what follows: its files are uploaded, its end is reported."""

import json
import logging
import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from runstream.agent.execution import Ended
from runstream.agent.folder import MAX_BYTES, End
from runstream.agent.leases import Granted, Leases, Stale, patiently
from runstream.agent.limits import RunLimits
from runstream.agent.preparing import file_name
from runstream.agent.transfers import upload
from runstream.errors import Invalid, Unavailable

logger = logging.getLogger(__name__)

RESULT: Final = "result.json"
#: As the harness has it; the code may write the file itself.
_MAX_RESULT_BYTES: Final = 1_000_000
#: Of what stands around the result in the file.
_MAX_AROUND_BYTES: Final = 10_000
_MAX_FILES: Final = 100
_MAX_MESSAGE_CHARS: Final = 10_000
CANCELLED: Final = "cancelled"
_TOO_LARGE: Final = f"train returned more than {_MAX_RESULT_BYTES} bytes: write them to a file, and return its path"


class Missing(Exception):
    """A file that the code returned cannot be uploaded. The message names it."""


def end_of(ended: Ended, folder: Path, timeout_s: float, limits: RunLimits) -> End:
    """Return how the run ended whose process ended so. `folder`: of the run, where the code may have put anything."""
    match ended.why:
        case "cancelled":
            return End("killed", CANCELLED)
        case "timeout":
            return End("failed", f"the run was stopped after {timeout_s:g} s: give it more time (timeout)")
        case "memory":
            return End("failed", f"{_memory(limits)}: the run's processes took more together")
        case "processes":
            return End("failed", f"the run had more than {limits.processes} processes: begin fewer")
        case "lost":
            return End("failed", "what watched over the process of the run was killed: by the code, most likely")
        case "ended":
            return _reported(ended.code or 0, folder, limits)


def _reported(code: int, folder: Path, limits: RunLimits) -> End:
    """What the harness says of the end; it says nothing where the process was killed."""
    try:
        content = _read(folder / RESULT)
        if len(content) > _MAX_RESULT_BYTES + _MAX_AROUND_BYTES:
            return End("failed", _TOO_LARGE)
        report = json.loads(content)
        status = report["status"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        how = f"signal {_signal_name(-code)}" if code < 0 else f"exit code {code}"
        return End("failed", f"the process of the run ended with {how} before train returned")
    if status != "ok":
        error = _sendable(str(report.get("error") or "the code failed")[:_MAX_MESSAGE_CHARS])
        return End("failed", f"{error}: {_memory(limits)}" if status == "memory" else error)
    result = report.get("result")
    if result is None:
        return End("finished", has_result=True)
    try:
        end = End(
            "finished",
            artifact=None if result["artifact"] is None else str(result["artifact"]),
            files=tuple(str(one) for one in result["additional_output_files"]),
            metadata=_members(result["metadata"]),
            metrics=_members(result["metrics"]),
            has_result=True,
        )
        # Written anew it may be longer: 1e15 has 18 characters then.
        return end if len(end.to_json()) <= MAX_BYTES else End("failed", _TOO_LARGE)
    except (KeyError, TypeError, ValueError, RecursionError):
        return End("failed", "what train returned cannot be read: the code wrote over it")


def result_of(end: End, leases: Leases, granted: Granted) -> dict[str, Any] | None:
    """Upload the files of a result, and return what is reported of it. Again it uploads the same under the same names.
    Raises Missing, Stale, KeyRefused."""
    if not end.has_result:
        return None
    if len(end.files) > _MAX_FILES:
        raise Missing(f"train returned {len(end.files)} additional_output_files: return at most {_MAX_FILES}")
    paths = [*([end.artifact] if end.artifact is not None else []), *end.files]
    named = dict(_names(paths))
    for path, name in named.items():
        _upload(path, name, leases, granted)
    return {
        "artifact": None if end.artifact is None else named[end.artifact],
        "files": [named[path] for path in end.files],
        "metadata": end.metadata,
        "metrics": end.metrics,
    }


def report(end: End, result: dict[str, Any] | None, leases: Leases, granted: Granted) -> str | None:
    """Report the end, as long as it takes, and return how the run ended; None where the lease is over.
    Raises KeyRefused: the end is reported again later, with another key."""
    message = end.message[:_MAX_MESSAGE_CHARS]
    try:
        return patiently(lambda: leases.end(granted, end.status, message, result))
    except Stale as error:
        logger.warning("%s", error)
        return None
    except Invalid as error:
        refused = f"the result cannot be kept: {error}"
    try:
        return patiently(lambda: leases.end(granted, "failed", refused[:_MAX_MESSAGE_CHARS], None))
    except (Stale, Invalid) as error:
        logger.warning("%s", error)
        return None


def _names(paths: list[str]) -> Iterator[tuple[str, str]]:
    """Each path with the name that it gets, no two the same."""
    taken: set[str] = set()
    for path in dict.fromkeys(paths):
        name = base = file_name(os.path.basename(path))
        number = 1
        while name in taken:
            number += 1
            name = f"{number}-{base}"
        taken.add(name)
        yield path, name


def _upload(path: str, name: str, leases: Leases, granted: Granted) -> None:
    def send() -> None:
        url = leases.url_to_write(granted, name)
        try:
            upload(url, Path(path))
        except (OSError, Invalid, ValueError) as error:
            if isinstance(error, Unavailable):
                raise
            raise Missing(f"the file {path} that train returned cannot be uploaded: {error}") from None

    try:
        patiently(send)
    except Invalid as error:
        raise Missing(f"the file {path} that train returned is refused: {error}") from None


def _members(value: Any) -> dict[str, Any] | None:
    if value is not None and not isinstance(value, dict):
        raise TypeError
    return value


def _sendable(text: str) -> str:
    """The text as UTF-8 can hold it: code may raise errors whose messages have lone surrogates."""
    return text.encode("utf-8", "backslashreplace").decode()


def _memory(limits: RunLimits) -> str:
    return f"the run may take {limits.memory_mb} MiB of memory (the instance type of its experiment)"


def _read(path: Path) -> bytes:
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(f"{path.name} is no file")
        return file.read(_MAX_RESULT_BYTES + _MAX_AROUND_BYTES + 1)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
