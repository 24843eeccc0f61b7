"""Environments of Python, each built once and kept by its content.

A virtual environment cannot be moved: its scripts name its path. So it is built in a folder with a name of its own, and
published by one link with the name of its content. Of two supervisors that build the same, the first one publishes.
"""

import dataclasses
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runstream.agent.execution import Execution, Output, Stream
from runstream.agent.limits import RunLimits
from runstream.interpreter import interpreter

REQUIREMENTS: Final = "requirements.txt"
_MAX_REQUIREMENTS_BYTES: Final = 1_000_000
#: No file has a longer name.
_MAX_NAME_CHARS: Final = 256
_PROBE: Final = "import sys, os; print(os.path.realpath(sys.executable), *sys.version_info[:3], sep='\\n')"
_PROBE_S: Final = 20.0
#: A build may take so much, whatever its run may: MiB, and processes.
_LEAST_MEMORY_MB: Final = 2_048
_LEAST_PROCESSES: Final = 64
#: What is shown of a build that failed.
_SHOWN_CHARS: Final = 4_000
_COMMENT: Final = re.compile(r"(^|\s)#.*")
_REMOTE: Final = re.compile(r"\b(\w+\+)?(https?|ssh|git)://\S+")
#: A path, an option, a variable, an archive, or an encoding that is not read here.
_LOCAL: Final = re.compile(r"[/$\0\ufffd\ufeff]|(^|[\s=@])(\.|file:|-)|\.(whl|zip|t[bglx]z2?|tar)\b", re.IGNORECASE)
_NAME_ENDS: Final = re.compile(r"[\s;\[@=<>!~,(]")


class BuildFailed(Exception):
    """The environment cannot be built. The message has the end of what pip printed."""


class Abandoned(Exception):
    """The run is not ours any more, or was cancelled."""


def python_for(version: str | None) -> tuple[str, str]:
    """Return the interpreter for a version such as 3.11, and a sentence where it is another one than was wanted."""
    own = os.path.realpath(interpreter())
    if version is None:
        return own, ""
    for candidate in dict.fromkeys(filter(None, (interpreter(), shutil.which(f"python{version}")))):
        found = _probed(candidate)
        if found is not None and found[1].startswith(f"{version}."):
            return found[0], ""
    mine = _probed(own)
    shown = mine[1] if mine else "another version"
    return own, f"this machine has no python{version}, which the environment names: the code runs with Python {shown}"


def _probed(candidate: str) -> tuple[str, str] | None:
    """The path and the version of an interpreter; None if it is none."""
    try:
        done = subprocess.run(
            [candidate, "-I", "-c", _PROBE], capture_output=True, text=True, timeout=_PROBE_S, check=True
        )
        path, *version = done.stdout.split("\n")[:4]
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return path, ".".join(version)


def environment_for(
    envs: Path,
    python: str,
    code: Path,
    mark: Path,
    environ: Mapping[str, str],
    limits: RunLimits,
    goes_on: Callable[[], bool],
    say: Callable[[str], None],
) -> Path:
    """Return the interpreter of the environment that the code asks for, which is built where it is not there. `mark` is
    the folder of the run, by which processes of the build are found; `environ` is that of pip; `goes_on` is asked all
    the time. Raises BuildFailed, Abandoned, OSError."""
    requirements = code / REQUIREMENTS
    wanted = requirements.read_bytes() if requirements.is_file() else b""
    if len(wanted) > _MAX_REQUIREMENTS_BYTES:
        raise BuildFailed(f"{REQUIREMENTS} has {len(wanted)} bytes, at most {_MAX_REQUIREMENTS_BYTES} are read")
    published = envs / key_of(python, wanted, code)
    if not published.exists():
        say(f"building an environment for {REQUIREMENTS}" if wanted.strip() else "building an empty environment")
        limits = dataclasses.replace(
            limits,
            memory_mb=max(limits.memory_mb, _LEAST_MEMORY_MB),
            processes=max(limits.processes, _LEAST_PROCESSES),
        )
        pip = _Pip(mark, environ, limits, time.monotonic() + limits.build_s, goes_on)
        _build(envs, published, python, code if wanted.strip() else None, pip)
    return published.resolve() / "bin" / "python"


