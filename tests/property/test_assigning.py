"""Random logs over other numbers of partitions: every record once, in order, with its time, from any place on."""

import zlib
from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from kit.examples import examples
from runstream.events.positions import Positions
from runstream_infra.assigning import Assignment, NewPartitions, SamePartitions
from runstream_service.log import Record

PARTITIONS = st.integers(1, 5)


class StillLog:
    """A log that nobody writes to."""

    def __init__(self, records: list[list[Record]]) -> None:
        self.records = records

    @property
    def partitions(self) -> int:
        return len(self.records)

    async def read(self, partition: int, next_offset: int, max_bytes: int, timeout_s: float) -> list[Record]:
        found: list[Record] = []
        for record in self.records[partition][next_offset:]:
            if found and sum(len(one.value) for one in found) + len(record.value) > max_bytes:
                break
            found.append(record)
        return found

    async def next_offsets(self) -> Mapping[int, int]:
        return {part: len(records) for part, records in enumerate(self.records)}

    async def begin_offsets(self) -> Mapping[int, int]:
        raise NotImplementedError

    async def position_at(self, at_us: int) -> Positions:
        raise NotImplementedError


@st.composite
def logs(draw: st.DrawFn) -> StillLog:
    """Appends of a few runs, as a log of some partitions has them; many of them at the same time."""
    records: list[list[Record]] = [[] for _ in range(draw(PARTITIONS))]
    at_us = 0
    for number, (run, pause_us) in enumerate(
        draw(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2)), max_size=40))
    ):
        at_us += pause_us
        key = f"run-{run}".encode()
        part = zlib.crc32(key) % len(records)
        records[part].append(Record(part, len(records[part]), at_us, key, b"%d" % number * draw(st.integers(1, 9))))
    return StillLog(records)


async def all_of(assignment: Assignment, starts: Mapping[int, int]) -> list[list[Record]]:
    found: list[list[Record]] = [[] for _ in range(assignment.partitions)]
    async for chunk in assignment.chunks(starts):
        assert chunk
        for record in chunk:
            found[record.partition].append(record)
    return found


@settings(max_examples=examples(200), deadline=None)
@given(logs(), PARTITIONS, st.integers(1, 60), st.data())
async def test_every_record_has_one_place(
    log: StillLog, partitions: int, chunk_bytes: int, data: st.DataObject
) -> None:
    same = partitions == log.partitions
    assignment: Assignment = SamePartitions(log, chunk_bytes) if same else NewPartitions(log, partitions, chunk_bytes)
    found = await all_of(assignment, {})
    for part, records in enumerate(found):
        assert [record.offset for record in records] == list(range(len(records)))
        assert all(zlib.crc32(record.key) % partitions == part for record in records)
        times = [record.at_us for record in records]
        assert times == sorted(times), "the log's clock would run backwards, and Kafka's reader would change the times"
    for key in {record.key for records in log.records for record in records}:
        before = [(one.at_us, one.value) for records in log.records for one in records if one.key == key]
        assert [(one.at_us, one.value) for records in found for one in records if one.key == key] == before
    assert sum(map(len, found)) == sum(map(len, log.records))
    # From wherever an earlier call ended, the rest and nothing else.
    starts = {part: data.draw(st.integers(0, len(records))) for part, records in enumerate(found)}
    assert await all_of(assignment, starts) == [records[starts[part] :] for part, records in enumerate(found)]
    survey = await assignment.survey({(part, offset) for part in range(partitions) for offset in (0, 3, 10**6)})
    assert survey.ends == {part: len(records) for part, records in enumerate(found)}
    there = {(part, offset) for part, records in enumerate(found) for offset in (0, 3) if offset < len(records)}
    assert survey.records == {(part, offset): found[part][offset] for part, offset in there}
