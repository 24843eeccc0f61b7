"""How many examples a test with generated ones tries: all of them in `make properties`, a part in `make test`."""

from typing import Final

from hypothesis import settings

#: `make test` tries one of so many, the same ones each time.
PART: Final = 3


def examples(most: int) -> int:
    """Return how many of `most` examples the chosen profile (tests/conftest.py) tries."""
    return -(-most // PART) if settings().derandomize else most