def key_of(python: str, requirements: bytes, code: Path) -> str:
    """Return the name of the environment: the same for the same interpreter and requirements; where these name files
    that lie beside them, for the same code."""
    made = hashlib.sha256(b"%d:" % len(python) + python.encode() + requirements)
    if any(_may_be_local(line, code) for line in _lines_of(requirements)):
        for path in sorted(path for path in code.rglob("*") if path.is_file() and not path.is_symlink()):
            name = str(path.relative_to(code)).encode("utf-8", "surrogateescape")
            made.update(b"%d:" % len(name) + name + hashlib.sha256(path.read_bytes()).digest())
    return made.hexdigest()[:32]


def _lines_of(requirements: bytes) -> list[str]:
    """The lines as pip reads them: those that end with a backslash go on."""
    return re.sub(r"\\\r?\n", "", requirements.decode("utf-8", "replace")).splitlines()


def _may_be_local(line: str, code: Path) -> bool:
    """Whether a line may name what lies beside it: the content of that is a part of the key then. A line that does not,
    and is taken for one that does, costs a build."""
    text = _REMOTE.sub("", _COMMENT.sub("", line)).strip()
    name = _NAME_ENDS.split(text, maxsplit=1)[0]
    return _LOCAL.search(text) is not None or (0 < len(name) < _MAX_NAME_CHARS and os.path.lexists(code / name))


@dataclass(frozen=True, slots=True)
class _Pip:
    """Runs programs for one build, each as the code of a run is: whatever they start ends with them, and with the
    supervisor. `mark`: the folder of the run."""

    mark: Path
    environ: Mapping[str, str]
    limits: RunLimits
    until_s: float
    goes_on: Callable[[], bool]

    def run(self, command: list[str], folder: Path) -> None:
        """Run a program in a folder. Raises BuildFailed, Abandoned, OSError."""
        tail = _Tail()
        execution = Execution(self.mark, self.environ, self.limits, Output(tail.write, sys.maxsize))
        ended = execution.run(command, folder, self.until_s - time.monotonic(), lambda: not self.goes_on())
        match ended.why:
            case "cancelled":
                raise Abandoned
            case "timeout":
                raise BuildFailed(f"the environment was not built in time. {tail.text}")
            case "memory" | "processes":
                limit = f"{self.limits.memory_mb} MiB of memory and {self.limits.processes} processes"
                raise BuildFailed(f"the build took more than {limit}. {tail.text}")
            case "lost":
                raise BuildFailed(f"what watched over the build was killed. {tail.text}")
            case "ended" if ended.code != 0:
                what = " ".join(command[command.index("-m") + 1 :][:2])
                raise BuildFailed(f"{what} ended with exit code {ended.code}. {tail.text}")


class _Tail:
    """The end of what was printed."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, _: Stream, text: str) -> None:
        self.text = (self.text + text)[-_SHOWN_CHARS:]


def _build(envs: Path, published: Path, python: str, code: Path | None, pip: _Pip) -> None:
    folder = envs / f"{published.name}.{os.urandom(4).hex()}"
    try:
        options = [] if code is not None else ["--without-pip"]
        pip.run([python, "-I", "-m", "venv", *options, str(folder)], envs)
        if code is not None:
            install = [str(folder / "bin" / "python"), "-I", "-m", "pip", "install", "--no-input", "--quiet"]
            pip.run([*install, "-r", REQUIREMENTS], code)
        try:
            published.symlink_to(folder.name, target_is_directory=True)
        except FileExistsError:  # another run wanted the same
            shutil.rmtree(folder, ignore_errors=True)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def tidy_environments(envs: Path) -> None:
    """Remove environments that were never published: whoever built them was killed. While nobody builds."""
    kept = {path.resolve().name for path in envs.iterdir() if path.is_symlink()}
    for path in envs.iterdir():
        if not path.is_symlink() and path.name not in kept:
            shutil.rmtree(path, ignore_errors=True)
