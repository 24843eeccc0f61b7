"""ML Aide's numbers of runs and our ids. Pure.

A number stands for what is there: nothing is stored, so that every run of Runstream has one, and no gateway has to ask
another one for the next.
"""

import hashlib
import re
from typing import Final

from runstream.events import limits
from runstream.events.names import RUN_ID

#: Numbers of runs that the client starts are below 2**53: every program that reads JSON knows them exactly.
_NUMBER_BITS: Final = 53
_NUMBER_DIGITS: Final = 14
_ID_DIGITS: Final = 32
_STARTED_ID: Final = re.compile(rf"[0-9a-f]{{{_ID_DIGITS}}}\Z")
#: All other runs have numbers from here on, of which the digits in base 256 are their id.
_OTHERS: Final = 1 << _NUMBER_BITS
#: The largest of them: an id has at most so many bytes.
_MAX_DIGITS: Final = len(str(_OTHERS + 256**limits.MAX_RUN_ID_CHARS))


def id_of_new_run(drawn: bytes) -> str:
    """Return the id of a run that the client starts, made of 8 random bytes."""
    return _started_id((int.from_bytes(drawn[:8], "big") >> (64 - _NUMBER_BITS)) or 1)


def number_of_run(run: str) -> int:
    """Return the number of a run, by its id."""
    if _STARTED_ID.match(run):
        number = int(run[:_NUMBER_DIGITS], 16)
        if 0 < number < _OTHERS and _started_id(number) == run:
            return number
    return _OTHERS + int.from_bytes(run.encode(), "big")


def run_of_number(text: str) -> str | None:
    """Return the id of the run with this number, in decimal digits; None if no run can have it."""
    if not text.isascii() or not text.isdecimal() or len(text) > _MAX_DIGITS:
        return None
    number = int(text)
    if number < _OTHERS:
        return _started_id(number) if number > 0 else None
    code = number - _OTHERS
    run = code.to_bytes((code.bit_length() + 7) // 8, "big").decode("ascii", "replace")
    return run if RUN_ID.match(run) and number_of_run(run) == number else None


def _started_id(number: int) -> str:
    """The number in hexadecimal digits, and behind it what shows that it is one."""
    begin = f"{number:0{_NUMBER_DIGITS}x}"
    return begin + hashlib.sha256(begin.encode()).hexdigest()[: _ID_DIGITS - _NUMBER_DIGITS]
