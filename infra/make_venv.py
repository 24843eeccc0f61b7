"""Make a virtual environment with this project in it, unless it is there: `python make_venv.py .venv demo`.

Needs nothing but Python. Several calls at once wait for each other; a second call finds the stamp of the first and
does nothing until pyproject.toml, the sources of the page or the Python change. Run by the Makefile.
"""

from __future__ import annotations  # so that an old Python gets as far as the message that refuses it

import argparse
import fcntl
import hashlib
import subprocess
import sys
import venv
from pathlib import Path

import page_build

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """0 when the environment is ready, 2 when this Python is too old, pip's own status when pip fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the environment is to be")
    parser.add_argument("extra", help="the extras of pyproject.toml to install, e.g. demo or server,data")
    arguments = parser.parse_args()
    if sys.version_info < (3, 11):  # noqa: UP036 - run by whatever Python is there
        found = ".".join(map(str, sys.version_info[:3]))
        print(f"Runstream needs Python 3.11, this is {found}: try `make PYTHON=python3.11 ...`", file=sys.stderr)
        return 2
    # A file that is always there, outside of the folder that may be made anew.
    with (ROOT / "pyproject.toml").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return ensure(arguments.folder, arguments.extra)


def ensure(folder: Path, extra: str) -> int:
    """Bring the environment up to date. The caller holds the lock."""
    stamp = folder / f".installed-{extra}"
    wanted = fingerprint(extra)
    if stamp.exists() and stamp.read_text() == wanted:
        return 0
    python = folder / "bin" / "python"
    if not python.exists() or version_of(python) != sys.version_info[:2]:
        print(f"creating {folder} with Python {sys.version.split()[0]}", flush=True)
        venv.EnvBuilder(with_pip=True, clear=True, symlinks=True).create(folder)
    print(f"installing runstream[{extra}] into {folder}", flush=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    status = subprocess.run([*pip, "--editable", f"{ROOT}[{extra}]"], check=False).returncode
    if status == 0:
        stamp.write_text(wanted)
    return status


def fingerprint(extra: str) -> str:
    """What decides whether the environment is up to date."""
    parts = [extra.encode(), sys.version.encode(), str(ROOT).encode(), (ROOT / "pyproject.toml").read_bytes()]
    # An installation builds the page.
    parts.append(page_build.sources_digest(ROOT).encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def version_of(python: Path) -> tuple[int, ...]:
    """The (major, minor) of an interpreter; (0, 0) if it does not start."""
    code = "import sys; print(sys.version_info[0], sys.version_info[1])"
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=False)
    return tuple(map(int, done.stdout.split())) if done.returncode == 0 else (0, 0)


if __name__ == "__main__":
    sys.exit(main())
