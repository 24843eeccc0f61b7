"""Which columns of a table fit, and how wide they become. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from runstream_infra.cli.values import plain

#: Two blanks between columns.
GAP_CHARS: Final = 2
#: A cell below this width says nothing any more: better to leave the column out.
LEAST_CHARS: Final = 8


@dataclass(frozen=True, slots=True)
class Column:
    """`keep`: columns with a lower number are left out first when the terminal is narrow. `short` gives shorter cells
    for a column that is never cut, for where the table does not fit."""

    key: str
    title: str
    right: bool = False
    keep: int = 0
    short: Callable[[Sequence[str]], Sequence[str]] | None = None


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
    natural = natural_widths(columns, texts)
    shown = list(range(len(columns)))
    if width is None:
        return Layout(tuple(columns), tuple(natural), ())
    least = [size if column.short else min(size, LEAST_CHARS) for size, column in zip(natural, columns, strict=True)]
    while len(shown) > 1 and sum(least[index] for index in shown) + GAP_CHARS * (len(shown) - 1) > width:
        shown.remove(min(shown, key=lambda index: (columns[index].keep, -index)))
    widths = _cut(
        [natural[index] for index in shown],
        width - GAP_CHARS * (len(shown) - 1),
        [columns[index].short is not None for index in shown],
    )
    left_out = tuple(column.title for index, column in enumerate(columns) if index not in shown)
    return Layout(tuple(columns[index] for index in shown), tuple(widths), left_out)


def natural_widths(columns: Sequence[Column], texts: Sequence[Sequence[str]]) -> list[int]:
    """Return how wide each column wants to be."""
    return [max([len(column.title), *(len(row[index]) for row in texts)]) for index, column in enumerate(columns)]


def shortened(columns: Sequence[Column], texts: list[list[str]], width: int | None) -> list[list[str]]:
    """Return the cells, those of columns with a `short` form in that form where the table is wider than `width`."""
    natural = natural_widths(columns, texts)
    if width is None or not texts or sum(natural) + GAP_CHARS * (len(natural) - 1) <= width:
        return texts
    by_column = [
        list(column.short(cells) if column.short is not None else cells)
        for column, cells in zip(columns, map(list, zip(*texts, strict=True)), strict=True)
    ]
    return [list(row) for row in zip(*by_column, strict=True)]


def _cut(natural: list[int], width: int, whole: Sequence[bool]) -> list[int]:
    """The widths, the widest ones cut to one common width so that all fit; those that are to stay whole last."""
    if sum(natural) <= width:
        return natural
    limit = max(natural)
    while limit > 1 and sum(_limited(natural, limit, whole)) > width:
        limit -= 1
    if sum(widths := _limited(natural, limit, whole)) <= width:
        return widths
    return _cut(widths, width, [False] * len(whole))


def _limited(natural: Sequence[int], limit: int, whole: Sequence[bool]) -> list[int]:
    return [size if stays else min(size, limit) for size, stays in zip(natural, whole, strict=True)]
