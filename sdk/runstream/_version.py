"""The version of the distribution; `pyproject.toml` says the same (a test compares the two)."""

from typing import Final

VERSION: Final = "0.1.0"
