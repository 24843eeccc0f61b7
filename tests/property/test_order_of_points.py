"""The order of the points of a series (docs/glossary.md), whatever the clocks do and in whatever order records come."""

import itertools
import random
import struct
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.examples import examples
from kit.oracles.metrics import Delivery, Point, Row, in_order, points
from kit.recorded.metric_frames import FoldedLog, frame_bytes, with_bits
from kit.sending.spool_maker import writer_info
from runstream.clock import Clock
from runstream.notices import Notices
from runstream.spool.format import Acked
from runstream.spool.reader import SpoolReader
from runstream.spool.writer import SpoolWriter
from runstream_model.past import summaries_of

RUN, METRIC = "run", "m"
#: Nearly all of them meet: two steps, a handful of moments of which some share a microsecond, NaN, both zeros.
ROWS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from([0, 400, 999, 1000, 1400, 5000]),
        st.sampled_from([1.0, 2.0, 3.0, 0.0, -0.0, float("nan")]),
    ),
    max_size=7,
)
#: What a writer's clock shows at each look: it goes on, stands still, or is set back or forward by up to an hour.
CLOCKS = st.lists(
    st.sampled_from([0, 300, 1000, 5_000_000]) | st.integers(-(3600 * 10**9), 3600 * 10**9), min_size=1, max_size=30
)


@st.composite
def deliveries(draw: st.DrawFn) -> list[Delivery]:
    """Frames of up to three writers of one series: cut anywhere, repeated, in any order."""
    cuts = []
    for number in range(draw(st.integers(1, 3))):
        rows = [Row(seq, step, at_ns, {METRIC: value}) for seq, (step, at_ns, value) in enumerate(draw(ROWS))]
        ends = sorted({0, len(rows), *draw(st.lists(st.integers(0, len(rows)), max_size=3))})
        ranges = [*itertools.pairwise(ends), *draw(st.lists(st.sampled_from([(0, len(rows))]), max_size=1))]
        cuts += [(f"{number:02x}" * 16, first, end, tuple(rows[first:end])) for first, end in ranges]
    return [
        Delivery(RUN, writer, first, end, rows, 0, offset)
        for offset, (writer, first, end, rows) in enumerate(draw(st.permutations(cuts)))
    ]


@settings(max_examples=examples(300))
@given(deliveries(), st.lists(st.booleans(), min_size=20, max_size=20))
def test_first_and_last_are_the_ends_of_the_order(sent: list[Delivery], cuts: list[bool]) -> None:
    log = FoldedLog()
    batch: list[tuple[Delivery, bytes]] = []
    for delivery, is_end in itertools.zip_longest(sent, cuts[: len(sent)]):
        batch.append((delivery, frame_bytes(delivery)))
        if is_end:
            log.apply(batch)
            log.save()
            log.restart()
            batch = []
    log.apply(batch)
    log.save()
    ordered = in_order(points(sent))
    assert [with_bits(ends_of(row)) for row in log.stored.values()] == ([expected_ends(ordered)] if ordered else [])


@settings(max_examples=examples(100))
@given(deliveries(), st.randoms(use_true_random=False))
def test_a_read_of_the_past_has_the_same_ends(sent: list[Delivery], rng: random.Random) -> None:
    ordered = in_order(points(sent))
    shuffled = rng.sample(ordered, len(ordered))
    found = summaries_of(table_of(shuffled))
    assert [with_bits(ends_of(row)) for row in found] == ([expected_ends(ordered)] if ordered else [])


def ends_of(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("first", "first_step", "first_at", "last", "last_step", "last_at"))


def expected_ends(ordered: Sequence[Point]) -> tuple[Any, ...]:
    first, last = ordered[0], ordered[-1]
    return with_bits((first.value, first.step, first.at_us, last.value, last.step, last.at_us))


def table_of(rows: Sequence[Point]) -> pa.Table:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return pa.table(
        {
            "run": pa.array([row.run for row in rows], pa.string()),
            "metric": pa.array([row.metric for row in rows], pa.string()),
            "step": pa.array([row.step for row in rows], pa.int64()),
            "at": pa.array([epoch + timedelta(microseconds=row.at_us) for row in rows], pa.timestamp("us", "UTC")),
            "value": pa.array([row.value for row in rows], pa.float64()),
            "writer": pa.array([int(row.writer[:16], 16) for row in rows], pa.uint64()),
            "seq": pa.array([row.seq for row in rows], pa.uint64()),
        }
    )


@settings(max_examples=examples(150))
@given(CLOCKS, st.lists(st.sampled_from(["row", "sample", "event"]), min_size=2, max_size=25))
def test_what_one_writer_logs_is_in_its_order_whatever_its_clock_does(looks: list[int], calls: list[str]) -> None:
    """So its sequence decides between its values of one step, and no time between two of its events is negative."""
    moments = itertools.accumulate(itertools.cycle(looks), initial=1_700_000_000 * 10**9)
    with tempfile.TemporaryDirectory() as folder:
        writer = open_writer(Path(folder), Clock(time_ns=lambda: next(moments)))
        event_times = []
        for number, call in enumerate(calls):
            if call == "event":
                event_times.append(writer.at_us())
                continue
            log = writer.log_row if call == "row" else writer.log_sample
            log({METRIC: float(number)}, 5)
        writer.close()
        logged = read(writer.folder)
    assert [value for _, _, _, value in logged] == [float(n) for n, call in enumerate(calls) if call != "event"]
    assert sorted(logged, key=lambda row: (row[1], row[2] // 1000, row[0])) == logged
    assert event_times == sorted(set(event_times))


def open_writer(spool: Path, clock: Clock) -> SpoolWriter:
    info = writer_info("a" * 32, "http://127.0.0.1:1", run_id=RUN, mode="offline")
    return SpoolWriter(spool, info, clock=clock, notices=Notices())


def read(folder: Path) -> list[tuple[int, int, int, float]]:
    """(seq, step, at_ns, value) of every row, in the order of seq."""
    reader = SpoolReader(folder)
    window = reader.read(Acked(), 1 << 20)
    reader.close()
    found = []
    for group in window.groups.values():
        rows = b"".join(group.pieces)
        seqs = [first + i for first, count in group.spans for i in range(count)]
        for seq, at in zip(seqs, range(0, len(rows), group.schema.width), strict=True):
            _, step, at_ns, value, _ = struct.unpack_from("<IqqdI", rows, at)
            found.append((seq, step, at_ns, value))
    return sorted(found)
