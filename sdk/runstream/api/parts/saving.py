"""Where files that a server names are written: below the folder that was given, and nowhere else."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from runstream.errors import Invalid
from runstream.events.artifacts import check_file_name
from runstream.events.names import InvalidName
from runstream.filenames import last_part, safe_names

#: Where some names are devices or drives, or two names are one file. Elsewhere files keep the names they were logged
#: under, unless these have control or direction characters.
_PORTABLE: Final = sys.platform in ("win32", "cygwin", "darwin")
#: Windows has no such flag, and asks for a right to make links.
_NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def targets_of(directory: Path, names: Sequence[str]) -> list[Path]:
    """Where the files of a version go in a directory: each under its name, or a safe one like it (`filenames`). Raises
    Invalid for a name that the contract forbids, which no honest server sends, and for one that a symbolic link that is
    there would lead out."""
    for name in names:
        try:
            check_file_name(name)
        except InvalidName as error:
            raise Invalid(f"the server names a file that cannot be written: {error}") from None
    return safe_targets(directory, names)


def safe_targets(directory: Path, names: Sequence[str]) -> list[Path]:
    """Where files go in a directory: each under its name, made safe, no two under one. Raises Invalid for one that a
    symbolic link that is there would lead out."""
    targets = [directory.joinpath(*made.split("/")) for made in safe_names(names, portable=_PORTABLE)]
    root = directory.resolve()
    for target in targets:
        _check_within(target, directory, root)
    return targets


def target_in(directory: Path, name: str, otherwise: str) -> Path:
    """Where a single file goes in a directory: under the last part of its name, made safe, or of `otherwise` where that
    says nothing."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return directory / last_part(last if last.strip(" .") else otherwise, portable=_PORTABLE)


@contextmanager
def saved(target: Path, within: Path | None = None) -> Iterator[BinaryIO]:
    """A file to write into, which becomes `target` when the block ends well, and otherwise never was. What is there is
    replaced, a symbolic link itself and not what it points at. within: raises Invalid if links lead out of it by now;
    missing folders are made."""
    if within is not None:
        _check_within(target, within, within.resolve())
        target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".runstream-{os.getpid()}-{secrets.token_hex(8)}.part")
    try:
        with _new_file(part) as file:
            yield file
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _new_file(path: Path) -> BinaryIO:
    """A file that was not there. Whoever else may write into the directory has put no link in its place."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW, 0o666), "wb")


def _check_within(target: Path, directory: Path, root: Path) -> None:
    if not target.parent.resolve().is_relative_to(root):
        raise Invalid(f"{str(target)!r} leads out of {directory} through a symbolic link: remove the link")
