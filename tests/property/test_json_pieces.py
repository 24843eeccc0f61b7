"""Large responses encoded in pieces are the same bytes as encoded at once."""

import math
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

from kit.examples import examples
from runstream_query import encoding
from runstream_query.encoding import json_pieces
from runstream_query.responses import Logged, Number, ResponseModel


class Inner(ResponseModel):
    text_value: str = ""
    numbers: list[Number] = []  # noqa: RUF012 (pydantic copies it)
    logged: Logged = None


class Outer(ResponseModel):
    model_config = ConfigDict(
        frozen=True, ser_json_inf_nan="strings", alias_generator=to_camel, populate_by_name=True, extra="allow"
    )
    first_list: list[Inner] = []  # noqa: RUF012 (pydantic copies it)
    by_name: dict[str, Logged] = {}  # noqa: RUF012 (pydantic copies it)
    at: list[datetime] = []  # noqa: RUF012 (pydantic copies it)
    deep: Inner | None = None


numbers = st.floats() | st.integers(-(2**63), 2**63)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
logged = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=12,
)
inners = st.builds(Inner, text_value=texts, numbers=st.lists(st.floats(), max_size=9), logged=logged)
outers = st.builds(
    Outer,
    first_list=st.lists(inners, max_size=6),
    by_name=st.dictionaries(texts, logged, max_size=6),
    at=st.lists(st.datetimes(timezones=st.just(UTC)), max_size=5),
    deep=st.none() | inners,
)


@settings(max_examples=examples(300), deadline=None)
@given(outers, st.booleans(), st.integers(1, 12), st.integers(1, 9), st.integers(1, 50))
def test_pieces_are_the_whole(response: Any, by_alias: bool, values: int, chars: int, piece: int) -> None:
    kept = encoding._VALUES, encoding._VALUE_CHARS, encoding._PIECE_BYTES
    encoding._VALUES, encoding._VALUE_CHARS, encoding._PIECE_BYTES = values, chars, piece  # type: ignore[misc]
    try:
        found = b"".join(json_pieces(response, by_alias=by_alias))
    finally:
        encoding._VALUES, encoding._VALUE_CHARS, encoding._PIECE_BYTES = kept  # type: ignore[misc]
    assert found == response.model_dump_json(by_alias=by_alias).encode()


def test_large_ones_come_in_pieces() -> None:
    response = Outer(first_list=[Inner(numbers=[math.nan] * 100_000) for _ in range(3)], by_name={"x": ["y" * 99_999]})
    pieces = list(json_pieces(response))
    assert b"".join(pieces) == response.model_dump_json().encode()
    assert len(pieces) > 20
    assert max(map(len, pieces)) < 300_000
