"""Random filters and random runs that have something to do with each other."""

import math
from collections.abc import Callable
from random import Random
from typing import Any

from hypothesis import strategies as st

from kit.oracles.filters import Run
from runstream_query.filters import (
    And,
    Between,
    Compare,
    Expression,
    Field,
    FromNow,
    Instant,
    IsNull,
    Not,
    OneOf,
    Or,
    TextTest,
)
from runstream_query.filters.checks import STATUSES
from runstream_query.filters.tree import AGGREGATES, TEXTS, TIMES

NOW_US = 1_769_860_800_000_000
#: Few values, so that filters meet data; awkward ones, because those are where languages differ.
NUMBERS = [0.0, -0.0, 1.0, 0.1, 0.30000000000000004, -2.5, 1e-300, 1.7e308, math.inf, -math.inf, math.nan, 3.0]
WORDS = [
    "",
    "a",
    "adam",
    'quo"te',
    "back\\slash",
    "tab\tline\n",
    "null",
    "NaN",
    "ünï ☃",
    "x' OR 1=1 --",
    "1.0",
    "3",
    "1e0",
    "+.1",
    "-2.5",
    "-Infinity",
    " 3",
    "1_0",
    "0x3",
    "%_{p0}",
]
NAMES = ["loss", "val/acc", "top 1.max", 'od"d', "a.min", "min", "lr"]
PATTERNS = ["a", "^a", "m$", "[a-d]+", "x.*1", "^$", "1\\.0", "a|u"]
EDGES_US = [NOW_US + offset for offset in (-7_200_000_000, -1, 0, 1, 90_000_000)]

#: One NaN object, as the parser makes: trees are compared by value, and a NaN only equals itself.
floats = st.floats().map(lambda number: math.nan if math.isnan(number) else number)
numbers = st.sampled_from(NUMBERS) | st.sampled_from(NUMBERS) | floats
ordered_numbers = numbers.filter(lambda number: not math.isnan(number))
words = (
    st.sampled_from(WORDS)
    | st.sampled_from(WORDS)
    | st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=6)
)
names = st.sampled_from(NAMES)
moments = st.sampled_from(EDGES_US).map(Instant) | st.sampled_from([-7_200_000_000, 0, 1]).map(FromNow)
orders = st.sampled_from(["<", "<=", ">", ">="])
equalities = st.sampled_from(["=", "!="])
text_tests = st.sampled_from(["contains", "startswith", "endswith"])

metrics = st.builds(lambda name, aggregate: Field("metric", name, aggregate), names, st.sampled_from(AGGREGATES))
logged = st.builds(Field, st.sampled_from(["param", "other", "env"]), names)
texts = st.sampled_from([kind for kind in TEXTS if kind != "status"]).map(Field)
times = st.sampled_from(TIMES).map(Field)
flags = st.sampled_from(["archived", "deleted"]).map(Field)
duration = st.just(Field("duration"))
tag = st.just(Field("tag"))
status = st.just(Field("status"))
any_field = st.one_of(metrics, logged, texts, times, flags, duration, tag, status)

logged_values = st.one_of(numbers, words, st.booleans())
ordered_logged = st.one_of(ordered_numbers, words)


def _lists(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(values, min_size=1, max_size=3).map(tuple)


def _tests() -> st.SearchStrategy[Expression]:
    ordered = [(metrics | duration, ordered_numbers), (logged, ordered_logged), (texts, words), (times, moments)]
    equal = [
        (metrics | duration, numbers),
        (logged, logged_values),
        (texts | tag, words),
        (times, moments),
        (flags, st.booleans()),
        (status, st.sampled_from(STATUSES)),
    ]
    kinds: list[st.SearchStrategy[Any]] = [st.builds(IsNull, any_field, st.booleans())]
    for fields, values in ordered:
        kinds += [st.builds(Compare, fields, orders, values), st.builds(Between, fields, values, values)]
    for fields, values in equal:
        kinds += [st.builds(Compare, fields, equalities, values)]
        kinds += [st.builds(OneOf, fields, _lists(values), st.booleans())]
    subjects = logged | texts | tag | status
    kinds += [st.builds(TextTest, subjects, text_tests, words)]
    kinds += [st.builds(TextTest, subjects, st.just("matches"), st.sampled_from(PATTERNS))]
    return st.one_of(kinds)


def _joined(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    several = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.builds(And, several) | st.builds(Or, several) | st.builds(Not, inner)


expressions = st.recursive(_tests(), _joined, max_leaves=6)


def random_run(run_id: str, random: Random) -> Run:
    """A run whose values come from the same few that filters are made of; about every third value is missing."""

    def some(values: Callable[[], Any]) -> dict[str, Any]:
        return {name: values() for name in NAMES if random.random() < 0.7}

    def metric() -> dict[str, float]:
        values = {aggregate: random.choice(NUMBERS) for aggregate in ("min", "max", "last", "first", "sum", "std")}
        count = random.choice([1.0, 3.0])
        return values | {"count": count, "mean": values["sum"] / count}

    def value() -> Any:
        return random.choice([*NUMBERS, *WORDS, True, False, None, 3, 1, [1, "a"], []])

    return Run(
        id=run_id,
        texts={kind: random.choice(WORDS) for kind in TEXTS if kind not in ("status", "id")}
        | {"status": random.choice(STATUSES)},
        times={
            **{kind: random.choice(EDGES_US) for kind in ("created", "started", "updated")},
            "ended": random.choice([None, *EDGES_US]),
        },
        flags={"archived": random.random() < 0.5, "deleted": random.random() < 0.5},
        tags=random.sample(WORDS, random.randrange(4)),
        metrics=some(metric),
        logged={kind: some(value) for kind in ("param", "other", "env")},
    )
