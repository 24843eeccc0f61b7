"""The trial of records in a child process."""

import random

from runstream_processors.worker.trial import try_records
from runstream_service.log import Record

PIPE_BYTES = 65_536


def test_more_records_than_a_pipe_holds_are_tried() -> None:
    """A child that is slow to begin gets all of them, and ends."""
    noise = random.Random(1)
    records = [Record(0, offset, 1, b"r", noise.randbytes(PIPE_BYTES)) for offset in range(8)]
    found = try_records(records, memory_bytes=1_000_000_000, cpu_s=60, wall_s=120.0, is_stopped=lambda: False)
    assert found == [], "they cannot be read, which ends no process"
