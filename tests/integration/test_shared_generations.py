"""Tables that the processes of a cluster share: each follows the generation that serves, and none waits for the others.

The store is a real server; time is an argument, and every step is taken by hand.
"""

from collections.abc import Iterator

import pytest

from kit.cluster.followers import FACTS, OLDER, SETTINGS, followers
from kit.servers.dev_clickhouse import DevServer
from runstream.events.positions import Positions
from runstream_infra.cluster.refold_watch import RefoldWatch
from runstream_infra.cluster.settings import GenerationSettings
from runstream_infra.cluster.shared_tables import SharedTables
from runstream_infra.cluster.store import ClusterStore
from runstream_processors.coordinating import request_rebuild
from runstream_processors.generations import (
    CURRENT,
    Generation,
    GenerationsMismatch,
    Purpose,
    Rebuild,
    RebuildRefused,
    Recorded,
    Stage,
)
from runstream_processors.rebuild import table_hashes
from runstream_processors.store.generations import append
from runstream_service.store import StoreInvalid, StoreUnavailable


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    with DevServer(tmp_path_factory.mktemp("generations") / "data") as started:
        yield started


async def test_a_newer_generation_is_built_and_followed(server: DevServer) -> None:
    async with followers(server, "followed") as cluster:
        old, clock = await cluster.start(OLDER), cluster.clock
        await cluster.log.append(FACTS.records[:-5])
        await cluster.fold(old, old.generations.serving)
        before = await table_hashes(old)

        new = await cluster.start()
        watch = RefoldWatch(new, cluster.log)
        assert new.generations.serving.number == 1, "it serves what the build before left"
        assert await table_hashes(new) == before
        status = await watch.look()
        assert (status.serving, status.building, status.folded) == (1, 2, 0)
        steps: list[str] = []
        coordinator = cluster.coordinator(new, steps)
        await coordinator.advance()
        await new.look()
        [building] = [one for one in (new.generations.building,) if one is not None]
        for _ in range(3):
            await coordinator.advance()
        assert steps == ["building recorded", "tables made"], "it has not what is in the log"
        await cluster.fold(new, building)
        await coordinator.advance()
        await coordinator.advance()
        assert steps[2:] == ["caught up", "compared", "caught up", "ready recorded"]

        # Whoever knows waits for both from now on; who does not know yet loses its lease before the other one serves.
        for store in (old, new):
            await store.look()
        assert (await watch.look()).doing == "switching"
        last = await cluster.log.append(FACTS.records[-5:])
        await cluster.fold(old, old.generations.serving)
        assert not (await old.committed()).covers(last)
        await coordinator.advance()
        clock.now_s += SETTINGS.lease_s + 1
        with pytest.raises(StoreUnavailable, match="has not told for 10 s which generation"):
            await old.query("SELECT 1 AS one")
        await coordinator.advance()
        assert "serving recorded" not in steps, "it has not all that is visible"
        await cluster.fold(new, building)
        await coordinator.advance()
        assert steps[6:] == ["serving recorded"]

        for store in (old, new):
            await store.look()
            assert (await store.committed()).covers(last)
        assert (await new.query("SELECT count() AS n FROM summaries WHERE std IS NULL"))["n"].to_pylist() == [0]
        assert (await old.query("SELECT count() AS n FROM summaries WHERE std IS NOT NULL"))["n"].to_pylist() == [0]
        with pytest.raises(GenerationsMismatch, match="made by a newer runstream"):
            await cluster.coordinator(old, []).advance()
        with pytest.raises(GenerationsMismatch, match="made by a newer runstream"):
            await cluster.start(OLDER)
        with pytest.raises(GenerationsMismatch, match="made by a newer runstream"):
            await cluster.worker(old).fold()

        await coordinator.advance()
        clock.now_s += SETTINGS.grace_s + 1
        await coordinator.advance()
        await new.look()
        assert steps[7:] == ["retired recorded"]
        await coordinator.advance()
        clock.now_s += SETTINGS.lease_s + 1
        await coordinator.advance()
        assert steps[8:] == ["tables dropped", "dropped recorded"]
        await new.look()
        tables = await new.base.query("SELECT name FROM system.tables WHERE database = 'followed'")
        assert tables["name"].to_pylist() == ["generations"]
        with pytest.raises(GenerationsMismatch, match="made by a newer runstream"):
            await old.look()
        later = await cluster.start()
        assert await table_hashes(later) == await table_hashes(new)
        assert (await later.committed()) == last == Positions({0: len(FACTS.records)})


