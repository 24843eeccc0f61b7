"""A server as it is started: packed bodies on each kind of route, and many that want all of it. (About 10 s.)"""

import gzip
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.servers.embedded import Server
from runstream.events.encoding import encode_frame

ZEROS = gzip.compress(b"[" + b"0," * 1_999_990 + b"0]")
STARTED = {"type": "run_started.v1", "workspace": "ran", "project": "p"}
COMMAND = json.dumps({"key": "run-1", "event": STARTED}).encode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("hostile")) as started:
        yield started


def posted(server: Server, path: str, body: bytes, coding: str | None = None) -> tuple[int, Any]:
    headers = {"Content-Type": "application/json"} | ({"Content-Encoding": coding} if coding else {})
    request = urllib.request.Request(server.url + path, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        kind = error.headers["Content-Type"]
        return error.code, json.loads(error.read()) if kind.startswith("application/problem+json") else {"detail": ""}


ROUTES = {
    "/ingest/v1/commands": COMMAND,
    "/api/v1/runs/query": b'{"limit": 1}',
    "/api/rest/v2/write/project/create": b'{"workspaceName": "w", "projectName": "p"}',
}


@pytest.mark.parametrize("path", ROUTES)
def test_every_kind_of_route_unpacks_what_it_knows_and_names_what_it_does_not(server: Server, path: str) -> None:
    packed = gzip.compress(ROUTES[path])
    assert posted(server, path, packed, "gzip")[0] in (200, 202)
    for body, coding, status in [
        (packed, "br", 415),
        (packed, "gzip, gzip", 415),
        (packed[:-3], "gzip", 400),
        (packed + b"x", "gzip", 400),
        (b"x", "deflate", 400),
    ]:
        answered, problem = posted(server, path, body, coding)
        assert (answered, bool(problem["detail"])) == (status, True), problem
    assert posted(server, path, gzip.compress(bytes(100_000_000), 1), "gzip")[0] in (400, 413)


def test_who_sends_what_costs_most_keeps_nobody_from_logging(server: Server) -> None:
    """Frames are taken in all the while, and every request ends."""
    stop, statuses = threading.Event(), set[int]()

    def attack() -> None:
        while not stop.is_set():
            statuses.add(posted(server, "/ingest/v1/commands", ZEROS, "gzip")[0])

    attackers = [threading.Thread(target=attack) for _ in range(4)]
    for attacker in attackers:
        attacker.start()
    try:
        for seq in range(50):
            notes = b'[[%d,{"type":"run_notes_set.v1","at_us":1,"notes":"n"}]]' % seq
            body = encode_frame("a1" * 16, "run-1", seq, seq + 1, notes)
            assert posted(server, "/ingest/v1/frames", body)[0] == 200
    finally:
        stop.set()
        for attacker in attackers:
            attacker.join()
    assert statuses <= {413, 429}


def test_what_an_earlier_server_left_of_an_upload_is_gone(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        incoming = next(path for path in tmp_path.rglob("incoming"))
        (incoming / "left-over").write_bytes(b"half")
        server.kill()
        server.start()
        assert list(incoming.iterdir()) == []
