"""What a run ran on: command, Python, host, packages, git. Each is looked up off the training thread, once."""

import functools
import getpass
import os
import platform
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

#: A difference beyond this is cut: it is there to see what was changed, not to keep a repository.
MAX_DIFF_BYTES: Final = 1_000_000
_GIT_TIMEOUT_S: Final = 10.0
_SECRET_OPTION: Final = re.compile(r"(?i)(key|token|secret|passw|credential)")
HIDDEN: Final = "(hidden)"

#: Arguments of git, and how many bytes of what it prints are wanted -> those bytes; None if it failed.
RunGit = Callable[[Sequence[str], int], bytes | None]
_FACT_BYTES: Final = 64_000
_CODE_SECTIONS: Final = ("command", "packages")


def environment_sections(*, with_code: bool = True) -> Iterator[tuple[str, dict[str, Any]]]:
    """(section, values) of what `environment_captured` events carry, quick ones first. Leaves out what fails, and
    what tells of the code (command line, packages) if that is not wanted."""
    sections: tuple[tuple[str, Callable[[], dict[str, Any]]], ...] = (
        ("command", lambda: command(sys.argv)),
        ("python", python),
        ("host", host),
        ("packages", packages),
    )
    for section, look in sections:
        if section in _CODE_SECTIONS and not with_code:
            continue
        try:
            yield section, look()
        except Exception:  # a look-up that this machine does not support is no fact about the run
            continue


def command(argv: Sequence[str]) -> dict[str, Any]:
    """The command line, values of options that sound like secrets hidden."""
    return {"argv": redacted(argv), "working_directory": os.getcwd(), "program": argv[0] if argv else ""}


def redacted(argv: Sequence[str]) -> list[str]:
    """`argv` with the values of options like --api-key replaced."""
    shown: list[str] = []
    hide_next = False
    for argument in argv:
        option, equals, _ = argument.partition("=")
        if hide_next and not argument.startswith("-"):
            shown.append(HIDDEN)
        elif equals and _SECRET_OPTION.search(option):
            shown.append(f"{option}={HIDDEN}")
        else:
            shown.append(argument)
        hide_next = not equals and argument.startswith("-") and _SECRET_OPTION.search(argument) is not None
    return shown


def python() -> dict[str, Any]:
    return {
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "executable": sys.executable,
        "prefix": sys.prefix,
    }


@functools.cache
def host() -> dict[str, Any]:
    """The machine, as it was when the first run of this process asked."""
    import psutil

    return {
        "hostname": socket.gethostname(),
        "user": getpass.getuser(),
        "system": platform.system(),
        "release": platform.release(),
        "machine": platform.machine(),
        "processor": processor_name() or platform.processor(),
        "logical_cpus": os.cpu_count(),
        "physical_cpus": psutil.cpu_count(logical=False),
        "memory_bytes": psutil.virtual_memory().total,
    }


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str | None:
    """The processor's name as Linux knows it."""
    try:
        lines = cpuinfo.read_text(errors="replace").splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)


@functools.cache
def packages() -> dict[str, Any]:
    """Versions of the installed distributions, by name, as they were when the first run of this process asked: it takes
    a tenth of a second, and a process may hold hundreds of runs."""
    from importlib import metadata

    found: dict[str, Any] = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if name:
            found.setdefault(name, distribution.version)
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def git_in(directory: Path) -> RunGit:
    """A function that runs git there; what fails or takes longer than _GIT_TIMEOUT_S counts as None."""

    def run(arguments: Sequence[str], max_bytes: int) -> bytes | None:
        try:
            process = subprocess.Popen(
                ["git", "-C", str(directory), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                # No prompts, no locks taken in somebody's repository.
                env=os.environ | {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
            )
        except OSError:
            return None
        limit = threading.Timer(_GIT_TIMEOUT_S, process.kill)
        limit.start()
        try:
            assert process.stdout is not None
            with process.stdout:
                output = process.stdout.read(max_bytes)
                enough = len(output) == max_bytes
            if enough:
                process.kill()
            return output if process.wait() == 0 or enough else None
        finally:
            limit.cancel()

    return run


def git_facts(git: RunGit) -> dict[str, Any] | None:
    """Commit, branch, remote and whether anything was changed; None outside a repository."""
    commit = _line(git(["rev-parse", "HEAD"], _FACT_BYTES))
    if not commit:
        return None
    changed = git(["status", "--porcelain"], _FACT_BYTES)
    remote = _line(git(["remote", "get-url", "origin"], _FACT_BYTES))
    return {
        "commit": commit,
        "branch": _line(git(["rev-parse", "--abbrev-ref", "HEAD"], _FACT_BYTES)),
        "dirty": bool(changed) if changed is not None else None,
        "remote": without_credentials(remote) if remote else None,
        "root": _line(git(["rev-parse", "--show-toplevel"], _FACT_BYTES)),
    }


def git_diff(git: RunGit) -> tuple[bytes, bool]:
    """The difference of the working tree to its commit, and whether it was cut at MAX_DIFF_BYTES."""
    diff = git(["diff", "--no-color", "--no-ext-diff", "HEAD"], MAX_DIFF_BYTES + 1) or b""
    return diff[:MAX_DIFF_BYTES], len(diff) > MAX_DIFF_BYTES


def without_credentials(remote: str) -> str:
    """A remote's address without the user and password that may stand in it."""
    if "://" not in remote:
        return remote
    parts = urlsplit(remote)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _line(output: bytes | None) -> str | None:
    return output.decode(errors="replace").strip() or None if output is not None else None
