"""Odd values of foreign clients into ones that can be kept. Pure; nothing here raises.

One bad value must not cost a client its batch, which some drop whole on a refusal: names are made to fit, what is no
number is kept as a text, and a step or a time that cannot be one counts as not given.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from runstream.events import limits

_UNUSABLE: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_WORDS: Final[Mapping[str, float]] = {
    "nan": math.nan,
    "infinity": math.inf,
    "+infinity": math.inf,
    "-infinity": -math.inf,
    "inf": math.inf,
    "-inf": -math.inf,
    "true": 1.0,
    "false": 0.0,
}
#: Longer values are cut, and more so if their characters are long: an event has at most 256 kB.
MAX_VALUE_CHARS: Final = 50_000
MAX_VALUE_BYTES: Final = 200_000
#: The longest of a character is that of a control character in JSON: 33,000 * 6 = 198,000.
_ANY_CHARS: Final = 33_000
#: Lists in lists beyond this are kept as text: whoever reads JSON has a limit somewhere.
_MAX_DEPTH: Final = 20
#: No number is longer as a text (one that is has 4,000 digits of which a double holds 17).
_MAX_NUMBER_CHARS: Final = 4_000
#: Of a name. Users make some of 10,000 characters.
_MAX_FITTED_CHARS: Final = 100_000
#: The last moment that is within 64 bits in nanoseconds, as a point's time is (in the year 2262).
_MAX_POINT_US: Final = 2**63 // 1000 - 1000
#: Tags of one event: 500 * 200 bytes.
_TAGS: Final = 500
#: What a name that is too long keeps of its hash, so that two long names stay two.
_HASH_CHARS: Final = 8


def number_of(value: Any) -> float | None:
    """Return the number that a metric's value is, also as a text (`"NaN"`, `"-Infinity"`, `"True"`, `"0.5"`); None if
    it is none. An integer beyond what a double holds becomes an infinity."""
    match value:
        case bool() | int() | float():
            try:
                return float(value)
            except OverflowError:
                return math.inf if value > 0 else -math.inf
        case str() if len(value) <= _MAX_NUMBER_CHARS:
            word = _WORDS.get(value.strip().lower())
            if word is not None:
                return word
            try:
                return float(value)
            except ValueError:
                return None
        case _:
            return None


def metric_name(name: Any, context: Any = None) -> str:
    """Return a name that a metric can have. Within a context (`train`) it is `train_loss`."""
    return fitted(_in_context(name, context), limits.MAX_METRIC_NAME_BYTES)


def parameter_name(name: Any, context: Any = None) -> str:
    """Return a name that a parameter or another value can have."""
    return fitted(_in_context(name, context), limits.MAX_PARAMETER_NAME_CHARS)


def asset_name(name: Any) -> str:
    """Return a name that an asset can have; nobody makes a path of it."""
    return fitted(name, 1000)


def fitted(name: Any, max_bytes: int) -> str:
    """Return the name without control characters and outer white space; one that is too long keeps its beginning and
    ends with a hash of the whole."""
    text = name if isinstance(name, str) else _shown(name)
    if len(text) > _MAX_FITTED_CHARS:
        # Looking through all of it for characters would take long.
        whole = hashlib.sha256(text.encode(errors="replace")).hexdigest()
        text = f"{text[:_MAX_FITTED_CHARS]}{whole}"
    text = _UNUSABLE.sub(" ", text).strip()
    if not text:
        return "unnamed"
    encoded = text.encode()
    if len(encoded) <= max_bytes:
        return text
    kept = encoded[: max_bytes - _HASH_CHARS - 1].decode(errors="ignore").rstrip()
    return f"{kept}-{hashlib.sha256(encoded).hexdigest()[:_HASH_CHARS]}"


def step_of(value: Any) -> int | None:
    """Return a step or an epoch; None if it was not given, or is no whole number of 64 bits."""
    number = _whole(value)
    return number if number is not None and -(2**63) < number < 2**63 else None


def at_us_of(milliseconds: Any) -> int | None:
    """Return milliseconds since 1970 UTC in microseconds; None if they were not given, or cannot be shown."""
    number = _whole(milliseconds)
    if number is None or not 0 < number * 1000 <= _MAX_POINT_US:
        return None
    return number * 1000


def text_of(value: Any) -> str | None:
    """Return a text without what cannot be encoded; None stays None."""
    return None if value is None else str(value).encode(errors="replace").decode()


def bounded(value: Any, max_chars: int = MAX_VALUE_CHARS) -> Any:
    """Return a value that fits into an event (MAX_VALUE_BYTES of JSON): what does not, as text, keeps its beginning and
    says so."""
    if isinstance(value, str):
        text = value
    elif isinstance(value, list | dict) and (_is_deep(value) or size_of(value) > 4 * max_chars):
        text = _shown(value)
    else:
        return value
    kept = text[:max_chars]
    if size_of(kept) > MAX_VALUE_BYTES:
        kept = text[:_ANY_CHARS]
    if len(kept) < len(text):
        kept = f"{kept}... ({len(text)} characters, cut: log long texts as assets)"
    return text_of(kept)


def size_of(value: Any) -> int:
    """Return bytes of a value as JSON in an event."""
    return len(json.dumps(value, ensure_ascii=False).encode(errors="replace"))


def grouped(values: Mapping[str, Any], max_bytes: int = MAX_VALUE_BYTES) -> Iterator[dict[str, Any]]:
    """Return the values, each `bounded`, in groups of which each fits into an event, in their order."""
    held: dict[str, Any] = {}
    size = 0
    for name, value in values.items():
        added = size_of(name) + size_of(value) + 2
        if held and size + added > max_bytes:
            yield held
            held, size = {}, 0
        held[name] = value
        size += added
    if held:
        yield held


def tags_of(listed: Sequence[Any]) -> Iterator[tuple[str, ...]]:
    """Return the tags, each made to fit, in groups of which each fits into an event."""
    for begin in range(0, len(listed), _TAGS):
        yield tuple(fitted(tag, limits.MAX_TAG_CHARS) for tag in listed[begin : begin + _TAGS])


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [
            item
            for one in level
            if isinstance(one, list | dict)
            for item in (one.values() if isinstance(one, dict) else one)
        ]
    return bool(level)


def _shown(value: Any) -> str:
    try:
        return str(value)
    except RecursionError:
        return "lists in lists, too many to be shown"


def _whole(value: Any) -> int | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and len(value) > _MAX_NUMBER_CHARS:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return int(number) if math.isfinite(number) else None


def _in_context(name: Any, context: Any) -> str:
    text = name if isinstance(name, str) else _shown(name)
    return f"{context}_{text}" if context else text


def is_longer(value: Any, max_chars: int) -> bool:
    """Return whether a value takes more than so many characters as JSON, about: texts count whole, all else as one.
    It is looked at no further than that, so that a large value costs no more than a small one."""
    left, waiting = max_chars, [value]
    while waiting:
        item = waiting.pop()
        match item:
            case str():
                left -= len(item)
            case list():
                left -= len(item)
                if left >= 0:
                    waiting.extend(item)
            case dict():
                left -= len(item)
                if left >= 0:
                    waiting.extend((*item, *item.values()))
            case _:
                left -= 1
        if left < 0:
            return True
    return False
