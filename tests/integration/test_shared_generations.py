"""Tables that the processes of a cluster share: who folds other versions of the read models refuses to use them."""

from pathlib import Path

import pytest

from kit.servers.dev_clickhouse import DevServer
from runstream_processors.generations import CURRENT, GenerationsMismatch, Recorded, Stage
from runstream_processors.store.generations import make_tables, read_generations, record
from runstream_processors.store.http import HttpStore
from runstream_processors.store.profiles import PLAIN
from runstream_processors.store.settings import StoreSettings


async def test_other_versions_are_refused_and_nothing_is_changed(tmp_path: Path) -> None:
    with DevServer(tmp_path / "data") as server:
        store = await HttpStore.open(StoreSettings(url=server.url))
        for _ in range(2):
            await make_tables(store, PLAIN)
        found = await read_generations(store)
        assert found is not None
        assert (found.serving.number, dict(found.serving.versions)) == (1, dict(CURRENT))
        assert (await store.query("SELECT count() AS n FROM generations"))["n"].to_pylist() == [1]

        older = {name: version for name, version in CURRENT.items() if name != "output"}
        await record(store, Recorded(2, Stage.SERVING, older))
        with pytest.raises(GenerationsMismatch, match=r"\(output none -> 1\), and a cluster does not build"):
            await make_tables(store, PLAIN)
        await record(store, Recorded(3, Stage.SERVING, {**CURRENT, "points": CURRENT["points"] + 1}))
        with pytest.raises(GenerationsMismatch, match="they were made by a newer runstream"):
            await make_tables(store, PLAIN)
        await store.close()
