"""A generation is built, compared and taken into use in tables of the profiles for replicas and shards.

As in test_distributed_tables.py the cluster is one shard, without Keeper: every statement that makes, changes or drops
tables is the profile's own, with the replicas and ON CLUSTER taken out where it is run.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.httpclient import HttpClient

from kit.cluster.followers import FACTS, OLDER, SETTINGS, followers
from kit.servers.dev_clickhouse import DevServer
from kit.servers.one_shard import CONFIGURATION, runnable
from runstream.events.positions import Positions
from runstream_processors.rebuild import table_hashes
from runstream_processors.store import migrate
from runstream_processors.store.profiles import Kind


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    folder: Path = tmp_path_factory.mktemp("profiles")
    (folder / "engine.xml").write_text(CONFIGURATION)
    with DevServer(folder / "data", "--engine-config", str(folder / "engine.xml")) as started:
        yield started


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was run in other words than the profile's, as the profile has it."""
    changed: list[str] = []
    command = HttpClient.command

    def run(client: HttpClient, cmd: str, *arguments: Any, **options: Any) -> Any:
        if (possible := runnable(cmd)) != cmd:
            changed.append(cmd)
        return command(client, possible, *arguments, **options)

    monkeypatch.setattr(HttpClient, "command", run)
    return changed


@pytest.mark.parametrize("profile", ["replicated", "distributed"])
async def test_a_generation_is_built_and_takes_over(
    server: DevServer, profile: Kind, statements: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if profile == "replicated":  # the engine of its tables says so, and is not that one here
        monkeypatch.setattr(migrate, "_KINDS", {"MergeTree": "replicated"})
    async with followers(server, f"of_{profile}", profile) as cluster:
        old = await cluster.start(OLDER)
        last = await cluster.log.append(FACTS.records)
        await cluster.fold(old, old.generations.serving)
        before = await table_hashes(old)

        new = await cluster.start()
        steps: list[str] = []
        coordinator = cluster.coordinator(new, steps)
        for _ in range(30):
            await coordinator.advance()
            for store in (new, old) if "retired recorded" not in steps else (new,):
                await store.look()
            if (building := new.generations.building) is not None and "tables made" in steps:
                await cluster.fold(new, building)
            cluster.clock.now_s += max(SETTINGS.lease_s, SETTINGS.grace_s) / 2
            if "dropped recorded" in steps:
                break
        assert [step for step in dict.fromkeys(steps) if step != "caught up"] == [
            "building recorded",
            "tables made",
            "compared",
            "ready recorded",
            "serving recorded",
            "retired recorded",
            "tables dropped",
            "dropped recorded",
        ]
        await new.look()
        assert new.generations.serving.number == 2
        assert (await new.committed()) == last == Positions({0: len(FACTS.records)})
        after = await table_hashes(new)
        assert after.keys() == before.keys()
        assert {table for table in after if after[table] != before[table]} == {"summaries"}
        assert (await new.query("SELECT count() AS n FROM summaries WHERE std IS NULL"))["n"].to_pylist() == [0]
        [engines] = (
            await new.query(
                "SELECT groupUniqArray(engine) AS engines FROM system.tables "
                f"WHERE database = 'of_{profile}_generation_2' AND engine = 'Distributed'"
            )
        )["engines"].to_pylist()
        assert engines == (["Distributed"] if profile == "distributed" else [])
        left = await new.base.query(f"SELECT name FROM system.tables WHERE database = 'of_{profile}'")
        assert left["name"].to_pylist() == ["generations"]
    assert any("ON CLUSTER" in sql and sql.startswith("CREATE TABLE") for sql in statements)
    assert any("ON CLUSTER" in sql and sql.startswith("DROP") for sql in statements)
