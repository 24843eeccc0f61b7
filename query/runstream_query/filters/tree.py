"""The expression tree: what a filter means, whoever wrote it. Immutable, hashable, compared by value.

A tree is made by `parse` from text, or by hand:

    And((Compare(Field("metric", "loss", "min"), "<", 0.1), Compare(Field("tag"), "=", "sweep")))

Making a tree checks nothing but its shape; `check` says whether its values fit its fields, and `compile_filter`
refuses what `check` refuses. `print_filter` gives the text, and parsing that text gives an equal tree.
"""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

from runstream_model import statistics
from runstream_model.projection import FLAG, TEXT, TIME
from runstream_model.run_state import RUN_STATES

#: One of `KINDS`.
Kind: TypeAlias = str
#: One of `AGGREGATES`.
Aggregate: TypeAlias = str
Comparison: TypeAlias = Literal["=", "!=", "<", "<=", ">", ">="]
TextOperator: TypeAlias = Literal["contains", "startswith", "endswith", "matches"]

#: What is logged under names: metric.NAME, param.NAME, ...
NAMED: Final = ("metric", "param", "other", "env")
#: The columns of runs, by the kind of field that looks at them.
RUN_FIELDS: Final = {column.field: column for column in RUN_STATES.visible if column.field}
TEXTS: Final = tuple(name for name, column in RUN_FIELDS.items() if column.kind == TEXT)
TIMES: Final = tuple(name for name, column in RUN_FIELDS.items() if column.kind == TIME)
FLAGS: Final = tuple(name for name, column in RUN_FIELDS.items() if column.kind == FLAG)
#: What a field of a metric may end in.
AGGREGATES: Final = tuple(statistics.AGGREGATES)
COMPARISONS: Final[tuple[str, ...]] = get_args(Comparison)
TEXT_OPERATORS: Final[tuple[str, ...]] = get_args(TextOperator)
#: What a field may be called. `tags` is another spelling of `tag`.
KINDS: Final = (*NAMED, *RUN_FIELDS)


@dataclass(frozen=True, slots=True)
class Field:
    """What of a run is looked at. `name` is the metric's, parameter's, ... (of the kinds in `NAMED`, else empty);
    `aggregate` is of metrics alone."""

    kind: Kind
    name: str = ""
    aggregate: Aggregate | None = None

    def __post_init__(self) -> None:
        if self.kind == "metric" and self.aggregate is None:
            object.__setattr__(self, "aggregate", "last")


@dataclass(frozen=True, slots=True)
class Instant:
    """A moment: microseconds since 1970 UTC."""

    at_us: int


@dataclass(frozen=True, slots=True)
class FromNow:
    """A moment relative to when the filter is applied; negative is the past."""

    offset_us: int


Value: TypeAlias = float | str | bool | Instant | FromNow


@dataclass(frozen=True, slots=True)
class Compare:
    field: Field
    operator: Comparison
    value: Value


@dataclass(frozen=True, slots=True)
class OneOf:
    """`field in (values)`, or with `negated` `field not in (values)`."""

    field: Field
    values: tuple[Value, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Between:
    """Both ends belong to it."""

    field: Field
    low: Value
    high: Value


@dataclass(frozen=True, slots=True)
class TextTest:
    field: Field
    operator: TextOperator
    text: str


@dataclass(frozen=True, slots=True)
class IsNull:
    """The run has no such value; with `negated`: it has one."""

    field: Field
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Not:
    item: "Expression"


@dataclass(frozen=True, slots=True)
class And:
    """Two or more expressions that must all hold."""

    items: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Two or more expressions of which one must hold."""

    items: tuple["Expression", ...]


Test: TypeAlias = Compare | OneOf | Between | TextTest | IsNull
Expression: TypeAlias = Test | Not | And | Or


def required_fields(expression: Expression) -> frozenset[Field]:
    """Fields that every run has which the expression holds for: what is missing passes no test but negated ones."""
    match expression:
        case And(items):
            return frozenset(field for item in items for field in required_fields(item))
        case Or() | Not() | Compare(operator="!=") | OneOf(negated=True) | IsNull(negated=False):
            return frozenset()
        case Compare() | OneOf() | Between() | TextTest() | IsNull():
            return frozenset({expression.field})


def fields_of(expression: Expression) -> frozenset[Field]:
    """Every field that the expression looks at."""
    match expression:
        case And(items) | Or(items):
            return frozenset(field for item in items for field in fields_of(item))
        case Not(item):
            return fields_of(item)
        case Compare() | OneOf() | Between() | TextTest() | IsNull():
            return frozenset((expression.field,))
