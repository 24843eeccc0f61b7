"""What rebuilds and promotions compare: every column of every table counts, and how it came to be NULL does not."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kit.stores import open_migrated
from runstream_model.columns import Coded, Gaps
from runstream_processors.rebuild import TableHash, table_hashes
from runstream_processors.store.chdb import ChdbStore
from runstream_processors.store.tables import column_names, encode_columns, encode_rows

pytestmark = pytest.mark.store

NAMES = Coded(["x"], np.zeros(2, np.uint8))
ASSET: dict[str, Any] = {"run": "r", "asset": "a", "name": "n", "kind": "asset", "sha256": "0", "size_bytes": 1}
ASSET |= {"content_type": "", "step": None, "metadata": "{}", "at": 0, "deleted": False, "part": 0, "offset": 1}
ASSET |= {"role": "", "location": "", "model": ""}


async def hashes(store: ChdbStore, epochs: list[int | None] | None = None, context: str = "") -> dict[str, TableHash]:
    """Of two points and one asset."""
    columns: dict[str, Any] = {"run": NAMES, "metric": NAMES, "value": np.ones(2)}
    columns |= dict.fromkeys(("step", "at", "writer", "part", "offset"), np.arange(2))
    if epochs is not None:
        absent = np.array([epoch is None for epoch in epochs])
        columns["epoch"] = Gaps(np.array([epoch or 0 for epoch in epochs]), absent)
    row = ASSET | {"context": context}
    for table in ("points", "asset_states"):
        await store.command(f"TRUNCATE TABLE {table}")
    await store.insert("points", column_names("points", columns), encode_columns("points", columns, 2), 2)
    await store.insert("asset_states", column_names("asset_states"), encode_rows("asset_states", [row]), 1)
    return await table_hashes(store)


@pytest.fixture
async def store(tmp_path: Path) -> Any:
    store = await open_migrated(tmp_path, query_threads=1)
    yield store
    await store.close()


async def test_epochs_and_contexts_are_compared(store: ChdbStore) -> None:
    plain = await hashes(store)
    assert await hashes(store, [None, None]) == plain
    seen = {plain["points"].digest}
    others: list[list[int | None]] = [[0, None], [None, 0], [0, 0], [1, None]]
    for epochs in others:
        digest = (await hashes(store, epochs))["points"].digest
        assert digest not in seen, epochs
        seen.add(digest)
    other = await hashes(store, context="train")
    assert other["assets"] != plain["assets"]
    assert {table for table in plain if other[table] != plain[table]} == {"assets"}
