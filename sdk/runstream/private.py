"""Files and directories of one user: made for that user alone, and trusted only where nobody else could have made them.

What lies in a spool names servers, holds keys and is sent, so whoever can put a file there decides what leaves this
machine. Every file of it is therefore opened without following links and without waiting, and looked at before it is
read: it has to be a plain file of the right owner and of a sane size.
"""

import contextlib
import fcntl
import os
import stat
from pathlib import Path
from typing import Final

_FLAGS: Final = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_PIECE_BYTES: Final = 1 << 20


class NotPrivate(OSError):
    """Something that another user may have put there, or that is no plain file or directory. The message names it and
    says what to do."""


def make_root(directory: Path) -> None:
    """Make the directory that a user named, and its parents; mode 0700. One that is there is tightened to that if it is
    ours, unless others use it too (/tmp, a home): what is made inside is private by itself. It may be a link. Raises
    NotPrivate if it belongs to another user than us and root; OSError."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        _make(directory)
    check_root(directory)


def make_tight(directory: Path) -> None:
    """Make a server's directory and its parents; mode 0700 for new ones, and for one that is there if it is ours.
    Whoever else it belongs to gave it to this server. A home or / keeps its mode. Raises NotPrivate for a directory
    in which everybody has files, such as /tmp; OSError."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        _make(directory)
    found = directory.stat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(f"{directory} is {_kind(found.st_mode)}, not a directory")
    if found.st_mode & stat.S_ISVTX and any(directory.iterdir()):
        raise NotPrivate(f"{directory} is a directory for everybody's files: give one inside, as {directory}/runstream")
    if not _has_other_uses(directory):
        _tighten(directory, found)


def check_root(directory: Path) -> None:
    """As `make_root` does with a directory that is there. Raises NotPrivate; OSError (FileNotFoundError)."""
    found = directory.stat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotPrivate(f"{directory} is {_kind(found.st_mode)}, not a directory: give another one")
    me = os.geteuid()
    # Root's is accepted: volumes of containers belong to it. What lies in there is looked at by itself.
    if me not in (0, found.st_uid) and found.st_uid != 0:
        raise NotPrivate(
            f"{directory} belongs to user {found.st_uid}, not to {me} who runs this: give a directory of your own"
        )
    if not (found.st_mode & stat.S_ISVTX or _has_other_uses(directory)):
        _tighten(directory, found)


def make_inside(directory: Path) -> None:
    """Make a directory inside of one of ours; mode 0700. Raises NotPrivate, OSError, as `check_inside`."""
    with contextlib.suppress(FileExistsError):
        _make(directory)
    check_inside(directory)


def check_inside(directory: Path) -> None:
    """See that a directory inside of one of ours is no link and belongs to us, and tighten it to 0700. Raises
    NotPrivate; OSError (FileNotFoundError)."""
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotPrivate(f"{directory} is {_kind(found.st_mode)}, not a directory: remove it")
    _check_owner(directory, found.st_uid)
    _tighten(directory, found)