async def test_a_difference_is_found_and_the_new_generation_refused(server: DevServer) -> None:
    async with followers(server, "refused") as cluster:
        old = await cluster.start(OLDER)
        await cluster.log.append(FACTS.records)
        await cluster.fold(old, old.generations.serving)
        run = FACTS.points[0][0]
        await old.command(f"ALTER TABLE points DELETE WHERE run = '{run}' AND step = 1 SETTINGS mutations_sync = 2")
        planted = await table_hashes(old)
        new = await cluster.start()
        steps: list[str] = []
        coordinator = cluster.coordinator(new, steps)
        for _ in range(2):
            await coordinator.advance()
        await new.look()
        assert new.generations.building is not None
        await cluster.fold(new, new.generations.building)
        for _ in range(2):
            await coordinator.advance()
        cluster.clock.now_s += SETTINGS.lease_s + 1
        await coordinator.advance()
        assert steps[-3:] == ["refused recorded", "tables dropped", "dropped recorded"]
        found = await new.look()
        assert (found.serving.number, found.building) == (1, None)
        obstacle = (await RefoldWatch(new, cluster.log).look()).obstacle
        assert obstacle is not None
        assert f"points at {run} " in obstacle
        assert "`runstream rebuild --replace` puts fresh tables into use" in obstacle
        assert await table_hashes(new) == planted
        for _ in range(2):
            await coordinator.advance()
        assert steps[-1] == "dropped recorded", "the same versions are not built again"


async def test_a_rebuild_that_was_requested_is_compared_or_takes_over(server: DevServer) -> None:
    async with followers(server, "requested") as cluster:
        steps: list[str] = []
        store = await cluster.start()
        await cluster.log.append(FACTS.records)
        await cluster.fold(store, store.generations.serving)
        right = await table_hashes(store)
        coordinator, tables = cluster.coordinator(store, steps), SharedTables(store, cluster.log)
        watch = RefoldWatch(store, cluster.log)

        async def rebuilt(purpose: Purpose) -> Rebuild:
            requested = await request_rebuild(tables, store.versions, purpose)
            await store.look()
            status = await watch.look()
            assert (status.building, status.doing, status.rebuild) == (requested.generation, "folding", requested)
            noted = f"generation {requested.generation} is being built beside generation 1, which serves"
            assert store.note() == noted
            with pytest.raises(RebuildRefused, match="is being built: wait"):
                await request_rebuild(tables, store.versions, purpose)
            await coordinator.advance()
            found = await store.look()
            assert found.building is not None
            await cluster.fold(store, found.building)
            while (found := await store.look()).building is not None or found.leftovers:
                cluster.clock.now_s += SETTINGS.lease_s / 2
                await store.look()
                await coordinator.advance()
            rebuild = (await watch.look()).rebuild
            assert rebuild is not None
            return rebuild

        assert await rebuilt(Purpose.COMPARE) == Rebuild(2, replace=False, outcome="equal")
        run = FACTS.points[0][0]
        await store.command(f"ALTER TABLE points DELETE WHERE run = '{run}' AND step = 1 SETTINGS mutations_sync = 2")
        compared = await rebuilt(Purpose.COMPARE)
        assert (compared.generation, compared.outcome) == (3, "different")
        assert f"points at {run} " in compared.detail
        assert store.generations.serving.number == 1
        assert await table_hashes(store) != right
        replaced = await rebuilt(Purpose.REPLACE)
        assert (replaced.generation, replaced.outcome, replaced.detail) == (4, "different", compared.detail)
        assert store.generations.serving.number == 4
        assert await table_hashes(store) == right
        assert steps.count("tables dropped") == 3


async def test_of_two_steps_behind_the_same_rows_one_is_taken(server: DevServer) -> None:
    async with followers(server, "taken") as cluster:
        store = await cluster.start()
        rows = store.generations.rows
        assert rows == 1
        one, other = Recorded(2, Stage.BUILDING, CURRENT), Recorded(2, Stage.BUILDING, OLDER)
        assert await append(store.base, one, rows)
        assert not await append(store.base, other, rows)
        assert (await store.look()).building == Generation(2, CURRENT)


async def test_all_processes_look_as_often_as_the_first_one(
    server: DevServer, caplog: pytest.LogCaptureFixture
) -> None:
    slower = GenerationSettings(poll_s=SETTINGS.poll_s * 2, grace_s=7)
    async with followers(server, "paced") as cluster:
        first = await cluster.start()
        assert first.settings == SETTINGS
        assert first.note() is None
        other = await ClusterStore.open(cluster.settings, slower)
        cluster.stores.append(other)
        assert (other.settings.poll_s, other.settings.lease_s, other.settings.grace_s) == (1.0, 10.0, 7)
        assert "RUNSTREAM_GENERATIONS_POLL_S is 2 here, and 1 counts" in caplog.text
        await first.base.command("ALTER TABLE generations MODIFY COMMENT ''")
        other = await ClusterStore.open(cluster.settings, slower)
        cluster.stores.append(other)
        assert other.settings == slower, "a table from before it was kept"
        await first.base.command("ALTER TABLE generations MODIFY COMMENT 'ours'")
        with pytest.raises(StoreInvalid, match="MODIFY COMMENT"):
            await cluster.start()


async def test_rows_of_an_unknown_stage_are_of_a_newer_build(server: DevServer) -> None:
    async with followers(server, "unknown") as cluster:
        store = await cluster.start()
        await store.base.command(
            "ALTER TABLE generations UPDATE stage = 'sealed' WHERE true SETTINGS mutations_sync = 2"
        )
        with pytest.raises(GenerationsMismatch, match="at a stage 'sealed' that this build does not know"):
            await store.look()
