"""What a run id, a metric name, a project name may be. Checked at the edge, before anything is written."""

import functools
import hashlib
import re
from typing import Final

from runstream.events import limits

RUN_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,127}\Z")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

#: The step of a point that was logged without one by a client that does not count (our own SDK counts).
NO_STEP: Final = -(2**63)
MAX_STEP: Final = 2**63 - 1
#: Metrics of the machine, which the client samples: they count steps of their own.
SYSTEM_METRICS: Final = "system/"
#: What stands in a frame for the epoch of a row that has none. (In the table it is NULL.)
NO_EPOCH: Final = -(2**63)


class InvalidName(ValueError):
    """A name that cannot be used; the message names the kind of name, the value and the rule."""


def check_run_id(run_id: object) -> str:
    """Return `run_id` if it can be one: 1-128 of A-Z a-z 0-9 _ . - and no leading mark. Raises InvalidName."""
    if not isinstance(run_id, str) or not RUN_ID.match(run_id):
        raise InvalidName(
            f"run id {run_id!r} cannot be used: give 1 to {limits.MAX_RUN_ID_CHARS} letters, digits, '_', '.' "
            "or '-', starting with a letter or digit"
        )
    return run_id


def check_metric(name: object) -> str:
    """Return `name` if it can name a metric: 1-500 bytes of UTF-8, no control characters. Raises InvalidName."""
    if not isinstance(name, str):
        raise InvalidName(f"metric name {name!r} is {type(name).__name__}: give a string")
    return _check_text("metric name", name, limits.MAX_METRIC_NAME_BYTES)


def check_path_part(kind: str, name: object) -> str:
    """Return `name` if it can name a workspace, project or experiment (no '/'). Raises InvalidName."""
    if not isinstance(name, str):
        raise InvalidName(f"{kind} {name!r} is {type(name).__name__}: give a string")
    # Two of them joined by '/' are the key of a record, which is limited to 255 bytes.
    checked = _check_text(kind, name, (limits.MAX_KEY_BYTES - 1) // 2)
    if "/" in checked:
        raise InvalidName(f"{kind} {name!r} contains '/': use another character, '/' separates workspace and project")
    return checked


def project_key(workspace: str, project: str) -> str:
    """The record key of events about a project (a run's key is its run id, which never contains '/')."""
    return f"{workspace}/{project}"


@functools.lru_cache(10_000)
def project_id(workspace: str, project: str) -> str:
    """The id of a project for those who want one: it only has names, of which this is made, 32 hexadecimal
    digits."""
    return hashlib.sha256(f"{workspace}/{project}".encode()).hexdigest()[:32]


def check_key(key: str) -> str:
    """Return `key` if it can be the key of a record: a run id, or `project_key` of two names. Raises InvalidName."""
    workspace, slash, project = key.partition("/")
    if not slash:
        return check_run_id(key)
    check_path_part("workspace", workspace)
    check_path_part("project", project)
    return key


def _check_text(kind: str, text: str, max_bytes: int) -> str:
    if not text or text != text.strip():
        raise InvalidName(f"{kind} {text!r} is empty or begins or ends with white space: give a visible name")
    if _CONTROL.search(text):
        raise InvalidName(f"{kind} {text!r} contains a control character: remove it")
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise InvalidName(f"{kind} {text!r} is not valid Unicode ({error.reason}): remove the lone surrogate") from None
    if size > max_bytes:
        raise InvalidName(f"{kind} {text[:40]!r}... has {size} bytes: at most {max_bytes} are allowed")
    return text
