"""Packages that a panel names in lines that install: what is shown where the server's owner does not allow that, and
how they are installed where that is allowed."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from runstream.errors import RunstreamError

_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")
_KEY_CHARS: Final = 32
_TOLD_CHARS: Final = 2_000
#: Downloads of hundreds of MB take minutes.
INSTALL_S: Final = 300.0


class NotInstalled(RunstreamError):
    """pip could not install what a panel names. The message has the end of what it printed."""


def told(packages: Sequence[str]) -> None:
    """Show which of the packages are not there, and what to do about it. Nothing if all are there."""
    wanted = missing(packages)
    if wanted:
        from runstream.panels.interface import ui

        ui.display(
            f"This panel installs {', '.join(wanted)}, and this server installs nothing for panels. Whoever runs it "
            "can install the packages beside runstream, or allow panels to (RUNSTREAM_PANELS_INSTALL=1).",
            format="text",
        )


def missing(packages: Sequence[str]) -> list[str]:
    """Return the packages of which no version is there."""
    return [package for package in packages if not _is_there(package)]


def _is_there(package: str) -> bool:
    name = _NAME.match(package)
    try:
        return name is not None and importlib.metadata.version(name[0]) != ""
    except importlib.metadata.PackageNotFoundError:
        return False


def installed(packages: Sequence[str], cache: Path, environ: Mapping[str, str]) -> Path:
    """Return the folder in `cache` that has these packages and what they need, installed once for all panels that name
    the same. `environ` is pip's. Only wheels: nothing of a package runs before the panel does. Blocks for up to
    INSTALL_S. Raises NotInstalled, OSError."""
    names = sorted(set(packages))
    made = hashlib.sha256("\n".join([sys.version, *names]).encode()).hexdigest()[:_KEY_CHARS]
    folder = cache / made
    if folder.is_dir():
        return folder
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = cache / f"{made}.{os.urandom(4).hex()}"
    try:
        _pip(["--target", str(part), *names], environ)
        try:
            part.rename(folder)
        except OSError:  # another panel wanted the same
            if not folder.is_dir():
                raise
        return folder
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _pip(arguments: Sequence[str], environ: Mapping[str, str]) -> None:
    options = ["--only-binary", ":all:", "--no-input", "--disable-pip-version-check", "--quiet"]
    command = [sys.executable, "-I", "-m", "pip", "install", *options, *arguments]
    try:
        subprocess.run(
            command, env=dict(environ), stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=INSTALL_S
        )
    except subprocess.TimeoutExpired:
        raise NotInstalled(f"pip did not end within {INSTALL_S:g} s") from None
    except subprocess.CalledProcessError as error:
        printed = (error.stdout + error.stderr).decode(errors="replace").strip()
        raise NotInstalled(f"pip ended with exit code {error.returncode}: {printed[-_TOLD_CHARS:]}") from None
