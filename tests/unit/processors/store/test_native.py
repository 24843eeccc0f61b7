"""Native blocks: their bytes, what they refuse, and that the engine reads back what was written."""

import asyncio
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.examples import examples
from runstream_model.columns import Coded, Constant, Gaps, Lists
from runstream_processors.store.chdb import ChdbStore
from runstream_processors.store.native import Column, InvalidColumn, block

pytestmark = pytest.mark.store


def test_the_bytes_of_a_block_are_those_of_the_format() -> None:
    data = block([("n", "UInt16", np.array([1, 258], np.uint16)), ("s", "String", ["é", ""])])
    assert bytes(data) == b"\x02\x02" + b"\x01n\x06UInt16\x01\x00\x02\x01" + b"\x01s\x06String\x02\xc3\xa9\x00"


def test_a_low_cardinality_column_is_version_flags_keys_and_indexes() -> None:
    data = block([("s", "LowCardinality(String)", Coded(["a", "b"], np.array([1, 0, 1])))])
    version, flags, keys, indexes = (number.to_bytes(8, "little") for number in (1, 512, 2, 3))
    head = b"\x01\x03\x01s\x16LowCardinality(String)"
    assert bytes(data) == head + version + flags + keys + b"\x01a\x01b" + indexes + b"\x01\x00\x01"


@pytest.mark.parametrize(("entries", "width"), [(256, 1), (257, 2), (65_536, 2), (65_537, 4)])
def test_indexes_are_as_narrow_as_the_dictionary_allows(entries: int, width: int) -> None:
    names = [f"{i}" for i in range(entries)]
    data = block([("s", "LowCardinality(String)", Coded(names, np.arange(entries)))])
    assert bytes(data).endswith(np.arange(entries).astype(f"<u{width}").tobytes())


@pytest.mark.parametrize(
    ("rows", "written"), [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\1"), (300_000, b"\xe0\xa7\x12")]
)
def test_a_block_says_its_rows(rows: int, written: bytes) -> None:
    data = block([("n", "UInt8", np.zeros(rows, np.uint8))])
    assert data.rows == rows
    assert bytes(data)[1:].startswith(written)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([("a", "UInt8", [1]), ("b", "UInt8", [1, 2])], "differ in rows"),
        ([("a", "UInt8", [256])], "column a of type UInt8"),
        ([("a", "UInt8", np.array([1, 300]))], "300 does not fit uint8"),
        ([("a", "UInt64", np.array([-1]))], "-1 does not fit uint64"),
        ([("a", "Int64", [1.5])], "floats are not int64"),
        ([("a", "Int64", np.array([1.5]))], "float64, not int64"),
        ([("a", "Float64", np.zeros((2, 2)))], "2 dimensions"),
        ([("a", "Float64", ["x"])], "column a"),
        ([("a", "String", [1])], "column a"),
        ([("a", "String", Lists([], np.zeros(1, int)))], "Array"),
        ([("a", "UInt8", Constant("x", 2))], "not for numbers"),
        ([("a", "LowCardinality(String)", Coded(["x"], np.array([0, 1])))], "codes run from 0 to 1"),
        ([("a", "LowCardinality(String)", Coded(["x"], np.array([-1])))], "codes run from -1"),
        ([("a", "Array(UInt8)", Lists(np.zeros(3), np.array([1, 1])))], "lengths sum to 2"),
        ([("a", "Tuple(String, String)", [("", "")])], "not one that this module writes"),
        ([("a", "Map(String, UInt8)", [[("a", 1)]])], "a sequence of mappings"),
        ([("a", "Map(String, UInt8)", [{"a": 256}])], "column a of type Map"),
        ([("a", "Int64", Gaps(np.zeros(2, int), np.zeros(2, bool)))], "Gaps is not for numbers"),
        ([("a", "String", Gaps(np.zeros(2, int), np.zeros(2, bool)))], "gaps in numbers"),
        ([("a", "LowCardinality(String)", Gaps(np.zeros(2, int), np.zeros(2, bool)))], "gaps in numbers"),
        ([("a", "Array(Int64)", Gaps(np.zeros(2, int), np.zeros(2, bool)))], "Gaps is not for Array"),
        ([("a", "Nullable(Int64)", Gaps(np.zeros(2, int), np.zeros(3, bool)))], "2 values need as many bools"),
        ([("a", "Nullable(Int64)", Gaps(np.zeros(2, int), np.zeros(2, int)))], "2 values need as many bools"),
    ],
)
def test_data_that_do_not_fit_are_refused(columns: list[Column], message: str) -> None:
    with pytest.raises(InvalidColumn, match=message):
        block(columns)


