"""Columns that a list of runs has beside those of every run: single names, and globs of names."""

import dataclasses
from collections.abc import Collection
from typing import Final, Self

from runstream.globs import is_glob, matcher
from runstream_query.errors import FilterError, InvalidRequest
from runstream_query.filters.compiler import SUMMARY_COLUMNS
from runstream_query.filters.parser import parse_field
from runstream_query.filters.printer import print_field
from runstream_query.filters.tree import NAMED, Field
from runstream_query.repositories.statements.order import split_fields

MAX_COLUMNS: Final = 500
#: Each is held against every name that there is.
MAX_GLOBS: Final = 50


@dataclasses.dataclass(frozen=True, slots=True)
class ColumnGlob:
    """Fields of one kind whose names a glob means; of metrics one number."""

    kind: str
    glob: str
    aggregate: str | None

    @classmethod
    def of(cls, text: str) -> Self | None:
        """Read `param.*`, `metric.val/*` or `metric.val/*.min`; None for what names one field."""
        kind, _, glob = text.partition(".")
        if kind not in NAMED or not is_glob(glob) or '"' in glob or "'" in glob:
            return None
        if kind != "metric":
            return cls(kind, glob, None)
        names, _, last = glob.rpartition(".")
        return cls(kind, names, last) if names and last in SUMMARY_COLUMNS else cls(kind, glob, "last")

    def means(self, field: Field) -> bool:
        aggregate = field.aggregate or "last" if field.kind == "metric" else None
        return (field.kind, aggregate) == (self.kind, self.aggregate) and matcher(self.glob)(field.name)


class ColumnsParameters:
    """The columns of a page: what to look up, and under which text each value is answered."""

    def __init__(self, columns: str, optional_columns: str = "") -> None:
        """Read the two parameters of a request. Raises FilterError and InvalidRequest, with the parameter's name."""
        self.globs: list[ColumnGlob] = []
        self.named: dict[Field, list[str]] = {}
        self._add("columns", columns)
        #: Those that the request expects some run to have.
        self.expected: Final = frozenset(self.named)
        self._add("optional_columns", optional_columns)

    def _add(self, name: str, text: str) -> None:
        pieces = split_fields(text)
        if len(pieces) > MAX_COLUMNS + len(NAMED):
            raise InvalidRequest(f"{name}: {len(pieces)} of them, at most {MAX_COLUMNS} are allowed", name=name)
        for piece in pieces:
            if (glob := ColumnGlob.of(piece)) is not None:
                self.globs.append(glob)
            else:
                self.named.setdefault(_field(name, piece), []).append(piece)
        if len(self.globs) > MAX_GLOBS:
            raise InvalidRequest(
                f"{name}: {len(self.globs)} globs, at most {MAX_GLOBS} are allowed: name the columns", name=name
            )
        if len(self.named) > MAX_COLUMNS:
            raise InvalidRequest(f"{name}: {len(self.named)} of them, at most {MAX_COLUMNS} are allowed", name=name)

    def names(self, kind: str) -> list[str]:
        return sorted({field.name for field in self.named if field.kind == kind})

    def seen(self, keys: Collection[str]) -> set[tuple[str, str]]:
        """(kind, name) of the fields with a value under one of these texts."""
        return {(field.kind, field.name) for field, texts in self.named.items() if any(one in keys for one in texts)}

    def keys(self, field: Field) -> list[str]:
        """Under which texts the value of `field` is answered."""
        keys = list(self.named.get(field, ()))
        if any(glob.means(field) for glob in self.globs):
            keys.append(print_field(field))
        return keys


def _field(name: str, text: str) -> Field:
    try:
        field = parse_field(text)
    except FilterError as error:
        raise FilterError(f"{name}: {error.message}", text=error.text, column=error.column, name=name) from None
    if field.kind not in NAMED:
        raise InvalidRequest(
            f"{name}: {text!r} is part of every row or has no single value: give metric, param, other and env fields",
            name=name,
        )
    return field
