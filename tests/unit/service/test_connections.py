"""The bounds of connections, without sockets."""

import itertools

import pytest

from runstream_service.connection_settings import ConnectionSettings, connection_bound
from runstream_service.connections import Address, Connections


class Fake:
    """A connection that waits until `busy` says otherwise."""

    since_s = 0.0
    head_bytes = 0
    address: Address
    is_gone = False

    def __init__(self, *, busy: bool = False, new: bool = False) -> None:
        self.busy, self.new = busy, new
        self.ending = False
        self.unsent = 0
        self.paused = False
        self.reads_body = True
        self.ended: list[str] = []

    def is_waiting(self) -> bool:
        return not self.busy

    def is_new(self) -> bool:
        return self.new

    def is_ending(self) -> bool:
        return self.ending

    def unsent_bytes(self) -> int:
        return self.unsent

    def is_reading_paused(self) -> bool:
        return self.paused

    def end(self) -> None:
        self.ended.append("end")

    def abort(self) -> None:
        self.ended.append("abort")

    def refuse_body(self) -> bool:
        self.ended.append("refuse")
        return self.reads_body


def added(connections: Connections, host: str, *fakes: Fake) -> None:
    for fake in fakes:
        address = connections.admit(host)
        assert address is not None
        connections.add(fake, address)


@pytest.mark.parametrize(
    ("files", "each", "bound"),
    [(1_048_576, 1, 16_384), (20_000, 1, 16_384), (16_384, 1, 15_360), (1_024, 1, 512), (20_000, 2, 9_488), (1, 1, 1)],
)
def test_the_file_limit_bounds_connections(files: int, each: int, bound: int) -> None:
    assert connection_bound(ConnectionSettings(), files, each) == bound


def test_fifteen_thousand_of_three_a_node_fit_where_the_file_limit_allows_them() -> None:
    connections = Connections(ConnectionSettings(), connection_bound(ConnectionSettings(), 20_000))
    for node, _ in itertools.product(range(5_000), range(3)):
        added(connections, f"10.0.{node >> 8}.{node & 255}", Fake())
    assert sum(connections.counts().values()) == 15_000
    assert connections.closed.total() == 0


def test_new_ones_go_first_and_then_the_longest_idle() -> None:
    connections = Connections(ConnectionSettings(max_address_percent=100), 3)
    old, young, new = Fake(), Fake(), Fake(new=True)
    added(connections, "a", old)
    connections.now_s = 1
    added(connections, "a", young, new)
    added(connections, "b", Fake(busy=True))
    assert (old.ended, young.ended, new.ended) == ([], [], ["end"])
    added(connections, "b", Fake(busy=True))
    assert (old.ended, young.ended) == (["end"], [])


def test_where_all_are_busy_a_new_one_is_refused_and_the_others_stay() -> None:
    connections = Connections(ConnectionSettings(max_address_percent=100), 2)
    busy = [Fake(busy=True), Fake(busy=True)]
    added(connections, "a", *busy)
    assert connections.admit("b") is None
    assert [fake.ended for fake in busy] == [[], []]
    assert connections.closed["full"] == 1


def test_networks_of_ipv6_count_as_one_address() -> None:
    connections = Connections(ConnectionSettings(max_address_percent=50), 10)
    added(connections, "2001:db8:1:2::1", *(Fake(busy=True) for _ in range(3)))
    added(connections, "2001:db8:1:2:ffff::9%eth0", *(Fake(busy=True) for _ in range(2)))
    assert connections.admit("2001:db8:1:2::77") is None
    assert connections.admit("2001:db8:1:3::77") is not None
    assert connections.admit("::ffff:10.0.0.1") is not None


def test_a_busy_connection_is_not_idle_for_the_time_of_its_request() -> None:
    connections = Connections(ConnectionSettings(idle_s=10), 10)
    fake = Fake(busy=True)
    added(connections, "a", fake)
    for _ in range(100):
        connections.advance(1)
    fake.busy = False
    for _ in range(9):
        connections.advance(1)
    assert fake.ended == []
    connections.advance(2)
    assert fake.ended == ["end"]


def test_one_that_is_closed_and_does_not_take_the_rest_is_aborted() -> None:
    connections = Connections(ConnectionSettings(reader_silence_s=10), 10)
    fake = Fake(busy=True)
    added(connections, "a", fake)
    fake.ending, fake.unsent = True, 5
    connections.advance(9)
    assert fake.ended == []
    connections.advance(2)
    assert fake.ended == ["abort"]


def test_a_body_is_given_up_only_while_the_server_reads_it() -> None:
    connections = Connections(ConnectionSettings(body_window_s=10, min_body_bytes_per_s=100), 10)
    fake = Fake(busy=True)
    added(connections, "a", fake)
    connections.body_grew(fake, 5)
    fake.paused = True
    for _ in range(100):
        connections.advance(1)
    assert fake.ended == []
    fake.paused = False
    for _ in range(5):
        connections.body_grew(fake, 1_000)
        for _ in range(10):
            connections.advance(1)
    assert fake.ended == []
    for _ in range(10):
        connections.advance(1)
    assert fake.ended == ["refuse"]
    for _ in range(10):
        connections.advance(1)
    assert fake.ended == ["refuse", "abort"]


def test_incomplete_headers_are_bounded_one_by_one_and_together() -> None:
    connections = Connections(ConnectionSettings(max_head_bytes=10_000, max_heads_bytes=50_000), 100)
    fakes = [Fake(new=True) for _ in range(10)]
    added(connections, "a", *fakes)
    assert not connections.head_grew(fakes[0], 10_001)
    connections.head_ended(fakes[0])
    for size, fake in enumerate(fakes):
        assert connections.head_grew(fake, 5_000 + 100 * size)
    cut = [fake.ended for fake in fakes]
    assert cut == [[]] * 8 + [["abort"]] * 2
    for fake in fakes:
        connections.remove(fake)
    assert connections._heads_bytes == 0
    assert sum(connections.counts().values()) == 0
    assert connections._addresses == {}


def test_without_files_the_bound_is_lowered_for_a_while() -> None:
    connections = Connections(ConnectionSettings(), 1_000)
    added(connections, "a", *(Fake() for _ in range(160)))
    connections.out_of_files()
    assert connections.bound == 150
    assert sum(connections.counts().values()) < 150
    for _ in range(61):
        connections.advance(1)
    assert connections.bound == 1_000