INTEGERS = {f"{sign}Int{bits}": (sign, bits) for sign in ("U", "") for bits in (8, 16, 32, 64)}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
#: What ClickHouse keeps in a DateTime64(6): the years 1900 to 2299.
TICKS = st.integers(-2_208_988_800_000_000, 10_413_791_999_999_999)


def _numbers(kind: str) -> st.SearchStrategy[Any]:
    sign, bits = INTEGERS[kind]
    return st.integers(0, 2**bits - 1) if sign else st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


TYPES: dict[str, st.SearchStrategy[Any]] = {
    **{kind: _numbers(kind) for kind in INTEGERS},
    "Float32": st.floats(width=32),
    "Float64": st.floats(),
    "Bool": st.booleans(),
    "DateTime64(6, 'UTC')": TICKS,
    "String": TEXT,
    "LowCardinality(String)": TEXT,
    "Nullable(String)": st.none() | TEXT,
    "Nullable(Int64)": st.none() | _numbers("Int64"),
    "Nullable(Float64)": st.none() | st.floats(),
    "Nullable(DateTime64(6, 'UTC'))": st.none() | TICKS,
    "Array(String)": st.lists(TEXT, max_size=5),
    "Array(UInt64)": st.lists(_numbers("UInt64"), max_size=5),
    "Array(LowCardinality(String))": st.lists(TEXT, max_size=3),
    "Array(Nullable(Int64))": st.lists(st.none() | _numbers("Int64"), max_size=3),
    "Map(LowCardinality(String), UInt64)": st.dictionaries(TEXT, _numbers("UInt64"), max_size=3),
}
NAMES = [f"c{i}" for i in range(len(TYPES))]


class Engine:
    """A store that a test without a loop of its own can use."""

    def __init__(self, directory: Path) -> None:
        self.store = asyncio.run(ChdbStore.open(directory, query_threads=1))

    def run(self, sql: str) -> None:
        asyncio.run(self.store.command(sql))

    def read_back(self, columns: list[Column], rows: int) -> list[list[Any]]:
        """Insert into the table `t` and read it in the order of its last column, `i`."""
        self.run("TRUNCATE TABLE t")
        numbered = [*columns, ("i", "UInt32", np.arange(rows, dtype=np.uint32))]
        asyncio.run(self.store.insert("t", [name for name, _, _ in numbered], block(numbered), rows))
        read = ", ".join(_integer_times(name, kind) for name, kind, _ in columns)
        found = asyncio.run(self.store.query(f"SELECT {read} FROM t ORDER BY i"))
        return [found.column(i).to_pylist() for i in range(len(columns))]


def _integer_times(name: str, kind: str) -> str:
    return f"toUnixTimestamp64Micro({name})" if "DateTime64" in kind else name


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = Engine(tmp_path_factory.mktemp("native"))
    columns = ", ".join(f"{name} {kind}" for name, kind in zip(NAMES, TYPES, strict=True))
    engine.run(f"CREATE TABLE t ({columns}, i UInt32) ENGINE = MergeTree ORDER BY i")
    yield engine
    asyncio.run(engine.store.close())


