"""How much the worker takes at once."""

from pydantic import BaseModel, ConfigDict, Field


class WorkerSettings(BaseModel):
    """Every bound of a worker. Sizes in bytes, times in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Points and events of a batch, unpacked. A point of wide rows has 8 bytes and one of a single metric 24, so a
    #: block has 0.7 to 2 million points. Of half as many, merges make the worker's CPU a fifth dearer; blocks below
    #: 100,000 points cost the engine twice as much a point.
    max_batch_raw_bytes: int = Field(default=16_000_000, ge=1)
    max_batch_records: int = Field(default=20_000, ge=1)
    #: Frames read ahead while a batch is folded: two batches at the usual compression.
    max_ahead_bytes: int = Field(default=32_000_000, ge=1)
    #: Batches start at least this far apart unless much is waiting, so that a trickle does not become a part a record.
    min_cycle_s: float = Field(default=0.2, ge=0)
    #: This much waiting ends the pause early.
    early_bytes: int = Field(default=1_000_000, ge=1)
    #: States and the commit row are written this often while the log never runs dry.
    flush_every_s: float = Field(default=1.0, ge=0)
    #: Keys kept in memory; an active run with 100 metrics takes about 50 kB.
    max_keys: int = Field(default=20_000, ge=1)
    retry_first_s: float = Field(default=0.2, gt=0)
    retry_most_s: float = Field(default=10.0, gt=0)
