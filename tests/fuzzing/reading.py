"""Targets: what a query server reads from clients before it makes a statement of it."""

import base64
import random
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import from_json

from fuzzing.cases import Fault, Target
from fuzzing.values import Pairs, as_bytes, damaged, json_bytes, nested, odd_text, odd_value, some_changes, written
from runstream.events.positions import InvalidPositions, Positions
from runstream_protocols.comet.reads.predicates import (
    METADATA_FIELDS,
    SOURCES,
    Column,
    Predicate,
    expression_of_predicates,
    expression_of_tree,
    needs_columns,
)
from runstream_protocols.comet.reads.requests import QueryRequest
from runstream_query.errors import FilterError, QueryError
from runstream_query.filters import Expression, compile_filter, parse, print_filter
from runstream_query.filters.times import instant_us
from runstream_query.http.columns import ColumnsParameters
from runstream_query.http.cursors import read_cursor
from runstream_query.repositories.cursors import Cursor
from runstream_query.repositories.statements.globs import pattern_of
from runstream_query.repositories.statements.order import parse_sort
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.settings import QuerySettings

_MAX_BODY_BYTES: Final = QuerySettings().max_body_bytes
_NOW_US: Final = 1_750_000_000_000_000
_FIELDS: Final = (
    *("metric.loss", "metric.loss.min", 'metric."top 1".max', "param.lr", "other.dataset", "env.git.commit", "tag"),
    *("tags", "id", "name", "status", "workspace", "project", "created", "duration", "archived", "deleted", "ended"),
    *('metric.""', "metric.", "param.a.b.c", "metrics.loss", 'env."x"', "host", "message", "notes", "user"),
)
_OPERATORS: Final = (
    *("=", "==", "!=", "<", "<=", ">", ">=", "contains", "startswith", "endswith", "matches", "in", "not in"),
    *("between", "is null", "is not null", "exists", "IS", "and", "or", "not"),
)
_VALUES: Final = (
    *("1", "-1e-3", "inf", "-inf", "nan", "1e999", "0x1", '"a"', "'a'", '"\\u00e9"', '"\\ud800"', "2026-01-31", "now"),
    *("now-2h", "now+999999999999w", "2026-01-31T12:00+01:00", "9999-12-31", "0001-01-01", "90m", "1.5h", "true"),
    *(
        '"(?i)a+"',
        '"(a*)*b"',
        '"["',
        '"\\\\d+"',
        "''",
        '"' + "a" * 10_001 + '"',
        "1" * 400,
        "2026-13-45",
        "99999999999w",
    ),
    *('"running"', '"runing"', "null", "1_000", "١", '"(((((((((((((((((((("', '"a{1000}{1000}"', "2026-02-30"),
)


def filter_text(rng: random.Random, depth: int = 3) -> str:
    """An expression, mostly a right one."""
    chance = rng.random()
    if depth and chance < 0.25:
        word = rng.choice((" and ", " or ", " AND ", " "))
        return word.join(filter_text(rng, depth - 1) for _ in range(rng.choice((1, 2, 2, 3))))
    if depth and chance < 0.33:
        return f"not ({filter_text(rng, depth - 1)})"
    if depth and chance < 0.4:
        return "(" * rng.choice((1, 2, 49, 51, 3000)) + filter_text(rng, 0) + ")" * rng.choice((1, 2, 49, 3000))
    field, operator = rng.choice(_FIELDS), rng.choice(_OPERATORS)
    if rng.random() < 0.05:
        field = f'{rng.choice(("metric", "param", "x"))}."{odd_text(rng)}"'
    match operator:
        case "is null" | "is not null" | "exists":
            return f"{field} {operator}"
        case "in" | "not in":
            values = [rng.choice(_VALUES) for _ in range(rng.choice((0, 1, 2, 3)))]
            if rng.random() < 0.01:
                values *= rng.choice((300, 2000))
            return f"{field} {operator} ({', '.join(values)})"
        case "between":
            return f"{field} between {rng.choice(_VALUES)} and {rng.choice(_VALUES)}"
        case _:
            return f"{field} {operator} {rng.choice(_VALUES)}"


def make_filter(rng: random.Random) -> bytes:
    text = filter_text(rng)
    if rng.random() < 0.004:
        text = " and ".join([text] * rng.choice((60, 101, 3000)))
    data = as_bytes(text)
    return damaged(rng, data) if rng.random() < 0.3 else data


def run_filter(data: bytes) -> None:
    text = data.decode("utf-8", "surrogatepass") if _is_text(data) else data.decode("latin-1")
    try:
        expression = parse(text)
        _compiled(expression)
    except FilterError as error:
        error.pointed()
        return
    again = parse(print_filter(expression))
    if print_filter(again) != print_filter(expression):
        raise Fault("filter is not printed as it was read", repr(print_filter(expression))[:300])


def _is_text(data: bytes) -> bool:
    try:
        data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


def _compiled(expression: Expression) -> None:
    """Raises FilterError."""
    parameters = Parameters()
    sql = compile_filter(expression, parameters, _NOW_US)
    if "'" in sql.replace("splitByChar(',',", "") and "\\" in sql:
        raise Fault("a value stands in a statement", sql[:300])
    if "\0" in sql:
        raise Fault("a value stands in a statement", repr(sql[:300]))


