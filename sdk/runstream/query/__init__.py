"""Questions about runs as Python expressions, for `runstream.API.query`:

    from runstream.query import Metric, Parameter, Tag

    api.query("default", "digits", (Metric("acc").max > 0.9) & ((Parameter("lr") < 0.1) | Tag("sweep")))

Variables and operators are those of the page on Python Panels (docs/panels.md), and beyond it `Field`, `|`, groups in
groups, `in_`, `matches` and the summaries of a metric (`min`, `max`, `first`, `last`, `mean`, `sum`, `count`). Each
expression becomes one text of the filter language (docs/query-language.md), which `QueryExpression.filter()` shows.
"""

from runstream.query.expressions import QueryExpression, QueryVariable, Tag
from runstream.query.variables import Environment, Field, Metadata, Metric, Other, Parameter

__all__ = [
    "Environment",
    "Field",
    "Metadata",
    "Metric",
    "Other",
    "Parameter",
    "QueryExpression",
    "QueryVariable",
    "Tag",
]
