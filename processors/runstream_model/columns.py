"""Whole columns of a table, as the folds give them and a store takes them.

A column without one of these types is a numpy array or a sequence of values.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Constant:
    """The same text in each of `rows` rows."""

    value: str
    rows: int


@dataclass(frozen=True, slots=True)
class Coded:
    """Texts as codes: row i holds `dictionary[codes[i]]`. A dictionary should not repeat a text (it may)."""

    dictionary: Sequence[str]
    codes: Array


@dataclass(frozen=True, slots=True)
class Lists:
    """Lists as one flat column and the length of each row's list."""

    flat: "ColumnData"
    lengths: Array


@dataclass(frozen=True, slots=True)
class Gaps:
    """Numbers, and where there are none: row i is NULL where `absent[i]`, whatever stands in `values[i]`."""

    values: Array
    absent: npt.NDArray[np.bool_]


ColumnData: TypeAlias = Array | Sequence[Any] | Constant | Coded | Lists | Gaps
