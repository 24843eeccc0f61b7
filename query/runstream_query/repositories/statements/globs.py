"""Names of metrics and globs over them (`loss`, `val/*`, `layer?.norm`, `m[*]` for the name `m*`) as a condition."""

import re
from collections.abc import Sequence

from runstream.globs import SIGNS, is_glob
from runstream_query.repositories.statements.parameters import Parameters


def pattern_of(glob: str) -> str:
    """Return the glob as a whole-name RE2 pattern: `*` is any characters, `?` one, `[*]` and `[?]` are these two
    characters, all else is itself."""
    made, end = "", 0
    for sign in SIGNS.finditer(glob):
        made += re.escape(glob[end : sign.start()]) + {"*": ".*", "?": "."}.get(sign[0], re.escape(sign[0].strip("[]")))
        end = sign.end()
    return f"^(?s:{made}{re.escape(glob[end:])})$"


def chosen_condition(metrics: Sequence[str], parameters: Parameters) -> str:
    """Return the condition that the column `metric` is one of the names or matches one of the globs. A name is always
    also itself."""
    conditions = [f"metric IN {parameters.texts(metrics)}"]
    conditions.extend(f"match(metric, {parameters.text(pattern_of(metric))})" for metric in metrics if is_glob(metric))
    return "(" + " OR ".join(conditions) + ")"
