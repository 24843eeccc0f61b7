"""Commands of the command line in this process, and what they write."""

import json
import sys
from typing import Any

import pytest

from runstream_infra.cli import app


def done(capfd: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    """What a command wrote to stdout, or to stderr where it is refused."""
    capfd.readouterr()
    assert app.run(list(words)) == code
    sys.stdout.flush()
    written = capfd.readouterr()
    return written.err if code else written.out


def told(capfd: pytest.CaptureFixture[str], *words: str) -> Any:
    """What a command says as JSON."""
    return json.loads(done(capfd, *words, "--json"))
