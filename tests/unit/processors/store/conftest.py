"""A store of its own for each test of this folder: in process, empty or with the read models' tables."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runstream_processors.store.chdb import ChdbStore
from runstream_processors.store.migrate import migrate


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[ChdbStore]:
    opened = await ChdbStore.open(tmp_path / "store", query_threads=2)
    yield opened
    await opened.close()


@pytest.fixture
async def models(store: ChdbStore) -> ChdbStore:
    """A store with all migrations applied."""
    await migrate(store)
    return store
