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
    #: Events of a batch, unpacked: reading them takes ten times the time of as many bytes of points.
    max_batch_events_bytes: int = Field(default=2_000_000, ge=1)
    #: Groups of points in a batch, about 1.5 kB each: a frame of 1 MB can have 40,000, and usually has one or two.
    max_batch_groups: int = Field(default=80_000, ge=1)
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
    #: What the trial of one record may take (`worker.trial`), beyond what the process has at its start: a frame unpacks
    #: to 16 MB at most, and folding it takes 25 times that.
    trial_memory_bytes: int = Field(default=1_000_000_000, ge=1)
    #: CPU time of the trial of one record, and the time of all of it: honest records take milliseconds.
    trial_cpu_s: int = Field(default=60, ge=1)
    trial_wall_s: float = Field(default=600.0, gt=0)
    #: A record is set aside after so many deaths of processes that folded it alone: such as left a trace of a fault,
    #: and such as left none, which may be kills from outside (but not thirty times in a row at one record).
    traced_deaths: int = Field(default=3, ge=1)
    untraced_deaths: int = Field(default=30, ge=1)
    #: Records of a partition that may go to quarantine within the window because folding them raised: an error of the
    #: code, not of a client. Beyond it the worker stops and says why; all records stay in the log. 0: no limit.
    poison_limit: int = Field(default=1000, ge=0)
    poison_window_s: float = Field(default=3600.0, gt=0)
    retry_first_s: float = Field(default=0.2, gt=0)
    retry_most_s: float = Field(default=10.0, gt=0)
