"""Taking rights away from this process for good, on Linux: files, network, and other processes (Landlock, since 5.13).

What is left: reading where programs and libraries are, its own folder, connections to some TCP ports. What the kernel
does not know yet (`Confinement`) stays open. Sockets in the file system, UDP, and what open descriptors reach are not
covered by any version.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
_PR_SET_NO_NEW_PRIVS: Final = 38
_CAPABILITIES_VERSION: Final = 0x20080522
_VERSION_FLAG: Final = 1
_PATH_RULE: Final = 1
_PORT_RULE: Final = 2
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 1 << 1, 1 << 2, 1 << 3
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_READ: Final = _EXECUTE | _READ_FILE | _READ_DIR
#: What a rule about a file may have.
_OF_FILES: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_BIND_TCP, _CONNECT_TCP = 1, 2
_SCOPE_ABSTRACT_SOCKETS, _SCOPE_SIGNALS = 1, 2
#: Where programs, libraries and what they are configured by are.
_SYSTEM: Final = (
    *("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/etc", "/opt", "/sys", "/proc", "/nix/store"),
    *("/var/cache/fontconfig", "/run/systemd/resolve"),
)
_DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


@dataclass(frozen=True, slots=True)
class Confinement:
    """What was taken away. `version`: the kernel's of Landlock; 0: it has none, and nothing was."""

    version: int

    @property
    def files(self) -> bool:
        return self.version >= 1

    @property
    def ports(self) -> bool:
        return self.version >= 4

    @property
    def signals(self) -> bool:
        return self.version >= 6


def landlock_version() -> int:
    """Return the version of Landlock that the kernel has; 0 for none."""
    if not sys.platform.startswith("linux"):
        return 0
    found = _libc().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION_FLAG))
    return max(int(found), 0)


def confine(own: Path, readable: Iterable[str], ports: Sequence[int]) -> Confinement:
    """Leave this thread, and what it starts from now on, reading of `readable` and of the system's programs, everything
    in `own`, and connections to these TCP ports. Call it before other threads run. Raises OSError."""
    version = landlock_version()
    if version == 0:
        return Confinement(0)
    files = _handled(version)
    net = _BIND_TCP | _CONNECT_TCP if version >= 4 else 0
    scoped = _SCOPE_ABSTRACT_SOCKETS | _SCOPE_SIGNALS if version >= 6 else 0
    attributes = struct.pack("=QQQ", files, net, scoped)[: 24 if version >= 6 else 16 if version >= 4 else 8]
    ruleset = _call(_CREATE_RULESET, attributes, len(attributes), 0)
    try:
        for path in (*_SYSTEM, *readable):
            _allow(ruleset, path, _READ & files)
        for path in _DEVICES:
            _allow(ruleset, path, (_READ_FILE | _WRITE_FILE) & files)
        _allow(ruleset, str(own), files)
        for port in ports if net else ():
            rule = struct.pack("=QQ", _CONNECT_TCP, port)
            _call(_ADD_RULE, ruleset, _PORT_RULE, rule, 0)
        if _libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "no_new_privs")
        _drop_capabilities()
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return Confinement(version)


def _drop_capabilities() -> None:
    """Of root: with them it reads the memory of processes (CAP_PERFMON) and files of others whatever Landlock says."""
    header = struct.pack("=Ii", _CAPABILITIES_VERSION, 0)
    if _libc().capset(ctypes.c_char_p(header), ctypes.c_char_p(bytes(24))) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def _handled(version: int) -> int:
    """The rights about files that this version knows."""
    known = _REFER - 1
    for since, right in ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEV)):
        if version >= since:
            known |= right
    return known


def _allow(ruleset: int, path: str, rights: int) -> None:
    """What is not there needs no rule."""
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        rights &= -1 if os.path.isdir(path) else _OF_FILES
        _call(_ADD_RULE, ruleset, _PATH_RULE, struct.pack("=Qi", rights, opened), 0)
    finally:
        os.close(opened)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(number: int, *given: int | bytes) -> int:
    arguments = (ctypes.c_char_p(one) if isinstance(one, bytes) else ctypes.c_long(one) for one in given)
    found = int(_libc().syscall(number, *arguments))
    if found < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"landlock: {errno.errorcode.get(code, code)}")
    return found
