"""What is counted of a JSON text before it is parsed, and how packed bodies are unpacked, wherever they are cut."""

import gzip
import json
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runstream_service import bodies
from runstream_service.problems import Problem

texts = st.text(st.sampled_from('a,[{"\\\n:é]}'), max_size=12)
values = st.recursive(
    st.none() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=30,
)


def count(value: Any) -> int:
    """Commas and opening brackets of its text, and one."""
    if isinstance(value, dict | list):
        items = list(value.values()) if isinstance(value, dict) else value
        return 1 + max(0, len(items) - 1) + sum(count(item) for item in items)
    return 0


@settings(deadline=None)
@given(value=values, window=st.integers(1, 40), indent=st.sampled_from([None, 1]))
async def test_what_stands_in_strings_does_not_count_wherever_the_text_is_cut(
    value: Any, window: int, indent: int | None
) -> None:
    before = bodies._WINDOW_BYTES
    bodies._WINDOW_BYTES = window  # type: ignore[misc]
    try:
        for is_ascii in (True, False):
            text = json.dumps(value, indent=indent, ensure_ascii=is_ascii).encode()
            found = await bodies.count_items(text, 1_000)
            assert found == 1 + count(value)
            if found > 1:
                with pytest.raises(Problem, match="413"):
                    await bodies.count_items(text, found - 1)
    finally:
        bodies._WINDOW_BYTES = before  # type: ignore[misc]


@given(
    data=st.binary(max_size=3_000), repeated=st.integers(1, 300), cut=st.integers(1, 4_000), piece=st.integers(1, 999)
)
def test_a_packed_body_is_unpacked_the_same_wherever_it_is_cut(
    data: bytes, repeated: int, cut: int, piece: int
) -> None:
    plain = data * repeated
    raw = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = {
        "gzip": gzip.compress(plain) + gzip.compress(plain[:7]),
        "deflate": zlib.compress(plain),
        "raw": raw.compress(plain) + raw.flush(),
    }
    before = bodies._PIECE_BYTES
    bodies._PIECE_BYTES = piece  # type: ignore[misc]
    try:
        for coding, body in packed.items():
            unpacker = bodies._Unpacker("gzip" if coding == "gzip" else "deflate")
            unpacked = b""
            for at in range(0, len(body), cut):
                rest = body[at : at + cut]
                while rest or unpacker.has_more:
                    some, rest = unpacker.unpack(rest)
                    assert len(some) <= bodies._PIECE_BYTES
                    unpacked += some
            unpacker.end()
            assert unpacked == plain + (plain[:7] if coding == "gzip" else b"")
    finally:
        bodies._PIECE_BYTES = before  # type: ignore[misc]
