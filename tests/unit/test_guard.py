"""The guard (`kit.guard`) bites: without a marker a unit test opens neither a store nor a network socket."""

import socket
import threading
from pathlib import Path

import pytest

from kit.guard import KEY, Guard, allowed_to
from runstream_processors.store.chdb import ChdbStore


@pytest.fixture
def guard(request: pytest.FixtureRequest) -> Guard:
    return request.config.stash[KEY]


@pytest.mark.parametrize("method", ["bind", "connect", "connect_ex"])
def test_a_socket_of_the_network_is_refused(guard: Guard, method: str) -> None:
    with socket.socket() as sock, pytest.raises(pytest.fail.Exception, match=r"pytest\.mark\.sockets"):
        getattr(sock, method)(("127.0.0.1", 9))
    assert len(guard.take()) == 1, "else it would fail this test"


def test_what_a_thread_swallows_is_known_at_the_end(guard: Guard) -> None:
    def connect() -> None:
        with socket.socket() as sock, pytest.raises(pytest.fail.Exception):
            sock.connect(("127.0.0.1", 9))

    thread = threading.Thread(target=connect)
    thread.start()
    thread.join()
    [opened] = guard.take()
    assert "('127.0.0.1', 9)" in opened


def test_a_thread_of_an_earlier_test_is_not_held_against_this_one(guard: Guard) -> None:
    go = threading.Event()

    def connect() -> None:
        go.wait(60)
        with socket.socket() as sock:
            sock.connect_ex(("127.0.0.1", 9))

    thread = threading.Thread(target=connect)
    thread.start()
    with guard.during(frozenset()):
        go.set()
        thread.join()
    assert guard.take() == []


async def test_a_store_is_refused(guard: Guard, tmp_path: Path) -> None:
    with pytest.raises(pytest.fail.Exception, match=r"opens a store: mark it with pytest\.mark\.store"):
        await ChdbStore.open(tmp_path / "store")
    assert len(guard.take()) == 1, "else it would fail this test"


@pytest.mark.sockets
def test_a_marker_allows_what_it_says(request: pytest.FixtureRequest) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
    assert allowed_to(request.node) == {"sockets"}


def test_pipes_of_this_machine_are_open_to_all(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "pipe"))
