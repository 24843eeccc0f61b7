"""What a run can be asked about."""

from __future__ import annotations

import re
from typing import Final

from runstream.errors import Invalid
from runstream.query.expressions import QueryVariable
from runstream.query.literals import ENVIRONMENT_NAMES, METADATA_FIELDS, SUMMARIES, FieldType, named_field

#: The other value that stands for a run's name.
_NAME: Final = "Name"
#: What fields of a run itself are.
_FIELD_TYPES: Final = ("text", "number", "time")
#: A name from outside cannot become another part of a filter.
_FIELD_NAME: Final = re.compile(r"[a-z][a-z_]*\Z")


class Field(QueryVariable):
    """What every run has, by its name in the filter language (docs/query-language.md, "Fields"): `Field("notes")`,
    `Field("duration", "number")`, `Field("created", "time")`. type: text, number or time. Raises Invalid for another
    type; whether there is such a field, the server says."""

    source = "fields"

    def __init__(self, name: str, type: FieldType = "text") -> None:
        if type not in _FIELD_TYPES:
            raise Invalid(f"type = {type!r} of Field({name!r}): give one of {', '.join(_FIELD_TYPES)}")
        super().__init__(name, type)
        if not _FIELD_NAME.match(name):
            raise Invalid(f"{name!r} is no field of runs: give a word such as 'notes' (metrics have Metric(name))")

    def field(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"Field({self.name!r})" if self.type == "text" else f"Field({self.name!r}, {self.type!r})"


class Metric(QueryVariable):
    """A metric: its last value, or with `summary` (or as `Metric("loss").min`) another of min, max, first, last, mean,
    sum, std and count."""

    source = "metrics"

    def __init__(self, name: str, summary: str = "last") -> None:
        if summary not in SUMMARIES:
            raise Invalid(f"a metric has no {summary!r}: there are {', '.join(SUMMARIES)}")
        super().__init__(name, "number")
        self.summary = summary

    def field(self) -> str:
        return named_field("metric", self.name, self.summary)

    def __repr__(self) -> str:
        return f"Metric({self.name!r})" + (f".{self.summary}" if self.summary != "last" else "")

    @property
    def min(self) -> Metric:
        return Metric(self.name, "min")

    @property
    def max(self) -> Metric:
        return Metric(self.name, "max")

    @property
    def first(self) -> Metric:
        return Metric(self.name, "first")

    @property
    def last(self) -> Metric:
        return Metric(self.name, "last")

    @property
    def mean(self) -> Metric:
        return Metric(self.name, "mean")

    @property
    def sum(self) -> Metric:
        return Metric(self.name, "sum")

    @property
    def std(self) -> Metric:
        return Metric(self.name, "std")

    @property
    def count(self) -> Metric:
        return Metric(self.name, "count")


class Parameter(QueryVariable):
    """A hyper-parameter by its dotted name."""

    source = "params"

    def __init__(self, name: str) -> None:
        super().__init__(name, "any")

    def field(self) -> str:
        return named_field("param", self.name)


class Other(QueryVariable):
    """Another single value; `Other("Name")` is the run's name."""

    source = "log_other"

    def __init__(self, name: str) -> None:
        super().__init__(name, "text" if name == _NAME else "any")

    def field(self) -> str:
        return "name" if self.name == _NAME else named_field("other", self.name)


class Environment(QueryVariable):
    """What the run ran on: our names (`git.commit`, `host.hostname`) or short ones (`os`, `hostname`, ...)."""

    source = "env_details"

    def __init__(self, name: str) -> None:
        super().__init__(name, "any")

    def field(self) -> str:
        return self.fields()[0]

    def fields(self) -> tuple[str, ...]:
        return tuple(named_field("env", name) for name in ENVIRONMENT_NAMES.get(self.name, (self.name,)))


class Metadata(QueryVariable):
    """What every run has: user_name, start_server_timestamp, end_server_timestamp (datetimes, in UTC where they have no
    zone), duration (seconds), experiment_key, experiment_name, status. Raises Invalid for any other name."""

    source = "metadata"

    def __init__(self, name: str) -> None:
        if name not in METADATA_FIELDS:
            raise Invalid(f"there is no metadata {name!r}: there are {', '.join(METADATA_FIELDS)}")
        self._field, type = METADATA_FIELDS[name]
        super().__init__(name, type)

    def field(self) -> str:
        return self._field
