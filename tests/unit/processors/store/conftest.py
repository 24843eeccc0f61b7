"""Stores in process for the tests of this folder: one of its own for each test, or an emptied one with the tables.

A process holds one open store, so no module uses both kinds."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from kit.stores import empty, open_migrated
from runstream_processors.store.chdb import ChdbStore


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[ChdbStore]:
    """A store without tables."""
    opened = await ChdbStore.open(tmp_path / "store", query_threads=2)
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChdbStore]:
    """A store with all migrations applied, which the tests of a module share."""
    store = asyncio.run(open_migrated(tmp_path_factory.mktemp("models") / "store", query_threads=2))
    yield store
    asyncio.run(store.close())


@pytest.fixture
async def models(migrated: ChdbStore) -> ChdbStore:
    """The shared store with its read models empty."""
    await empty(migrated)
    return migrated
