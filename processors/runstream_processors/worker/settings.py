"""How much the worker takes at once."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    #: Points and events of a batch, unpacked. A point of wide rows has 8 bytes and one of a single metric 24, so a
    #: block has 0.7 to 2 million points. Of half as many, merges make the worker's CPU a fifth dearer; blocks below
    #: 100,000 points cost the engine twice as much a point.
    max_batch_raw_bytes: int = 16_000_000
    max_batch_records: int = 20_000
    #: Frames read ahead while a batch is folded: two batches at the usual compression.
    max_ahead_bytes: int = 32_000_000
    #: Batches start at least this far apart unless much is waiting, so that a trickle does not become a part a record.
    min_cycle_s: float = 0.2
    #: This much waiting ends the pause early.
    early_bytes: int = 1_000_000
    #: States and the commit row are written this often while the log never runs dry.
    flush_every_s: float = 1.0
    #: Keys kept in memory; an active run with 100 metrics takes about 50 kB.
    max_keys: int = 20_000
    retry_first_s: float = 0.2
    retry_most_s: float = 10.0
