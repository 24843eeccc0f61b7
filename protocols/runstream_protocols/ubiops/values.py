"""Members of requests that UbiOps has rules for. Pure."""

import re
import reprlib
from collections.abc import Mapping
from typing import Any, Final

from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.payloads import Payload
from runstream_protocols.kit.places import checked

#: Longer names break the client when it reads the response.
MAX_NAME_CHARS: Final = 64
#: So do longer descriptions.
MAX_DESCRIPTION_CHARS: Final = 400
_MAX_LABELS: Final = 100
_MAX_LABEL_CHARS: Final = 200
_VARIABLE: Final = re.compile(r"[A-Za-z](?:[A-Za-z_]*[A-Za-z])?\Z")
#: Sealed it has a third more, which has to fit into the properties of an entity.
_MAX_VALUE_BYTES: Final = 100_000
_BRIEF: Final = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxother = 100


def name_of(kind: str, name: str) -> str:
    """Return the name of an experiment or a bucket. Raises Refused."""
    if len(name) > MAX_NAME_CHARS:
        raise Refused(f"the {kind} {name[:80]!r} has {len(name)} characters: give 1 to {MAX_NAME_CHARS}")
    return checked(kind, name)


def description_of(payload: Payload) -> str | None:
    """Return the description in a request; None if it has none. Raises Refused."""
    given = payload.fields.get("description")
    if given is None or given == "":
        return given
    text = payload.text("description")
    if len(text) > MAX_DESCRIPTION_CHARS:
        raise Refused(f"description has {len(text)} characters: give at most {MAX_DESCRIPTION_CHARS}")
    return text


def labels_of(payload: Payload) -> dict[str, str] | None:
    """Return the labels in a request; None if it has none. Raises Refused."""
    given = payload.fields.get("labels")
    if given is None:
        return None
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise Refused(f"labels is {_BRIEF.repr(given)}: give an object of texts")
    longest = max((len(text) for label in given.items() for text in label), default=0)
    if len(given) > _MAX_LABELS or longest > _MAX_LABEL_CHARS:
        limits = f"{_MAX_LABELS} labels of {_MAX_LABEL_CHARS} characters"
        raise Refused(f"labels has {len(given)} labels, the longest text {longest} characters: give at most {limits}")
    return dict(given)


def wanted_labels(given: str) -> Mapping[str, str]:
    """Return the labels of a query, `KEY:VALUE` with commas between them. Raises Refused."""
    found = {}
    for one in given.split(","):
        key, separator, value = one.partition(":")
        if not separator or not key.strip():
            raise Refused(f"labels has {one[:100]!r}: give KEY:VALUE, several with commas between them")
        found[key.strip()] = value.strip()
    return found


def whole(payload: Payload, name: str, low: int, high: int) -> int | None:
    """Return a whole number of a body, or of a query string, within bounds; None if it is not given. Raises Refused."""
    given: Any = payload.fields.get(name)
    if given is None or given == "":
        return None
    text = given if isinstance(given, str) else str(given)
    if isinstance(given, bool | float) or not re.fullmatch(r"[0-9]{1,18}", text) or not low <= int(text) <= high:
        raise Refused(f"{name} is {_BRIEF.repr(given)}: give a whole number of {low} to {high}", name=name)
    return int(text)


def variable_name(name: str) -> str:
    """Return the name of a variable. Raises Refused."""
    if len(name) > MAX_NAME_CHARS or not _VARIABLE.match(name):
        raise Refused(
            f"the variable {name[:80]!r} cannot be called so: give letters and underscores, at most {MAX_NAME_CHARS}, "
            "with no underscore at either end"
        )
    return name


def variable_value(payload: Payload) -> str | None:
    """Return the value of a variable, which may be empty; None if the request has none. Raises Refused. The refusal
    does not show it."""
    given = payload.fields.get("value")
    if given is None:
        return None
    if not isinstance(given, str):
        raise Refused(f"value is {type(given).__name__}: give a text", name="value")
    if "\0" in given:
        raise Refused("value has a NUL character, which no environment can hold: leave it out", name="value")
    if (size := len(given.encode())) > _MAX_VALUE_BYTES:
        raise Refused(f"value has {size} bytes: give at most {_MAX_VALUE_BYTES}, and keep what is longer in a file")
    return given


def truth(payload: Payload, name: str) -> bool | None:
    """Return a truth value; None if it is not given. Raises Refused."""
    given = payload.fields.get(name)
    if given is None or isinstance(given, bool):
        return given
    raise Refused(f"{name} is {_BRIEF.repr(given)}: give true or false", name=name)
