"""Names of metrics where globs are taken."""

import re


def exact(metric: str) -> str:
    """Return what means the metric of this very name where globs are taken: `m*` becomes `m[*]`."""
    return re.sub(r"[*?]", r"[\g<0>]", metric)
