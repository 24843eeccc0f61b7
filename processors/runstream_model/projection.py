"""What a read model is, as data: its name, its version, its key and its columns.

Each read model is declared beside the fold that makes its rows, and listed in `runstream_model.projections`. Whoever
needs its shape (the store's tables and views, responses, the command line) takes it from there or is held equal to it
by a test. Types are those of ClickHouse. Pure data, for a base install too.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

#: The types that most columns have.
NAME: Final = "LowCardinality(String)"
TEXT: Final = "String"
TEXTS: Final = "Array(String)"
NUMBER: Final = "Float64"
INTEGER: Final = "Int64"
COUNT: Final = "UInt64"
FLAG: Final = "Bool"
#: Rows hold such a time as an integer: microseconds since 1970 UTC.
TIME: Final = "DateTime64(6, 'UTC')"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a read model.

    internal: the server's own, so that no response shows it.
    computed: no table has it; it is worked out when it is read.
    optional: a block may leave it out of all of its rows; then the store puts NULL in, or, if it is internal, what the
        column's default makes of the row's other columns.
    in_view: the view of newest rows has it.
    since: the version of the projection that it came with. Rows of an earlier version leave it out: it is NULL there,
        or, if it is internal, what its type begins with.
    blank: what stands in a row that leaves it out; None: no row may.
    field: what filters and sort keys of runs call it; empty: they do not know it.
    """

    name: str
    type: str
    meaning: str
    internal: bool = False
    computed: bool = False
    optional: bool = False
    in_view: bool = True
    since: int = 1
    blank: Any = None
    field: str = ""

    @property
    def nullable(self) -> bool:
        """Whether it can be NULL."""
        return self.type.startswith("Nullable(")

    @property
    def kind(self) -> str:
        """The type without what makes room for NULL or saves room on the disk: one of TEXT, TEXTS, NUMBER, ..."""
        plain = self.type.removeprefix("Nullable(").removesuffix(")") if self.nullable else self.type
        return TEXT if plain == NAME else plain

    @property
    def newest(self) -> str:
        """The aggregate over the rows `s` of a key that gives what stands in the newest of them."""
        # argMax passes over NULL, which may be the newest state: a tuple of one hides it.
        return f"argMax(tuple(s.{self.name}), s.offset).1" if self.nullable else f"argMax(s.{self.name}, s.offset)"


@dataclass(frozen=True)
class Projection:
    """A read model: the table `name`, whose rows are a fold over the log.

    version: grows with every change of what the rows mean, so that rows of an earlier version can be told apart.
    key: the columns that the table is sorted by. Where there is a `view`, a row is the newest state of its key, and the
    view has the newest of each; where there is none, a row is added once and stays.
    view_where: which rows the view looks at; empty: all.
    """

    name: str
    version: int
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    view: str | None = None
    view_where: str = field(default="")

    @cached_property
    def stored(self) -> tuple[Column, ...]:
        """The columns that the table has, in its order."""
        return tuple(column for column in self.columns if not column.computed)

    @cached_property
    def visible(self) -> tuple[Column, ...]:
        """The columns that responses show, in their order."""
        return tuple(column for column in self.columns if not column.internal)

    @cached_property
    def viewed(self) -> tuple[Column, ...]:
        """The columns that the view has, in its order."""
        return tuple(column for column in self.stored if column.in_view)


#: Which record of the log a row comes from: the end of every read model's columns but for those that came later.
PART: Final = Column("part", "UInt16", "the partition of the log that the row's record stands in", internal=True)
OFFSET: Final = Column("offset", COUNT, "the record's offset in its partition", internal=True)
POSITION: Final = (PART, OFFSET)
