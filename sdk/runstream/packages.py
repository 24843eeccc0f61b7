"""Which packages of other projects are here."""

import sys
from importlib.util import find_spec


def is_installed(name: str) -> bool:
    """Return whether a package can be imported; imports nothing."""
    # `find_spec` raises for a package that is loaded and has no spec, as Faust is, which replaces its own module; and
    # for one whose import is forbidden, which is None there.
    if name in sys.modules:
        return sys.modules[name] is not None
    return find_spec(name) is not None
