"""Responses with the fields that runs have."""

from pydantic import Field

from runstream_query.responses import Logged, Number, ResponseModel


class CountedValue(ResponseModel):
    """A value of a field, and how many runs have it."""

    value: Logged
    runs: int


class FieldRow(ResponseModel):
    """A field of the filter language, and what the runs that match have of it."""

    field: str = Field(description="as filters, sort keys and columns name it")
    kind: str = Field(description="run, metric, param, other or env")
    name: str
    runs: int = Field(description="how many runs have it; of tags how many (run, tag) there are")
    distinct: int | None = Field(default=None, description="how many different values there are; null for metrics")
    numbers: int | None = Field(
        default=None,
        description="how many runs have what filters compare as a number: texts that say one and truth values, too",
    )
    points: int | None = Field(default=None, description="of metrics: how many points there are")
    min: Number | None = Field(default=None, description="the least of the numbers, of metrics of all values")
    max: Number | None = None
    values: list[CountedValue] = Field(default=[], description="those that most runs have, without very long ones")


class Fields(ResponseModel):
    fields: list[FieldRow]
    more: bool = Field(description="whether there are more names than the limit")
