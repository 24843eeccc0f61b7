"""The metric names of groups, decoded and checked once instead of once a frame."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from runstream.events.columns import metric_names


@dataclass(frozen=True, slots=True, eq=False)
class Schema:
    """The metrics of a group, in its own order. Compared by identity: equal names may exist twice."""

    names: tuple[str, ...]
    #: order[i] is the place of the i-th name in sorted order.
    order: npt.NDArray[np.int32]


#: Names of one group that are worth keeping, and how many groups' names: 2,048 * 16 kB = 32 MB at the very most.
#: A usual group has ten names of ten characters.
_KEPT_NAMES_BYTES: Final = 16_384
_KEPT_SCHEMAS: Final = 2048


def schema_of(names: bytes) -> Schema:
    """The schema of metric names joined by newlines. Raises InvalidFrame. May be called from any thread."""
    return _kept(names) if len(names) <= _KEPT_NAMES_BYTES else _read(names)


def _read(joined: bytes) -> Schema:
    names = metric_names(joined)
    return Schema(names, np.array(sorted(range(len(names)), key=names.__getitem__), np.int32))


_kept = lru_cache(maxsize=_KEPT_SCHEMAS)(_read)
