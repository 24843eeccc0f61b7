"""The arithmetic of buckets: how wide they are, and which one a number is in."""

import math
from typing import Final

#: Of the smallest power of two with all of its bits.
_MIN_EXPONENT: Final = -1022
_MAX_WIDTH: Final = 2**62


def bucket_width(low: int, high: int, max_buckets: int, unit: int) -> int:
    """The smallest width, a multiple of `unit`, whose aligned buckets cover [low, high] with at most `max_buckets`
    (two or more)."""
    width = -(-(high - low + 1) // max_buckets)
    width = max(unit, -(-width // unit) * unit)
    if _buckets(low, high, width) > max_buckets:
        width = -(-(high - low + 1) // (max_buckets - 1))
        width = max(unit, -(-width // unit) * unit)
    return min(width, _MAX_WIDTH // unit * unit)


def power_of_two_width(low: int, high: int, max_buckets: int) -> int:
    """The smallest power of two whose aligned buckets cover [low, high] with at most `max_buckets` (two or more)."""
    # The bucket of 0 is nearly twice as wide as the others, so that half of the width may be enough.
    width = 1 << max(0, ((high - low) // max_buckets).bit_length() - 1)
    while _buckets(low, high, width) > max_buckets and width < _MAX_WIDTH:
        width *= 2
    return min(width, _MAX_WIDTH)


def power_of_two_float_width(low: float, high: float, max_buckets: int) -> float:
    """The same over floats, whose buckets are [n width, (n + 1) width): the power of two may be a fraction. 0 where
    there is one place."""
    if low >= high:
        return 0.0
    exponent = max(math.frexp(high - low)[1] - max_buckets.bit_length() - 1, _MIN_EXPONENT)
    while math.floor(high / 2.0**exponent) - math.floor(low / 2.0**exponent) >= max_buckets:
        exponent += 1
    return 2.0**exponent


def toward_zero(value: int, width: int) -> int:
    """Return the quotient rounded towards zero, as the engine's intDiv does."""
    return value // width if value >= 0 else -(-value // width)


def bucket_start(place: int, width: int) -> int:
    """Return the first place of the bucket that a place is in, within 64 bits. The buckets next to 0 on both sides are
    one."""
    bucket = toward_zero(place, width)
    start = bucket * width if bucket > 0 else (bucket - 1) * width + 1
    return max(start, 1 - 2**63)


def _buckets(low: int, high: int, width: int) -> int:
    return toward_zero(high, width) - toward_zero(low, width) + 1
