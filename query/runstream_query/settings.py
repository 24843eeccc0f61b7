"""The query service's settings, built once by the composition root."""

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from runstream_service.store import ClassLimits, QueryClass, QueryLimits

GIB: Final = 1024**3
MIB: Final = 1024**2
#: The fields of QueryLimits that each class has a setting for.
_OF_A_CLASS: Final = (
    "slots",
    "queue",
    "wait_s",
    "time_s",
    "memory_bytes",
    "rows_read",
    "result_rows",
    "result_bytes",
)


class QuerySettings(BaseModel):
    """Bounds of what one request may ask for. Times in seconds; counts of rows, points and runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: A running run whose writers were all silent for so long is shown as crashed.
    silence_s: float = Field(default=30.0, gt=0)
    #: What `wait_for` waits if the request does not say, and at most.
    wait_s: float = Field(default=10.0, gt=0)
    max_wait_s: float = Field(default=60.0, gt=0)
    max_page: int = Field(default=1000, ge=1)
    #: Metric and parameter values beside the rows of one page: 1,000 runs x 500 columns.
    max_cells: int = Field(default=500_000, ge=1)
    #: Runs times metrics of one series request: a panel of 500 runs and 20 metrics.
    max_series: int = Field(default=10_000, ge=1)
    #: A JSON point is about 60 bytes; more points than this are for the Arrow stream.
    max_json_points: int = Field(default=200_000, ge=1)
    #: Points per statement of a full read: a row is about 45 bytes in memory, so 2 million are 90 MB.
    points_per_read: int = Field(default=2_000_000, ge=1)
    #: Buckets of one response: in JSON one is about 150 bytes, and 300 as Python values while it is made (60 MB); in an
    #: Arrow stream 80 (160 MB), a panel of 500 runs, 20 metrics and 200 points.
    max_json_buckets: int = Field(default=200_000, ge=1)
    max_buckets: int = Field(default=2_000_000, ge=1)
    #: Summaries of one response: one is 2 kB as Python values and 500 bytes of JSON (100 MB).
    max_summaries: int = Field(default=50_000, ge=1)
    #: Runs of one response to a foreign client without a page: 1.5 kB each as Python values.
    max_experiments: int = Field(default=200_000, ge=1)
    #: Names of one response to a foreign client: what can be queried in a project.
    max_names: int = Field(default=100_000, ge=1)
    #: Text of one page of what a run printed: three times as much while it is made.
    max_text_bytes: int = Field(default=32 * MIB, ge=1)
    #: What one read as of the past folds: events are decoded one by one in Python (20 us and 2 kB each), points stand
    #: in memory (45 bytes each). And how many such reads fold beside each other.
    max_past_events: int = Field(default=200_000, ge=1)
    max_past_points: int = Field(default=10_000_000, ge=1)
    #: Runs that one list as of the past looks at: each is some 2 kB as Python values, which are filtered and ordered.
    max_past_runs: int = Field(default=10_000, ge=1)
    past_folds: int = Field(default=2, ge=1)
    #: Streams of curves (Arrow, foreign clients') at once: in all, and those of one key (without keys: of one address).
    max_streams: int = Field(default=64, ge=1)
    max_streams_per_client: int = Field(default=32, ge=1)
    #: What all large responses and the pieces of all streams hold together until their readers have taken them: ten
    #: pieces of 2 million points. A further one waits.
    max_outgoing_bytes: int = Field(default=GIB, ge=MIB)
    #: A reader that does not take a piece of a stream (2.6 MB at most) within this is disconnected.
    stream_write_s: float = Field(default=60.0, gt=0)
    max_points_limit: int = Field(default=20_000, ge=2)
    #: Live streams at once, and how often one looks for changes.
    max_live: int = Field(default=200, ge=1)
    live_tick_s: float = Field(default=0.25, gt=0)
    live_heartbeat_s: float = Field(default=10.0, gt=0)
    #: A reader that takes nothing for so long is disconnected; it resumes where it was.
    live_write_s: float = Field(default=30.0, gt=0)
    #: Rows of one live message; more are split.
    live_rows: int = Field(default=500, ge=1)
    #: What streams with the same scope share, and what a stream that lags behind by more is told anew from the store.
    live_backlog_bytes: int = Field(default=4 * MIB, ge=1)
    #: What the kernel holds for a live stream: more only delays that a reader which takes nothing is found out.
    live_buffer_bytes: int = Field(default=64 * 1024, ge=4096)
    #: Tails of one stream: the curves of twenty charts of 200 runs.
    live_tails: int = Field(default=4000, ge=1, le=7000)
    #: Buckets of one curve, and of all curves of a stream, in one look for changes: a bucket is 100 bytes of JSON, and
    #: 600 as Python values while it is made (12 MB). Of what has more the reader is told to read it again.
    live_tail_buckets: int = Field(default=1000, ge=1)
    live_tick_buckets: int = Field(default=20_000, ge=1)
    #: How long tails are read in a second, of all streams together, in seconds: longer looks are fewer.
    live_tail_share: float = Field(default=0.25, gt=0)
    max_body_bytes: int = Field(default=2_000_000, ge=1)
    #: Files of one archive. Each costs a request to an object store before the archive begins, and 500 bytes of memory
    #: until it ends: 10,000 are half a minute and 5 MB.
    max_archive_files: int = Field(default=10_000, ge=1)
    #: Bytes of one archive, which is not kept anywhere: at 100 MB/s more than 10 minutes, after which clients give a
    #: download up.
    max_archive_bytes: int = Field(default=64_000_000_000, ge=1)

    # Classes of queries (`runstream_service.store.QueryClass`): how many run beside each other, how many wait and for
    # how long; what one may take and return. A class cannot delay another one by more than its share of the CPU.
    #: Reads by a key take milliseconds: 256 waiting ones are a second.
    light_slots: int = Field(default=4, ge=1, le=64)
    light_queue: int = Field(default=256, ge=0)
    light_wait_s: float = Field(default=10.0, gt=0)
    light_time_s: float = Field(default=20.0, gt=0)
    light_memory_bytes: int = Field(default=GIB, ge=MIB)
    light_rows_read: int = Field(default=1_000_000_000, ge=1)
    light_result_rows: int = Field(default=1_000_000, ge=1)
    light_result_bytes: int = Field(default=64 * MIB, ge=1)
    #: Filters, curves, exports. In process four have a third of the memory at most, whatever stands here.
    heavy_slots: int = Field(default=4, ge=1, le=64)
    heavy_queue: int = Field(default=64, ge=0)
    heavy_wait_s: float = Field(default=30.0, gt=0)
    heavy_time_s: float = Field(default=60.0, gt=0)
    heavy_memory_bytes: int = Field(default=4 * GIB, ge=MIB)
    heavy_rows_read: int = Field(default=20_000_000_000, ge=1)
    heavy_result_rows: int = Field(default=10_000_000, ge=1)
    heavy_result_bytes: int = Field(default=GIB, ge=1)
    #: What a write has to know, and what came of commands.
    lookup_slots: int = Field(default=4, ge=1, le=64)
    lookup_queue: int = Field(default=512, ge=0)
    lookup_wait_s: float = Field(default=10.0, gt=0)
    lookup_time_s: float = Field(default=10.0, gt=0)
    lookup_memory_bytes: int = Field(default=GIB, ge=MIB)
    lookup_rows_read: int = Field(default=1_000_000_000, ge=1)
    lookup_result_rows: int = Field(default=1_000_000, ge=1)
    lookup_result_bytes: int = Field(default=256 * MIB, ge=1)
    #: Live streams: two questions a scope and tick.
    live_slots: int = Field(default=2, ge=1, le=64)
    live_queue: int = Field(default=1024, ge=0)
    live_wait_s: float = Field(default=30.0, gt=0)
    live_time_s: float = Field(default=20.0, gt=0)
    live_memory_bytes: int = Field(default=GIB, ge=MIB)
    live_rows_read: int = Field(default=1_000_000_000, ge=1)
    live_result_rows: int = Field(default=1_000_000, ge=1)
    live_result_bytes: int = Field(default=64 * MIB, ge=1)
    #: Points of curves that live streams follow: one question a scope and tick, within `live_tail_share`.
    tail_slots: int = Field(default=2, ge=1, le=64)
    tail_queue: int = Field(default=1024, ge=0)
    tail_wait_s: float = Field(default=30.0, gt=0)
    tail_time_s: float = Field(default=10.0, gt=0)
    tail_memory_bytes: int = Field(default=GIB, ge=MIB)
    tail_rows_read: int = Field(default=1_000_000_000, ge=1)
    tail_result_rows: int = Field(default=1_000_000, ge=1)
    tail_result_bytes: int = Field(default=64 * MIB, ge=1)

    def class_limits(self) -> ClassLimits:
        """For the store. WORKER has none; PROBE has slots of its own, and needs no more."""
        limited = (QueryClass.LOOKUP, QueryClass.LIGHT, QueryClass.HEAVY, QueryClass.LIVE, QueryClass.TAIL)
        values = self.model_dump()
        # A look at tails that reads much leaves the other cores to the ingest.
        threads = {QueryClass.TAIL: 1}
        return {QueryClass.PROBE: QueryLimits(slots=2)} | {
            of: QueryLimits(**{name: values[f"{of.value}_{name}"] for name in _OF_A_CLASS}, threads=threads.get(of))
            for of in limited
        }
