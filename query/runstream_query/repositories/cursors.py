"""Cursors of pages of runs: behind which row the next page begins."""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Final

from runstream.events.limits import MAX_AT_US
from runstream_query.errors import InvalidRequest

#: Of the longest order: five keys of three terms each, and the run.
_MAX_TERMS: Final = 16


@dataclass(frozen=True, slots=True)
class Cursor:
    """Behind which row the next page begins, and when `now` was for the first page, so that all pages agree."""

    terms: tuple[int | float | str, ...]
    now_us: int
    #: Of the filter and the order that the cursor belongs to.
    question: str

    def text(self) -> str:
        floats = [["f", term.hex()] if isinstance(term, float) else term for term in self.terms]
        packed = json.dumps([floats, self.now_us, self.question], separators=(",", ":"))
        return base64.urlsafe_b64encode(packed.encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str, question: str) -> "Cursor":
        """Raises InvalidRequest if it is none, or belongs to another question."""
        try:
            packed = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            terms, now_us, parameters = packed
            unpacked = tuple(float.fromhex(term[1]) if isinstance(term, list) else term for term in terms)
            if not all(isinstance(term, int | float | str) for term in unpacked) or not isinstance(now_us, int):
                raise ValueError("wrong types")
            if not 0 <= now_us <= MAX_AT_US or len(unpacked) > _MAX_TERMS:
                raise ValueError("no time of a question, or too many terms")
            for term in unpacked:
                if isinstance(term, str):
                    term.encode()  # a statement carries no half of a surrogate pair
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, binascii.Error, RecursionError):
            raise InvalidRequest(
                f"cursor {text[:40]!r} cannot be read: give next_cursor of a response as it was", name="cursor"
            ) from None
        if parameters != question:
            raise InvalidRequest(
                "this cursor belongs to another filter or sort: repeat both as in the first page, or leave it out",
                name="cursor",
            )
        return cls(unpacked, now_us, question)
