"""Which columns of a table fit, and how wide they become. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from runstream_infra.cli.values import plain

#: Two blanks between columns.
GAP_CHARS: Final = 2
#: A cell below this width says nothing any more: better to leave the column out.
LEAST_CHARS: Final = 8


@dataclass(frozen=True, slots=True)
class Column:
    """`keep`: columns with a lower number are left out first when the terminal is narrow."""

    key: str
    title: str
    right: bool = False
    keep: int = 0


@dataclass(frozen=True, slots=True)
class Layout:
    """What is shown, left to right, how wide each column is, and the titles of what was left out."""

    columns: tuple[Column, ...]
    widths: tuple[int, ...]
    left_out: tuple[str, ...]


def cells(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """The text of each cell, in the order of `columns`. Control characters, which could move the cursor or change the
    terminal, become a visible mark: names and messages come from whoever logged them."""
    return [[printable(plain(row.get(column.key))) for column in columns] for row in rows]


def printable(text: str) -> str:
    """`text` on one line without anything a terminal would act on."""
    return "".join(
        char if char.isprintable() else " " if char.isspace() else "\N{REPLACEMENT CHARACTER}" for char in text
    )


def fit(columns: Sequence[Column], texts: Sequence[Sequence[str]], width: int | None) -> Layout:
    """Lay out a table in `width` characters (None: as wide as it wants).

    The column with the lowest `keep` (the rightmost of several) goes first, until what is left can have LEAST_CHARS
    each or its whole text; then the widest columns are cut. One column always stays.
    """
    natural = [max([len(column.title), *(len(row[index]) for row in texts)]) for index, column in enumerate(columns)]
    shown = list(range(len(columns)))
    if width is None:
        return Layout(tuple(columns), tuple(natural), ())
    while len(shown) > 1 and _least(natural, shown) > width:
        shown.remove(min(shown, key=lambda index: (columns[index].keep, -index)))
    widths = _cut([natural[index] for index in shown], width - GAP_CHARS * (len(shown) - 1))
    left_out = tuple(column.title for index, column in enumerate(columns) if index not in shown)
    return Layout(tuple(columns[index] for index in shown), tuple(widths), left_out)


def _least(natural: Sequence[int], shown: Sequence[int]) -> int:
    return sum(min(natural[index], LEAST_CHARS) for index in shown) + GAP_CHARS * (len(shown) - 1)


def _cut(natural: list[int], width: int) -> list[int]:
    """The widths, the widest ones cut to one common width so that all fit."""
    if sum(natural) <= width:
        return natural
    limit = max(natural)
    while limit > 1 and sum(min(size, limit) for size in natural) > width:
        limit -= 1
    return [min(size, limit) for size in natural]
