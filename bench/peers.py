"""Other trackers to compare with: `python -m bench.peers` installs each into an environment of its own.

Of its own, because what one of them pins must hold back neither another one nor us. They lie in
PREFIX/peers/NAME of the environment that this runs in. One that cannot be installed is left out, with its reason.
"""

import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: Name -> what pip installs. The versions that were measured stand in the results.
PEERS: Final = {
    "tensorboardX": "tensorboardX",
    "wandb": "wandb",
    "mlflow": "mlflow",
    "trackio": "trackio",
    "aim": "aim",
}
_INSTALL_TIMEOUT_S: Final = 900.0


@dataclass(frozen=True, slots=True)
class Peer:
    """A tracker: its Python, or why there is none."""

    name: str
    python: Path | None
    reason: str = ""


def folder_of(name: str) -> Path:
    return Path(sys.prefix) / "peers" / name


def find(name: str) -> Peer:
    """The peer as `install` left it."""
    folder = folder_of(name)
    if (folder / "installed").exists():
        return Peer(name, folder / "bin" / "python")
    failure = folder / "failed"
    return Peer(name, None, failure.read_text() if failure.exists() else "not installed: python -m bench.peers")


def install(name: str) -> Peer:
    """Install the peer, unless it is there. Does not raise where pip fails."""
    folder = folder_of(name)
    if (folder / "installed").exists():
        return find(name)
    print(f"installing {name} for comparison", flush=True)
    venv.EnvBuilder(clear=True, symlinks=True).create(folder)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "--disable-pip-version-check"]
    try:
        done = subprocess.run(
            [*pip, "install", "--quiet", PEERS[name]], capture_output=True, text=True, timeout=_INSTALL_TIMEOUT_S
        )
        failure = "" if done.returncode == 0 else _last_line(done.stderr)
    except subprocess.TimeoutExpired:
        failure = f"pip was not done within {_INSTALL_TIMEOUT_S:.0f} s"
    (folder / ("failed" if failure else "installed")).write_text(failure)
    return find(name)


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return f"pip: {lines[-1][:200]}" if lines else "pip failed without a word"


def main() -> None:
    for name in PEERS:
        peer = install(name)
        if peer.python is None:
            print(f"{name} is left out: {peer.reason}", flush=True)


if __name__ == "__main__":
    main()
