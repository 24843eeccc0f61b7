"""Lets the tests of this folder import its modules: what is golden, and what adds to it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
