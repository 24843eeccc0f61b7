"""The log's clock over a partition that several gateways stamp, each with its own idea of the time."""

import random
from collections.abc import AsyncIterator

import pytest

from kit.servers import real_kafka
from runstream.events.positions import Positions
from runstream_ingest.log.kafka.log import KafkaLog
from runstream_ingest.log.kafka.stamps import next_at_us, stamp_of
from runstream_service.log import Record

START_US = 1_700_000_000_000_000


class ManualClock:
    def __init__(self) -> None:
        self.at_us = START_US

    def __call__(self) -> int:
        return self.at_us


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def log(clock: ManualClock) -> AsyncIterator[KafkaLog]:
    opened = await KafkaLog.open(real_kafka.settings(real_kafka.bootstrap(), partitions=1), clock)
    yield opened
    await opened.close()


async def read_from(log: KafkaLog, offset: int) -> list[Record]:
    end = (await log.next_offsets())[0]
    found: list[Record] = []
    while offset < end:
        found += await log.read(0, offset, 1 << 30, 5.0)
        offset = found[-1].offset + 1
    return found


def skewed_stamps(seed: int) -> list[int]:
    """Three clocks, up to 40 ms apart, read in turns: many stamps of one millisecond, some that run backwards."""
    chance = random.Random(seed)
    now_us, skews = START_US, [0, chance.randrange(40_000), -chance.randrange(40_000)]
    stamps = []
    for _ in range(60):
        now_us += chance.choice([0, 150, 700, 2_500, 30_000])
        stamps.append(now_us + chance.choice(skews))
    return stamps


@pytest.mark.parametrize("seed", range(3))
async def test_a_record_has_one_time_wherever_the_reading_begins(log: KafkaLog, clock: ManualClock, seed: int) -> None:
    stamps = skewed_stamps(seed)
    for stamp_us in stamps:
        clock.at_us = stamp_us
        await log.append([(b"run", b"%d" % stamp_us)])
    whole = await read_from(log, 0)
    times = [record.at_us for record in whole]
    assert [int(record.value) for record in whole] == stamps
    assert times == sorted(times)
    assert sum(given == at_us for given, at_us in zip(stamps, times, strict=True)) > len(stamps) // 4
    for offset in range(1, len(stamps)):
        assert (await log.read(0, offset, 1, 5.0))[0].at_us == times[offset], f"from offset {offset}"
    for at_us in sorted({*times, *stamps, *(t + 1 for t in times), *(t - 1 for t in times), times[-1] + 10**9}):
        older = sum(time_us <= at_us for time_us in times)
        assert await log.position_at(at_us) == Positions({0: older}), at_us


async def test_a_clock_far_ahead_holds_the_time_until_the_others_are_there(log: KafkaLog, clock: ManualClock) -> None:
    for ahead_us in (0, 600_000_000, 1_000_000, 2_000_000, 599_999_999, 600_000_500, 601_000_000):
        clock.at_us = START_US + ahead_us
        await log.append([(b"run", b"")])
    held = START_US + 600_000_999
    expected = [START_US, START_US + 600_000_000, held, held, held, held, START_US + 601_000_000]
    assert [record.at_us for record in await read_from(log, 0)] == expected
    for offset, at_us in enumerate(expected):
        assert (await log.read(0, offset, 1, 5.0))[0].at_us == at_us


async def test_within_a_millisecond_time_stands_still_for_those_that_are_earlier(
    log: KafkaLog, clock: ManualClock
) -> None:
    for microseconds in (100, 900, 300, 950, 1_100, 200, 1_500):
        clock.at_us = START_US + microseconds
        await log.append([(b"run", b"")])
    expected = [START_US + microseconds for microseconds in (100, 900, 900, 950, 1_100, 1_999, 1_999)]
    assert [record.at_us for record in await read_from(log, 0)] == expected
    for offset, at_us in enumerate(expected):
        assert (await log.read(0, offset, 1, 5.0))[0].at_us == at_us
    assert await log.position_at(START_US + 899) == Positions({0: 1})
    assert await log.position_at(START_US + 900) == Positions({0: 3})
    assert await log.position_at(START_US + 1_998) == Positions({0: 5})
    assert await log.position_at(START_US + 1_999) == Positions({0: 7})


async def test_a_replay_keeps_times_to_the_microsecond(log: KafkaLog) -> None:
    given = [Record(0, offset, START_US + 1_234 * offset + 7, b"run", b"%d" % offset) for offset in range(50)]
    assert await log.replay(given) == Positions({0: 50})
    assert await read_from(log, 0) == given


def test_a_stamp_without_a_header_is_kafkas_own() -> None:
    assert stamp_of(1_700_000_000_123, ()) == 1_700_000_000_123_000
    assert stamp_of(1_700_000_000_123, [("other", b"12345678")]) == 1_700_000_000_123_000
    assert stamp_of(1_700_000_000_123, [("at_us", b"short")]) == 1_700_000_000_123_000
    elsewhere = (1_600_000_000_000_000).to_bytes(8, "big")
    assert stamp_of(1_700_000_000_123, [("at_us", elsewhere)]) == 1_700_000_000_123_000
    exact = (1_700_000_000_123_456).to_bytes(8, "big")
    assert stamp_of(1_700_000_000_123, [("at_us", exact)]) == 1_700_000_000_123_456


def test_time_goes_on_from_any_floor() -> None:
    assert next_at_us(0, 5_000_123) == 5_000_123
    assert next_at_us(5_000_123, 5_000_100) == 5_000_123
    assert next_at_us(5_000_123, 4_999_999) == 5_000_999
    assert next_at_us(5_000_999, 5_000_500) == 5_000_999
    assert next_at_us(5_000_999, 5_001_000) == 5_001_000
