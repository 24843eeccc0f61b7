"""Environments of other trackers' clients, one for each."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]


def python_of(client: str) -> Path:
    """Return the Python that has a client, which is named as its folder of tests/clients. Skips where it is not there
    and cannot be made, unless RUNSTREAM_REQUIRE_CLIENTS says that it must."""
    command = [sys.executable, str(_ROOT / "infra" / "client_venv.py"), client]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        if os.environ.get("RUNSTREAM_REQUIRE_CLIENTS") == "1":
            pytest.fail(f"the client {client} cannot be installed: {made.stderr}")
        pytest.skip(f"the client {client} is not here and cannot be installed: {made.stderr[-300:]}")
    return Path(made.stdout.strip())