def open_own(path: Path, flags: int = os.O_RDONLY) -> int:
    """A descriptor of a plain file of ours; never waits, follows no link. With O_CREAT a new one has the mode 0600.
    Raises NotPrivate; OSError (FileNotFoundError)."""
    try:
        descriptor = os.open(path, flags | _FLAGS, 0o600)
    except OSError as error:
        try:
            mode = path.lstat().st_mode
        except OSError:
            raise error from None
        if stat.S_ISREG(mode):
            raise
        raise NotPrivate(f"{path} is {_kind(mode)}, not a plain file: remove it") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise NotPrivate(f"{path} is {_kind(found.st_mode)}, not a plain file: remove it")
        _check_owner(path, found.st_uid)
        if found.st_mode & _OTHERS and found.st_uid == os.geteuid():
            with contextlib.suppress(OSError):
                os.fchmod(descriptor, 0o600)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def is_held(descriptor: int) -> bool:
    """Return whether another process holds an exclusive lock of this file, which is closed: a flock, given back at
    once. It is shared, so that two that look at the same time do not take each other for the holder."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def read_own(path: Path, max_bytes: int) -> bytes:
    """The content of a plain file of ours. Raises NotPrivate, also if it is larger; OSError (FileNotFoundError)."""
    descriptor = open_own(path)
    try:
        size = os.fstat(descriptor).st_size
        if size > max_bytes:
            raise NotPrivate(f"{path} has {size} bytes, at most {max_bytes} are read: remove it")
        pieces, left = [], max_bytes
        while left and (piece := os.read(descriptor, min(left, _PIECE_BYTES))):
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)
    finally:
        os.close(descriptor)


def write_own(path: Path, data: bytes) -> None:
    """Write a plain file of ours anew; mode 0600. A reader may see half of it. Raises NotPrivate, OSError."""
    descriptor = open_own(path, os.O_WRONLY | os.O_CREAT)
    with os.fdopen(descriptor, "wb") as file:
        file.truncate(0)
        file.write(data)


def read_trusted(path: Path, max_bytes: int, *, with_directory: bool) -> bytes:
    """The content of a settings file that nobody but us and root can have written; it may be a link. With its
    directory: nobody else can have put it there. Raises NotPrivate, whose message begins with what is wrong and not
    with the path; OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise NotPrivate(f"is {_kind(found.st_mode)}, not a plain file")
        if found.st_size > max_bytes:
            raise NotPrivate(f"has {found.st_size} bytes, at most {max_bytes} are read")
        _check_trusted(found, "")
        _check_trusted(path.lstat(), "")
        if with_directory:
            for directory in {path.parent, path.resolve().parent}:
                _check_trusted(directory.stat(), f"lies in {directory}, which ")
        return os.read(descriptor, max_bytes)
    finally:
        os.close(descriptor)


def _check_trusted(found: os.stat_result, what: str) -> None:
    me = os.geteuid()
    if found.st_uid not in (me, 0):
        raise NotPrivate(f"{what}belongs to {user_name(found.st_uid)}, and {user_name(me)} runs this")
    if stat.S_ISLNK(found.st_mode) or (stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX):
        return  # whose mode means nothing; where nobody can replace what is another's
    if found.st_mode & stat.S_IWOTH:
        raise NotPrivate(f"{what}can be written by every user")
    if found.st_mode & stat.S_IWGRP and not _is_a_group_of_one(found.st_gid, found.st_uid):
        raise NotPrivate(f"{what}can be written by the group {found.st_gid}")


def _is_a_group_of_one(gid: int, uid: int) -> bool:
    """Many systems give each user a group of the user's own, and make files writable by it."""
    import grp
    import pwd

    if gid == 0:
        return True
    try:
        group, user = grp.getgrgid(gid), pwd.getpwuid(uid)
    except KeyError:
        return False
    return group.gr_name == user.pw_name and not set(group.gr_mem) - {user.pw_name}


def user_name(uid: int) -> str:
    """A user, for a message."""
    import pwd

    try:
        return f"user {pwd.getpwuid(uid).pw_name} ({uid})"
    except KeyError:
        return f"user {uid}"


def private_opener(path: str, flags: int) -> int:
    """For `open(..., opener=private_opener)`: a new file has the mode 0600, and no link is followed."""
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _make(directory: Path) -> None:
    directory.mkdir(mode=0o700)
    directory.chmod(0o700)  # a umask may have taken our own rights


def _check_owner(path: Path, uid: int) -> None:
    me = os.geteuid()
    if uid == me or (me == 0 and uid == path.parent.stat().st_uid):
        return
    raise NotPrivate(f"{path} belongs to user {uid}, not to {me} who runs this: give each user a directory of its own")


def _has_other_uses(directory: Path) -> bool:
    """Whether it is the home of this user or above it: its mode matters to more than what we put there."""
    resolved = directory.resolve()
    with contextlib.suppress(RuntimeError, OSError):  # no home
        return Path.home().resolve().is_relative_to(resolved)
    return resolved == resolved.parent


def _tighten(directory: Path, found: os.stat_result) -> None:
    if found.st_mode & _OTHERS and found.st_uid == os.geteuid():
        with contextlib.suppress(OSError):  # file systems without modes
            directory.chmod(0o700)


def _kind(mode: int) -> str:
    kinds = (
        (stat.S_ISLNK, "a symbolic link"),
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
        (stat.S_ISREG, "a plain file"),
    )
    return next((name for test, name in kinds if test(mode)), "something unknown")
