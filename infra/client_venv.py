"""Make an environment with another tracker's client in it, unless it is there: `python infra/client_venv.py NAME`.

Prints the path of its Python. What is in it stands in tests/clients/NAME/requirements.txt, every package of it: nothing
else is installed, whatever the packages say that they need. It is made once a checkout, and anew when that file or the
Python changes. Needs nothing but Python. Several calls at once wait for each other. Run by the tests of the client and
by the benchmarks, which both start the client in it.
"""

import argparse
import fcntl
import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: As long as the slowest registry may take for some 20 MB.
PIP_TIMEOUT_S = 240


def main() -> int:
    """0 when the environment is ready, 1 when it cannot be made; standard error says why."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="a folder of tests/clients")
    requirements = ROOT / "tests" / "clients" / parser.parse_args().name / "requirements.txt"
    folder = folder_for(requirements)
    folder.parent.mkdir(exist_ok=True)
    with (folder.parent / f"{requirements.parent.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "installed").exists() and (failure := install(folder, requirements)):
            shutil.rmtree(folder, ignore_errors=True)
            print(failure, file=sys.stderr)
            return 1
    print(folder / "bin" / "python")
    return 0


def folder_for(requirements: Path) -> Path:
    """Where the environment belongs; another place for other requirements or another Python."""
    made_of = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
    return ROOT / ".venv-clients" / f"{requirements.parent.name}-{made_of}"


def install(folder: Path, requirements: Path) -> str:
    """Make the environment; what went wrong, or nothing."""
    venv.EnvBuilder(with_pip=True, clear=True, symlinks=True).create(folder)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # A client may pin what does not work with this Python any more.
    command = [*pip, "--no-deps", "--requirement", str(requirements)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"pip was not ready within {PIP_TIMEOUT_S} s: look whether the package registry answers"
    if done.returncode:
        return done.stderr or f"pip ended with {done.returncode}"
    (folder / "installed").touch()
    return ""


if __name__ == "__main__":
    sys.exit(main())
