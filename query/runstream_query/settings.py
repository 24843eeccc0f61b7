"""The query service's settings, built once by the composition root."""

from pydantic import BaseModel, ConfigDict, Field


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
    max_points_limit: int = Field(default=20_000, ge=2)
    #: Live streams at once, and how often one looks for changes.
    max_live: int = Field(default=200, ge=1)
    live_tick_s: float = Field(default=0.25, gt=0)
    live_heartbeat_s: float = Field(default=10.0, gt=0)
    #: A reader that takes nothing for so long is disconnected; it resumes where it was.
    live_write_s: float = Field(default=30.0, gt=0)
    #: Rows of one live message; more are split.
    live_rows: int = Field(default=500, ge=1)
    max_body_bytes: int = Field(default=2_000_000, ge=1)
    #: Files of one archive. Each costs a request to an object store before the archive begins, and 500 bytes of memory
    #: until it ends: 10,000 are half a minute and 5 MB.
    max_archive_files: int = Field(default=10_000, ge=1)
    #: Bytes of one archive, which is not kept anywhere: at 100 MB/s more than 10 minutes, which is when Comet's client
    #: gives a download up.
    max_archive_bytes: int = Field(default=64_000_000_000, ge=1)
