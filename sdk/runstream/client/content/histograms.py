"""Histograms: how often values of an array, a tensor or a list fall into ranges of one width."""

import json
import math
import sys
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, Final

from runstream.client.content.images import on_host
from runstream.errors import Invalid

BINS: Final = 64
MAX_BINS: Final = 10_000
#: Ranges that are narrower beside their values than this cannot be told from each other.
_LEAST_SHARE: Final = 1e-15


def is_histogram(value: object) -> bool:
    """Return whether `histogram_of` takes `value`: an array or tensor of numbers, a list of numbers, or a histogram
    with `histogram` and `bins`."""
    if isinstance(value, list | tuple):
        return bool(value) and all(isinstance(one, int | float) for one in value)
    if _is_counted(value):
        return True
    return hasattr(value, "shape") and (hasattr(value, "__array__") or hasattr(value, "detach"))


def histogram_of(values: Any, bins: int = BINS) -> dict[str, Any]:
    """Return `counts` of values in ranges between `edges` (one more than counts; the last range holds both of its
    ends), and of all: `count`, `nan_count`, `infinite_count`, and the finite ones' exact `min`, `max` and `mean`.

    Raises Invalid.
    """
    if not 1 <= bins <= MAX_BINS:
        raise Invalid(f"bins = {bins!r} of a histogram: give 1 to {MAX_BINS}")
    if _is_counted(values):
        return {"counts": _plain(values.histogram), "edges": _plain(values.bins)}
    if isinstance(values, list | tuple):
        return _of_list([float(value) for value in values], bins)
    return _of_array(on_host(values), bins)


def histogram_bytes(values: Any, bins: int = BINS) -> bytes:
    """Return `histogram_of` as JSON. Raises Invalid."""
    return json.dumps(histogram_of(values, bins)).encode()


def _of_list(values: list[float], bins: int) -> dict[str, Any]:
    finite = [value for value in values if math.isfinite(value)]
    nan_count = sum(map(math.isnan, values))
    if not finite:
        return _found([], [], len(values), nan_count, None)
    low, high = min(finite), max(finite)
    edges = _edges(low, high, bins)
    counts = [0] * bins
    for value in finite:
        counts[min(max(bisect_right(edges, value) - 1, 0), bins - 1)] += 1
    mean = math.fsum(value / len(finite) for value in finite)
    return _found(counts, edges, len(values), nan_count, (len(finite), low, high, mean))


def _of_array(array: Any, bins: int) -> dict[str, Any]:
    import numpy as np

    values = np.asarray(array)
    if values.dtype.kind not in "biuf":
        raise Invalid(f"a histogram of {values.dtype}: give real numbers")
    values = values.astype(np.float64, copy=False).ravel()
    finite = values[np.isfinite(values)]
    nan_count = int(np.isnan(values).sum())
    if not finite.size:
        return _found([], [], values.size, nan_count, None)
    low, high = float(finite.min()), float(finite.max())
    ends = _edges(low, high, bins)
    counts, edges = np.histogram(finite, bins=bins, range=(ends[0], ends[-1]))
    mean = float((finite / finite.size).sum())
    return _found(counts.tolist(), edges.tolist(), values.size, nan_count, (finite.size, low, high, mean))


def _edges(low: float, high: float, bins: int) -> list[float]:
    """Return where ranges of one width begin and end. Values between which there is no room for so many stand in the
    middle of a wider range. Raises Invalid."""
    if not math.isfinite(high - low):
        raise Invalid(f"a histogram from {low:g} to {high:g}: its ranges are more than a float holds, scale the values")
    least = max(abs(low), abs(high)) * _LEAST_SHARE * bins
    if high - low <= max(least, sys.float_info.min * bins):
        room = max(0.5, least)
        low, high = low - room, high + room
    return [low + (high - low) * number / bins for number in range(bins)] + [high]


def _found(
    counts: list[int],
    edges: list[float],
    count: int,
    nan_count: int,
    finite: tuple[int, float, float, float] | None,
) -> dict[str, Any]:
    number, low, high, mean = finite or (0, None, None, None)
    return {
        "counts": counts,
        "edges": edges,
        "count": int(count),
        "nan_count": nan_count,
        "infinite_count": int(count) - nan_count - int(number),
        "min": low,
        "max": high,
        "mean": mean,
    }


def _is_counted(value: object) -> bool:
    """W&B's histograms and their like."""
    return hasattr(value, "histogram") and hasattr(value, "bins")


def _plain(numbers: Sequence[Any]) -> list[Any]:
    found: list[Any] = numbers.tolist() if hasattr(numbers, "tolist") else list(numbers)
    return found
