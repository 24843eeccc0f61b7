"""Lists of objects: every page of any size is what a model gives that looks at all keys."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstream_protocols.kit.entities import Entity
from runstream_protocols.sagemaker.s3 import listing
from runstream_protocols.sagemaker.s3.listing import Page, Wanted
from runstream_protocols.sagemaker.s3.names import name_of
from runstream_protocols.sagemaker.s3.objects import Content, Stored, stored

AT = datetime(2026, 11, 30, tzinfo=UTC)
TEXTS = st.text(st.sampled_from("./ab"), max_size=5)
#: So few objects are read at once here that a page needs several reads.
AT_ONCE = 2


class Held:
    """Objects in memory, in the place of those of a server."""

    keys: tuple[str, ...] = ()

    def __init__(self, entities: Any) -> None:
        self.names = sorted(name_of("bucket", key) for key in self.keys)

    async def require_bucket(self, bucket: str) -> None:
        assert bucket == "bucket"

    async def page(self, bucket: str, prefix: str, after: tuple[str, str] | None, limit: int) -> list[Stored]:
        begin = name_of(bucket, prefix)
        behind = [name for name in self.names if after is None or (name, "0" * 32) > after]
        return [object_of(name) for name in behind if name.startswith(begin)][:limit]


def object_of(name: str) -> Stored:
    properties = Content("0" * 64, 1, "e", {}, {}, {}).properties()
    return stored(Entity("w", "p", "s3-object", name, "0" * 32, 1, properties, AT, AT))


def page_of(wanted: Wanted) -> Page:
    side: Any = SimpleNamespace(entities=None)
    return asyncio.run(listing._page(side, "bucket", wanted))


def model(keys: set[str], prefix: str, delimiter: str) -> Iterator[str]:
    """Keys and groups in their order, each once."""
    found = set()
    for key in keys:
        end = key.find(delimiter, len(prefix)) if delimiter else -1
        if key.startswith(prefix):
            found.add(key if end < 0 else key[: end + len(delimiter)])
    return iter(sorted(found))


@pytest.fixture(scope="module", autouse=True)
def in_memory() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(listing, "Objects", Held)
        patched.setattr(listing, "_MAX_KEYS", AT_ONCE)
        yield


@given(st.sets(TEXTS.filter(bool), max_size=12), TEXTS, st.sampled_from(["", "/", "a", "b/"]), st.integers(1, 4))
def test_pages_have_all_keys_and_groups_once_and_in_order(
    keys: set[str], prefix: str, delimiter: str, size: int
) -> None:
    Held.keys = tuple(keys)
    listed: list[str] = []
    after = ""
    while True:
        page = page_of(Wanted(prefix, delimiter, after, size, False))
        assert len(page) <= size
        listed += sorted([*(one.key for one in page.objects), *page.groups])
        if not page.is_truncated:
            break
        assert page.last == listed[-1] > after
        after = page.last
    assert listed == list(model(keys, prefix, delimiter))


@given(st.sets(TEXTS.filter(bool), max_size=12), TEXTS)
def test_a_list_begins_behind_any_text(keys: set[str], after: str) -> None:
    Held.keys = tuple(keys)
    page = page_of(Wanted("", "", after, 100, False))
    assert [one.key for one in page.objects] == sorted(key for key in keys if key > after)
    grouped = page_of(Wanted("", "/", after, 100, False))
    expected = list(model({key for key in keys if key > after}, "", "/"))
    assert sorted([*(one.key for one in grouped.objects), *grouped.groups]) == [one for one in expected if one != after]


def test_a_page_of_nothing_is_the_last() -> None:
    Held.keys = ("a", "b")
    page = page_of(Wanted("", "", "", 0, False))
    assert (len(page), page.is_truncated) == (0, False)


def test_a_list_that_reads_too_often_goes_on_in_another_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_MAX_READS", 2)
    Held.keys = tuple(f"{group}/{number}" for group in "abcdef" for number in range(5))
    page = page_of(Wanted("", "/", "", 100, False))
    assert (page.groups, page.is_truncated, page.last) == (["a/", "b/"], True, "b/")
    assert page_of(Wanted("", "/", page.last, 100, False)).groups == ["c/", "d/"]
