"""Whether this thread runs a script of Streamlit."""

import sys
from typing import Any


def script_context() -> Any:
    """Return Streamlit's context of this thread's script; None where there is none. Loads nothing."""
    runner = sys.modules.get("streamlit.runtime.scriptrunner")
    return None if runner is None else runner.get_script_run_ctx(suppress_warning=True)


def is_inside() -> bool:
    """Return whether there is one."""
    return script_context() is not None
