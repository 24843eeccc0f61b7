"""The runs that a request means by a filter and a place."""

from pydantic import Field as ModelField

from runstream_query.errors import FilterError
from runstream_query.filters.checks import MAX_FILTER_CHARS
from runstream_query.filters.parser import parse
from runstream_query.filters.tree import And, Compare, Expression, Field, fields_of
from runstream_query.http.requests import RequestParameters


class FilterParameters(RequestParameters):
    """Which runs: those that a filter holds for, at a place."""

    filter: str = ModelField(
        default="", max_length=MAX_FILTER_CHARS, description="an expression of the filter language"
    )
    workspace: str | None = None
    project: str | None = None
    experiment: str | None = None


def expression_of(parameters: FilterParameters) -> Expression:
    """Return the filter with the request's place; deleted and archived runs are left out unless the filter names these
    fields. Raises FilterError."""
    try:
        given = parse(parameters.filter) if parameters.filter.strip() else None
    except FilterError as error:
        raise FilterError(error.message, text=error.text, column=error.column, name="filter") from None
    parts: list[Expression] = [given] if given else []
    places: dict[str, str | None] = {
        "workspace": parameters.workspace,
        "project": parameters.project,
        "experiment": parameters.experiment,
    }
    parts.extend(Compare(Field(kind), "=", value) for kind, value in places.items() if value is not None)
    spoken = {field.kind for field in fields_of(given)} if given else set()
    parts.extend(Compare(Field(kind), "=", False) for kind in ("archived", "deleted") if kind not in spoken)
    return parts[0] if len(parts) == 1 else And(tuple(parts))
