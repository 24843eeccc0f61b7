"""Tests here import `oracle` and other modules beside them; with import mode importlib their folder is on no path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
