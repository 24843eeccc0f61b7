"""Responses that carry our own marks and still say what cannot be: they cost no record and no file."""

import hashlib
import random
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from kit.hostile.server import HostileServer, response
from kit.sending.channel_bench import OURS, Bench, acknowledged, problem
from kit.sending.spool_maker import SpoolMaker
from runstream.sender.transport import HttpTransport, Response
from runstream.spool.format import Acked
from runstream.spool.reader import SpoolReader

ROWS = 50
#: What a gateway may say that it expects: far ahead, absurd, no numbers.
ABSURD: list[Any] = [
    2,
    7,
    ROWS,
    ROWS + 1,
    ROWS + 2,
    10**6,
    2**53,
    2**62,
    2**63 - 1,
    2**63,
    2**64,
    -1,
    True,
    1.5,
    "9",
    None,
]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def filled(bench: Bench) -> SpoolMaker:
    maker = bench.writer()
    for step in range(ROWS):
        maker.row(["a"], step, [step / 2])
    return maker


def spooled(maker: SpoolMaker) -> int:
    """Up to where the spool has records, from its beginning."""
    reader = SpoolReader(maker.folder)
    first = reader.first()
    assert first is not None
    try:
        return reader.last(first).next_seq
    finally:
        reader.close()


@pytest.mark.parametrize("dead", [False, True])
@pytest.mark.parametrize("number", ABSURD)
def test_a_gap_acknowledges_nothing(bench: Bench, number: Any, dead: bool) -> None:
    """A proxy replays a 409 of ours to another request, or somebody makes one up: it names no receipt."""
    maker = filled(bench)
    if dead:
        maker.die()
    writer = bench.adopt(maker)
    bench.gateway.script = [problem(409, expected={maker.info.writer_id: number}) for _ in range(5)]
    bench.channel.step()
    assert not writer.gone
    assert Acked.read(maker.folder).next_seq == 0
    assert spooled(maker) == ROWS + 1
    bench.run(40.0)
    assert sorted(bench.sent(maker))[: ROWS + 1] == list(range(ROWS + 1))


@pytest.mark.parametrize("dead", [False, True])
@pytest.mark.parametrize("number", ABSURD)
def test_a_response_acknowledges_no_more_than_was_sent(bench: Bench, number: Any, dead: bool) -> None:
    maker = filled(bench)
    if dead:
        maker.die()
    writer = bench.adopt(maker)
    bench.channel._max_parts = 1
    writer._max_seqs = 5
    take, steps = bench.gateway._take, iter(range(100))

    def acknowledges_too_much(body: bytes) -> Response:
        response = take(body)
        more = {"positions": "0:1", "writers": {maker.info.writer_id: number}}
        return acknowledged(body, more) if next(steps) < 3 else response

    bench.gateway._take = acknowledges_too_much  # type: ignore[method-assign]
    bench.run(60.0)
    assert sorted(bench.sent(maker))[: ROWS + 1] == list(range(ROWS + 1)), "every record was sent"


def test_a_refusal_of_a_writer_that_was_not_sent_sets_nothing_aside(bench: Bench) -> None:
    maker = filled(bench)
    bench.adopt(maker)
    bench.gateway.script = [problem(status, writer_id="f" * 32) for status in (413, 422, 400)]
    bench.run(60.0)
    assert not (bench.spool / "rejected").exists()
    assert len(bench.sent(maker)) == ROWS + 1


def test_a_file_that_the_gateway_refuses_stays_beside_its_event(bench: Bench) -> None:
    """The writer's folder goes when it is done, so the copy in it must not be the only one."""
    content = b"weights" * 100
    sha256 = hashlib.sha256(content).hexdigest()
    maker = filled(bench)
    (maker.folder / "assets").mkdir(exist_ok=True)
    (maker.folder / "assets" / sha256).write_bytes(content)
    maker.event(type="asset_logged.v1", at_us=2, sha256=sha256, asset_id="x", name="m", kind="model", size_bytes=700)
    maker.die()
    writer = bench.adopt(maker)
    request = bench.gateway.request

    def too_large(method: str, *arguments: Any, **options: Any) -> Response:
        return problem(413, title="too large") if method == "PUT" else request(method, *arguments, **options)

    bench.gateway.request = too_large  # type: ignore[method-assign]
    for _ in range(20):
        bench.run(5.0)
        bench.uploads.step()
    assert writer.gone
    assert not maker.folder.exists()
    assert (bench.spool / "rejected" / f"{sha256}.asset").read_bytes() == content


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_response_every_record_arrives_in_the_end(bench: Bench, seed: int) -> None:
    """Random responses with our marks, about writers that exist and others; then a gateway as it should be."""
    rng = random.Random(seed)
    makers = [filled(bench) for _ in range(3)]
    for maker in makers:
        if rng.random() < 0.5:
            maker.die()
        bench.adopt(maker)
    ids = [maker.info.writer_id for maker in makers] + ["f" * 32, "", "é"]
    for _ in range(30):
        numbers = {rng.choice(ids): rng.choice(ABSURD) for _ in range(rng.randint(0, 4))}
        status = rng.choice([200, 409, 409, 429, 503, 500, 404, 401, 413, 422])
        if status in (413, 422):
            bench.gateway.script.append(problem(status, writer_id=rng.choice(["f" * 32, "x"])))
        elif status == 200:
            told = acknowledged(b"", {"writers": numbers, "positions": "0:1"})
            bench.gateway.script.append(Response(201, OURS, told.body))
        else:
            wait = rng.choice(["-1", "1e9", "nan", "inf", "Fri, 31 Dec 9999 23:59:59 GMT", "", "x" * 1000])
            bench.gateway.script.append(problem(status, {"retry-after": wait}, expected=numbers))
    while bench.gateway.script:
        bench.run(20.0)
        bench.channel._not_before_s = float("-inf")  # what is waited for is of no interest here
    bench.run(60.0)
    for maker in makers:
        assert sorted(bench.sent(maker))[: ROWS + 1] == list(range(ROWS + 1))
    assert not (bench.spool / "rejected").exists()


def test_what_nobody_requested_is_no_response_to_the_next_request() -> None:
    """Two responses to one request: the second one comes when the first has been read."""
    refusal = response(422, b'{"type":"urn:runstream:problem:x"}', Runstream_Protocol="1")
    sent = threading.Event()
    with HostileServer(lambda _: response(200, b"good")) as server:
        transport = HttpTransport(server.url)
        assert transport.request("POST", "/a", b"x", {}).status == 200
        for connection in list(server._connections):
            connection.sendall(refusal)
            sent.set()
        assert sent.wait(120)
        held = transport._connection._open
        assert held is not None
        assert held.sock is not None
        held.sock.settimeout(120)
        assert held.sock.recv(1, socket.MSG_PEEK), "it arrived"
        assert transport.request("POST", "/b", b"x", {}).status == 200
        assert [request.path for request in server.requests] == ["/a", "/b"]
        transport.close()
