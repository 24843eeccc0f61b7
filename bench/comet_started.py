"""Comet's own client as a process of its own environment, pointed at a server."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from bench.processes import ROOT, Child, Failed

_SCRIPT: Final = ROOT / "bench" / "comet_client.py"
#: The server runs without keys; the client will not begin without one.
_KEY: Final = "a-key-of-sixteen-characters-or-more"


@cache
def client_python() -> str:
    """The Python that has the client; makes its environment if it is not there. Raises Failed."""
    command = [sys.executable, str(ROOT / "infra" / "client_venv.py"), "comet"]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise Failed(f"Comet's client cannot be installed: {made.stderr[-1000:]}")
    return made.stdout.strip()


@contextlib.contextmanager
def comet_client(url: str, base: Path, *words: str) -> Iterator[Child]:
    """`bench/comet_client.py WORDS` against this server, ended with the block. Its files go into `base`."""
    home = base / "home"
    home.mkdir(exist_ok=True)
    environment = {
        "HOME": str(home),
        "NO_PROXY": "*",
        "COMET_URL_OVERRIDE": f"{url}/clientlib/",
        "COMET_API_KEY": _KEY,
        "COMET_ERROR_TRACKING_ENABLE": "false",
        "COMET_LOGGING_CONSOLE": "ERROR",
        "COMET_TIMEOUT_API": "600",  # a million points take longer than its 10 s
    }
    # -P: the folder of the script has modules with names that the client's own may have.
    process = Child([client_python(), "-P", str(_SCRIPT), *words], log=base / "client.log", env=environment)
    try:
        yield process
    finally:
        process.end()
