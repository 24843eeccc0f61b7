"""Environments of Python, each built once and kept by its content.

A virtual environment cannot be moved: its scripts name its path. So it is built in a folder with a name of its own, and
published by one link with the name of its content. Of two supervisors that build the same, the first one publishes.
"""

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from runstream.agent.processes import kill_tree
from runstream.interpreter import interpreter

REQUIREMENTS: Final = "requirements.txt"
_MAX_REQUIREMENTS_BYTES: Final = 1_000_000
#: No file has a longer name.
_MAX_NAME_CHARS: Final = 256
_PROBE: Final = "import sys, os; print(os.path.realpath(sys.executable), *sys.version_info[:3], sep='\\n')"
_PROBE_S: Final = 20.0
_TICK_S: Final = 0.1
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
    environ: Mapping[str, str],
    build_s: float,
    goes_on: Callable[[], bool],
    say: Callable[[str], None],
) -> Path:
    """Return the interpreter of the environment that the code asks for, which is built where it is not there. `environ`
    is that of pip; `goes_on` is asked all the time. Raises BuildFailed, Abandoned, OSError."""
    requirements = code / REQUIREMENTS
    wanted = requirements.read_bytes() if requirements.is_file() else b""
    if len(wanted) > _MAX_REQUIREMENTS_BYTES:
        raise BuildFailed(f"{REQUIREMENTS} has {len(wanted)} bytes, at most {_MAX_REQUIREMENTS_BYTES} are read")
    published = envs / key_of(python, wanted, code)
    if not published.exists():
        say(f"building an environment for {REQUIREMENTS}" if wanted.strip() else "building an empty environment")
        _build(envs, published, python, code if wanted.strip() else None, environ, build_s, goes_on)
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


def _build(
    envs: Path,
    published: Path,
    python: str,
    code: Path | None,
    environ: Mapping[str, str],
    build_s: float,
    goes_on: Callable[[], bool],
) -> None:
    folder = envs / f"{published.name}.{os.urandom(4).hex()}"
    until_s = time.monotonic() + build_s
    try:
        pip = [] if code is not None else ["--without-pip"]
        _run([python, "-I", "-m", "venv", *pip, str(folder)], envs, environ, until_s, goes_on)
        if code is not None:
            install = [str(folder / "bin" / "python"), "-I", "-m", "pip", "install", "--no-input", "--quiet"]
            _run([*install, "-r", REQUIREMENTS], code, environ, until_s, goes_on)
        try:
            published.symlink_to(folder.name, target_is_directory=True)
        except FileExistsError:  # another run wanted the same
            shutil.rmtree(folder, ignore_errors=True)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _run(
    command: list[str], folder: Path, environ: Mapping[str, str], until_s: float, goes_on: Callable[[], bool]
) -> None:
    log = Path(environ["TMPDIR"]) / "build.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=dict(environ), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        while (code := process.poll()) is None:
            if not goes_on():
                raise Abandoned
            if time.monotonic() > until_s:
                raise BuildFailed(f"the environment was not built in time. {_end_of(log)}")
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_TICK_S)
    finally:
        kill_tree(process.pid)
        process.wait()
    if code != 0:
        what = " ".join(command[command.index("-m") + 1 :][:2])
        raise BuildFailed(f"{what} ended with exit code {code}. {_end_of(log)}")


def _end_of(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _SHOWN_CHARS))
        return file.read(_SHOWN_CHARS).decode("utf-8", "replace")


def tidy_environments(envs: Path) -> None:
    """Remove environments that were never published: whoever built them was killed. While nobody builds."""
    kept = {path.resolve().name for path in envs.iterdir() if path.is_symlink()}
    for path in envs.iterdir():
        if not path.is_symlink() and path.name not in kept:
            shutil.rmtree(path, ignore_errors=True)