_RULE_OPERATORS: Final = (
    *("equal", "not_equal", "less", "less_or_equal", "greater", "greater_or_equal", "contains", "not_contains"),
    *("begins_with", "ends_with", "not_begins_with", "between", "not_between", "is_null", "is_not_null", "is_empty"),
    *("is_not_empty", "EQUAL", ""),
)
_COLUMNS: Final = (
    Column("loss", "metrics", "double"),
    Column("lr", "params", "double"),
    Column("dataset", "log_other", "string"),
    Column("tag", "tag", "boolean"),
)


def rule_of(rng: random.Random, depth: int = 3) -> Any:
    """A rule of jQuery-QueryBuilder, or a group of them."""
    if depth and rng.random() < 0.35:
        rules = [rule_of(rng, depth - 1) for _ in range(rng.choice((0, 1, 2, 3)))]
        return Pairs([("condition", rng.choice(("AND", "OR", "and", "XOR"))), ("rules", rules)])
    name = rng.choice(("loss", "lr", "dataset", *METADATA_FIELDS, "Name", "x"))
    value: Any = rng.choice((1, "1", "a", None, True, [1, 2], ["a", "b"], 1e400, "2026-01-01", [None, 1], 10**400))
    pairs = Pairs([("field", name), ("operator", rng.choice(_RULE_OPERATORS)), ("value", value)])
    if rng.random() < 0.7:
        pairs.append(("source", rng.choice((*SOURCES, "nested", "other"))))
    if rng.random() < 0.5:
        pairs.append(("type", rng.choice(("double", "string", "boolean", "datetime", "timenumber"))))
    return pairs


def query_body(rng: random.Random) -> Pairs:
    """The body of Comet's `project/query`."""
    predicates = []
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        predicate = Pairs([("source", rng.choice((*SOURCES, "nested"))), ("query", rule_of(rng))])
        if rng.random() < 0.3:
            predicate.append(("negated", True))
        predicates.append(predicate)
    return Pairs([("workspaceName", "w"), ("projectName", "p"), ("predicates", predicates)])


def make_predicates(rng: random.Random) -> bytes:
    return json_bytes(rng, query_body(rng), some_changes(rng))


def run_predicates(data: bytes) -> None:
    if len(data) > _MAX_BODY_BYTES:
        return  # 413 before anything reads it
    try:
        fields = from_json(data)
        requested = QueryRequest.model_validate(fields)
    except (ValueError, ValidationError):
        return
    predicates = [Predicate(one.source, one.query, one.negated) for one in requested.predicates]
    try:
        needs_columns([(one.source, one.query) for one in predicates])
        expression = expression_of_predicates(predicates, _COLUMNS)
        if expression is not None:
            _compiled(expression)
        for one in predicates:
            tree = expression_of_tree(one.query, _COLUMNS)
            if tree is not None:
                _compiled(tree)
    except FilterError:
        return


def make_cursor(rng: random.Random) -> bytes:
    """A letter that says what the rest is for, and that."""
    kind = rng.choice("cnpsgik")
    match kind:
        case "c":
            terms = [odd_value(rng, 1) for _ in range(rng.choice((0, 1, 2, 3)))]
            if rng.random() < 0.5:
                terms.append(["f", rng.choice(("0x1p+3", "nan", "inf", "x", "0x1p+99999"))])
            text = written(rng.choice(([terms, 5, "q"], [terms, odd_value(rng, 1), "q"], odd_value(rng), nested(rng))))
            data = base64.urlsafe_b64encode(as_bytes(text)).rstrip(b"=")
        case "n":
            data = as_bytes("-".join(rng.choice(("0", "3", "18446744073709551616", "x", "-1", "٣")) for _ in range(3)))
        case "p":
            data = as_bytes(
                ",".join(
                    f"{rng.choice((0, 3, 2**64, '1_0'))}:{rng.choice((0, 41, 2**64 - 1, '-1', '٣'))}" for _ in range(3)
                )
            )
        case "s" | "k":
            data = as_bytes(
                ",".join(rng.choice(("", "-", "--")) + rng.choice(_FIELDS) for _ in range(rng.choice((1, 2, 6, 40))))
            )
        case "g":
            data = as_bytes(odd_text(rng))
        case _:
            data = as_bytes(rng.choice((*_VALUES, "2026-01-31T24:00", "2026-01-31T12:00:00.1234567891Z", "-1-01-01")))
    return kind.encode() + (damaged(rng, data) if rng.random() < 0.3 else data)


def run_cursor(data: bytes) -> None:
    text = data[1:].decode("utf-8", "replace")
    try:
        match data[:1]:
            case b"c":
                Cursor.parse(text, "q")
            case b"n":
                read_cursor(text, 3)
            case b"p":
                found = Positions.parse(text)
                if Positions.parse(str(found)) != found:
                    raise Fault("a position is not printed as it was read", text)
            case b"s":
                parse_sort(text)
            case b"k":
                ColumnsParameters(text)
            case b"g":
                pattern_of(text)
            case _:
                instant_us(text)
    except (QueryError, InvalidPositions):
        return
    except ValueError as error:
        # A time that is none: its caller says where it stood.
        if data[:1] != b"i" or isinstance(error, UnicodeError):
            raise


def _texts(data: bytes) -> int:
    return 400 * len(data)


TARGETS: Final = (
    Target("filter", make_filter, run_filter, _texts, 100),
    Target("predicates", make_predicates, run_predicates, _texts, 60),
    Target("cursors", make_cursor, run_cursor, _texts, 80),
)
