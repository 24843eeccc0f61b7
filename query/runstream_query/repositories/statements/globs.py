"""Names of metrics and globs over them (`loss`, `val/*`, `layer?.norm`) as a condition."""

import re
from collections.abc import Sequence

from runstream_query.repositories.statements.parameters import Parameters


def pattern_of(glob: str) -> str:
    """Return the glob as a whole-name RE2 pattern: `*` is any characters, `?` one, all else itself."""
    escaped = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in glob)
    return f"^(?s:{escaped})$"


def chosen_condition(metrics: Sequence[str], parameters: Parameters) -> str:
    """Return the condition that the column `metric` is one of the names or matches one of the globs. A name is always
    also itself."""
    conditions = [f"metric IN {parameters.texts(metrics)}"]
    conditions.extend(
        f"match(metric, {parameters.text(pattern_of(metric))})" for metric in metrics if "*" in metric or "?" in metric
    )
    return "(" + " OR ".join(conditions) + ")"
