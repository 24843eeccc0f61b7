"""Cursors that are a few whole numbers, as text: `3-41-7`."""

from typing import Final

from runstream_query.errors import InvalidRequest

_MAX: Final = 2**64 - 1


def write_cursor(*numbers: int) -> str:
    return "-".join(map(str, numbers))


def read_cursor(text: str, count: int) -> tuple[int, ...]:
    """Raises InvalidRequest if it does not have `count` numbers of 64 bits."""
    parts = text.split("-")
    if len(parts) != count or not all(part.isascii() and part.isdigit() and len(part) <= 20 for part in parts):
        raise InvalidRequest(f"cursor {text[:40]!r} cannot be read: give next_cursor as it was", name="cursor")
    return tuple(min(int(part), _MAX) for part in parts)