def same(found: Any, given: Any) -> bool:
    if isinstance(given, list):
        return len(found) == len(given) and all(map(same, found, given))
    if isinstance(given, dict):
        return dict(found) == given
    if isinstance(given, float):
        return (math.isnan(found) and math.isnan(given)) or (found, math.copysign(1, found)) == (
            given,
            math.copysign(1, given),
        )
    return bool(found == given)


@settings(max_examples=examples(40), deadline=None)
@given(st.lists(st.tuples(*TYPES.values()), max_size=12))
def test_what_is_written_is_read_back(engine: Engine, rows: list[tuple[Any, ...]]) -> None:
    given = [list(values) for values in zip(*rows, strict=True)] or [[] for _ in TYPES]
    columns: list[Column] = [(name, kind, data) for name, kind, data in zip(NAMES, TYPES, given, strict=True)]
    for kind, found, wanted in zip(TYPES, engine.read_back(columns, len(rows)), given, strict=True):
        assert same(found, wanted), kind


@settings(max_examples=examples(30), deadline=None)
@given(st.data())
def test_columns_of_arrays_are_read_back(engine: Engine, data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, 50))
    values = np.array(data.draw(st.lists(st.floats(), min_size=rows, max_size=rows)))
    dictionary = data.draw(st.lists(TEXT, min_size=1, max_size=300))
    codes = np.array(data.draw(st.lists(st.integers(0, len(dictionary) - 1), min_size=rows, max_size=rows)))
    lengths = np.array(data.draw(st.lists(st.integers(0, 3), min_size=rows, max_size=rows)))
    flat = np.arange(lengths.sum(), dtype=np.uint64)
    text = data.draw(TEXT)
    kinds = dict(zip(TYPES, NAMES, strict=True))
    columns: list[Column] = [
        (kinds["Float64"], "Float64", values[::-1]),  # not contiguous
        (kinds["Float32"], "Float32", np.zeros(rows)),
        (kinds["Nullable(Float64)"], "Nullable(Float64)", values),
        (kinds["LowCardinality(String)"], "LowCardinality(String)", Coded(dictionary, codes)),
        (kinds["String"], "String", Coded(dictionary, codes)),
        (kinds["Nullable(String)"], "Nullable(String)", [text] * rows),
        (kinds["Array(UInt64)"], "Array(UInt64)", Lists(flat, lengths)),
    ]
    found = engine.read_back(columns, rows)
    texts = [dictionary[code] for code in codes]
    ends = np.cumsum(lengths)
    lists = [flat[end - length : end].tolist() for end, length in zip(ends, lengths, strict=True)]
    wanted = [values[::-1].tolist(), [0.0] * rows, values.tolist(), texts, texts, [text] * rows, lists]
    assert all(map(same, found, wanted))


def test_a_constant_is_read_back_as_text_and_as_low_cardinality(engine: Engine) -> None:
    kinds = dict(zip(TYPES, NAMES, strict=True))
    long = "é" * 100  # its length takes two bytes
    columns: list[Column] = [
        (kinds["String"], "String", Constant(long, 1000)),
        (kinds["LowCardinality(String)"], "LowCardinality(String)", Constant(long, 1000)),
    ]
    assert engine.read_back(columns, 1000) == [[long] * 1000] * 2


@pytest.mark.parametrize("entries", [1, 255, 256, 257, 65_535, 65_536, 65_537, 100_000])
def test_dictionaries_of_every_index_width_are_read_back(engine: Engine, entries: int) -> None:
    dictionary = [f"name {i}" for i in range(entries)]
    codes = np.random.default_rng(entries).permutation(entries)
    name = dict(zip(TYPES, NAMES, strict=True))["LowCardinality(String)"]
    (found,) = engine.read_back([(name, "LowCardinality(String)", Coded(dictionary, codes))], entries)
    assert found == [dictionary[code] for code in codes]
