"""Hold unit and property tests to what they say: without a marker they open no store and no socket.

A test that needs the engine says `pytest.mark.store`, one that needs a network socket `pytest.mark.sockets`. What it
starts as a process of its own is not looked at: such a process is of use only to somebody who connects to it.
"""

import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import chdb
import pytest
import urllib3.util.connection  # noqa: F401 (its first import binds a socket, to see whether there is IPv6)

TESTS: Final = Path(__file__).parents[1]
#: Folders whose tests need a marker. The tests of the others start servers: that is what they are for.
GUARDED: Final = (TESTS / "unit", TESTS / "property")
MARKERS: Final = frozenset({"store", "sockets"})
#: A socket of the file system is a pipe between two processes of this machine.
NETWORK: Final = (socket.AF_INET, socket.AF_INET6)

KEY: Final = pytest.StashKey["Guard"]()


class Guard:
    """A plugin of pytest. What a test opened without its marker raises where it happens, in whatever thread, and fails
    the test also where the exception went unseen. Threads that were there before the test are none of its."""

    def __init__(self) -> None:
        self._allowed = MARKERS
        self._opened: list[str] = []
        self._foreign: frozenset[threading.Thread] = frozenset()

    def install(self) -> None:
        """Put the checks in front of sockets and the engine, for the rest of this process."""
        for name in ("bind", "connect", "connect_ex"):
            setattr(socket.socket, name, self._checked(getattr(socket.socket, name)))
        connect: Callable[..., Any] = chdb.connect

        def checked_connect(*arguments: Any, **options: Any) -> Any:
            self._check("store", "opens a store")
            return connect(*arguments, **options)

        chdb.connect = checked_connect

    def take(self) -> list[str]:
        """Return what was opened against the rules since the last call, and forget it."""
        opened, self._opened = self._opened, []
        return opened

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        with self.during(allowed_to(item)):
            return (yield)

    @contextmanager
    def during(self, allowed: frozenset[str]) -> Generator[None, None, None]:
        """Refuse what is not allowed, but to threads that are there already."""
        before = self._allowed, self._foreign
        self._allowed = allowed
        self._foreign = frozenset(threading.enumerate()) - {threading.current_thread()}
        try:
            yield
        finally:
            self._allowed, self._foreign = before

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        try:
            return (yield)
        finally:
            if opened := self.take():
                pytest.fail("\n".join(opened))

    def _checked(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def checked(sock: socket.socket, address: Any) -> Any:
            if sock.family in NETWORK:
                self._check("sockets", f"calls {method.__name__} of a socket with {address!r}")
            return method(sock, address)

        return checked

    def _check(self, marker: str, action: str) -> None:
        if marker in self._allowed or threading.current_thread() in self._foreign:
            return
        self._opened.append(f"the test {action}: mark it with pytest.mark.{marker}, or move it to tests/integration")
        pytest.fail(self._opened[-1])


def allowed_to(item: pytest.Item) -> frozenset[str]:
    """Return the markers, of those that the guard knows, whose acts this test may do."""
    if not any(item.path.is_relative_to(folder) for folder in GUARDED):
        return MARKERS
    return frozenset(marker.name for marker in item.iter_markers()) & MARKERS
