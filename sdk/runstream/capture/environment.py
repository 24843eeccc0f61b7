"""What a run ran on: command, Python, host, packages, git. Each is looked up off the training thread, once."""

import functools
import getpass
import os
import platform
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from runstream.capture.masking import Masking
from runstream.capture.secret_arguments import masked_arguments
from runstream.capture.secret_urls import without_credentials as without_credentials

#: A difference beyond this is cut: it is there to see what was changed, not to keep a repository.
MAX_DIFF_BYTES: Final = 1_000_000
_GIT_TIMEOUT_S: Final = 10.0

#: Arguments of git, and how many bytes of what it prints are wanted -> those bytes; None if it failed.
RunGit = Callable[[Sequence[str], int], bytes | None]
_FACT_BYTES: Final = 64_000
_CODE_SECTIONS: Final = ("command", "packages")


def environment_sections(
    masking: Masking | None = None, *, with_code: bool = True
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(section, values) of what `environment_captured` events carry, quick ones first. Leaves out what fails, and
    what tells of the code (command line, packages) if that is not wanted. `masking` hides secrets."""
    sections: tuple[tuple[str, Callable[[], dict[str, Any]]], ...] = (
        ("command", lambda: command(sys.argv, masking)),
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


def command(argv: Sequence[str], masking: Masking | None = None) -> dict[str, Any]:
    """The command line without its secrets."""
    shown = (masking or Masking()).arguments(argv)
    try:
        directory = os.getcwd()
    except OSError:
        directory = "(removed)"
    return {"argv": shown, "working_directory": directory, "program": argv[0] if argv else ""}


def redacted(argv: Sequence[str]) -> list[str]:
    """`argv` without its secrets."""
    return masked_arguments(argv)


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


def git_facts(git: RunGit, masking: Masking | None = None) -> dict[str, Any] | None:
    """Commit, branch, remote (without its secrets) and whether anything was changed; None outside a repository."""
    commit = _line(git(["rev-parse", "HEAD"], _FACT_BYTES))
    if not commit:
        return None
    changed = git(["status", "--porcelain"], _FACT_BYTES)
    remote = _line(git(["remote", "get-url", "origin"], _FACT_BYTES))
    return {
        "commit": commit,
        "branch": _line(git(["rev-parse", "--abbrev-ref", "HEAD"], _FACT_BYTES)),
        "dirty": bool(changed) if changed is not None else None,
        "remote": (masking or Masking()).remote(remote) if remote else None,
        "root": _line(git(["rev-parse", "--show-toplevel"], _FACT_BYTES)),
    }


def git_diff(git: RunGit) -> tuple[bytes, bool]:
    """The difference of the working tree to its commit, and whether it was cut at MAX_DIFF_BYTES."""
    diff = git(["diff", "--no-color", "--no-ext-diff", "HEAD"], MAX_DIFF_BYTES + 1) or b""
    return diff[:MAX_DIFF_BYTES], len(diff) > MAX_DIFF_BYTES


def _line(output: bytes | None) -> str | None:
    return output.decode(errors="replace").strip() or None if output is not None else None
