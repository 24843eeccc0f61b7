"""Responses with curves for charts."""

from pydantic import Field

from runstream_query.responses import Logged, Number, ResponseModel, Unknown


class ChartSeries(ResponseModel):
    """One run and metric of a chart."""

    run: str
    metric: str
    width: int | float = Field(
        description="of a bucket, on the axis: a power of two; on the axis of a metric it may be a fraction, and 0 "
        "says that each place is a bucket"
    )
    rows: int = Field(description="how many buckets there are")
    points: int = Field(description="how many points they hold")
    largest: int = Field(description="how many points one of them holds at most: with 1 every bucket is a point")
    total: int = Field(
        description="points of the series, those outside of the range and those without a place on the axis included"
    )
    origin: int | float = Field(description="the place of the first bucket; Arrow: where places are counted from")
    unit: int | float = Field(description="Arrow: how much of the axis one of a place is")
    writer: str | None = Field(default=None, description='with by = "writer": who logged these points')
    rank: int | None = Field(default=None, description="of the writer, where its framework gave one")
    attempt: int | None = Field(
        default=None, description="of the writer, from 1; none where it never started, as programs that write by REST"
    )


class ChartCurve(ChartSeries):
    """One run and metric of a chart in buckets, ordered. All lists have the same length. `min`, `max` and `mean` leave
    NaN out and are NaN where a bucket holds nothing else."""

    x: list[int] | list[float] = Field(description="the place of each bucket's first point")
    count: list[int]
    nan_count: list[int]
    min: list[Number]
    max: list[Number]
    mean: list[Number]


class Charts(ResponseModel):
    """Series in buckets that are as wide as their run needs them."""

    series: list[ChartCurve]
    unknown: Unknown = Field(default=[])


class GroupedCurve(ResponseModel):
    """A metric of a group of runs in buckets, ordered. All lists have the same length."""

    group: dict[str, Logged] = Field(description="the value of each field of group_by; null where runs have none")
    size: int = Field(description="how many runs are in the group")
    metric: str
    x: list[int] | list[float] = Field(description="the place of each bucket's first point")
    runs: list[int] = Field(description="of how many runs the bucket has a mean")
    mean: list[Number] = Field(description="of the runs' means in the bucket; so are sd and median")
    sd: list[Number] = Field(description="of a sample: divided by one less than there are runs; NaN of one run")
    median: list[Number]
    min: list[Number] = Field(description="of all points")
    max: list[Number]


class GroupedCharts(ResponseModel):
    """Metrics of groups of runs, all in buckets of the same width."""

    width: int | float
    series: list[GroupedCurve]
    unknown: Unknown = Field(default=[])
