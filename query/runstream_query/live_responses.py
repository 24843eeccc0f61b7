"""What live messages hold."""

from datetime import datetime

from pydantic import Field

from runstream_query.repositories.arguments import TailAxis
from runstream_query.responses import Number, ResponseModel, RunRow, Summary


class Tail(ResponseModel):
    """What takes the place of the end of a curve: its buckets from a place on, ordered. All lists have the same length.
    Whoever holds the curve drops the buckets at `from` and behind, and appends these."""

    run: str
    metric: str
    axis: TailAxis
    width: int
    start: int = Field(serialization_alias="from", description="the first place of the first of the buckets")
    points: int = Field(description="points of the series, also those in front of `from` and those without a step")
    earlier: bool = Field(description="whether points came in front of `from` too: read the curve again")
    too_many: bool = Field(description="whether there are more buckets than a message may have: read the curve again")
    x: list[int] = Field(description="the place of each bucket's first point")
    count: list[int]
    min: list[Number]
    max: list[Number]
    mean: list[Number]
    nan_count: list[int]
    flags: list[int] = Field(description="1 NaN, 2 infinity, 4 negative infinity among the points")


class Changes(ResponseModel):
    """The data of a live message: changed run rows, changed summaries, or ends of curves that got points. `at`: the
    server's clock when it looked for them."""

    at: datetime
    runs: list[RunRow] | None = None
    summaries: list[Summary] | None = None
    tails: list[Tail] | None = None


class ServerClock(ResponseModel):
    """The data of a live message that says that everything up to its id was told at this time of the server's clock."""

    at: datetime
