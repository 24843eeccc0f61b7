"""What every control event has, and the kinds of values that their fields take."""

from functools import partial
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from runstream.events import limits
from runstream.events.names import check_path_part

#: Microseconds since 1970 UTC that the store can hold and show: up to the end of the year 2299.
AtUs = Annotated[int, Field(ge=0, le=limits.MAX_AT_US)]
Step = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
Workspace = Annotated[str, AfterValidator(partial(check_path_part, "workspace"))]
Project = Annotated[str, AfterValidator(partial(check_path_part, "project"))]
Experiment = Annotated[str, AfterValidator(partial(check_path_part, "experiment"))]
Name = Annotated[str, Field(min_length=1, max_length=limits.MAX_NAME_CHARS)]
Tag = Annotated[str, Field(min_length=1, max_length=limits.MAX_TAG_CHARS)]
#: Of a list with many wrong items only the first is told: an error for each would take more than all the rest.
Tags = Annotated[tuple[Tag, ...], Field(fail_fast=True)]


def _check_names(values: dict[str, Any]) -> dict[str, Any]:
    for name in ("", max(values, key=len, default="")):
        if name in values and not 0 < len(name) <= limits.MAX_PARAMETER_NAME_CHARS:
            raise ValueError(
                f"a name has {len(name)} characters ({name[:40]!r}): give 1 to {limits.MAX_PARAMETER_NAME_CHARS}"
            )
    return values


Values = Annotated[dict[str, Any], AfterValidator(_check_names)]


class Event(BaseModel):
    """What every control event has."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    at_us: AtUs
