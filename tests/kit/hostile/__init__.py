"""Clients, servers and requests that mean no good."""

from pathlib import Path
from typing import Final

#: On PYTHONPATH of a server, with RUNSTREAM_TEST_POISON=1: what a frame says brings its process down.
POISONED: Final = Path(__file__).parent / "poisoned"
