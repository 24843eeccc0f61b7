"""The harness finds what is planted, and its cases are the same on every machine."""

import asyncio
import itertools
import random
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from fuzzing import cases, framed, values
from fuzzing.attacking import SERVED, Attack, Served
from fuzzing.cases import Case, Fault, case_of, measured
from fuzzing.pool import Outcome, Stretch, in_child, run_stretch, target_named
from fuzzing.requests import Reply, Request, check_reply
from fuzzing.shared import SHARED
from fuzzing.shrinking import smallest
from fuzzing.targets import PURE
from runstream.events.frame import InvalidFrame, decode_frame

PLANTED = "fuzzing.planted_targets"


@pytest.fixture(scope="module")
def planted() -> Outcome:
    """Of every target with a planted fault as many cases as it takes, in one child (and one more, behind its death)."""
    stretches = [Stretch(name, 1, 0, 300) for name in ("_raises", "_takes_memory", "_accepts_wrong")]
    return in_child([*stretches, Stretch("_dies", 1, *_around_death())], PLANTED)


def _around_death() -> tuple[int, int]:
    target = target_named("_dies", PLANTED)
    first = next(number for number in range(5000) if case_of(target, 1, number).data[:1] == b"\x07")
    return max(first - 3, 0), first + 3


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("_raises", "IndexError"),
        ("_takes_memory", "memory"),
        ("_dies", "process ended with -6"),
        ("_accepts_wrong", "a wrong value"),
    ],
)
def test_a_planted_fault_is_found(name: str, kind: str, planted: Outcome) -> None:
    assert [found for target, found in planted.counts if target == name and found.startswith(kind)], planted.counts
    found = next(one for one in planted.findings if one.case.target == name)
    assert found.case.data == case_of(target_named(name, PLANTED), 1, found.case.number).data


def test_a_case_without_an_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    target = target_named("_never_ends", PLANTED)
    found = cases.attempt
    with pytest.raises(cases.Endless), cases.bounded_time(0.05):
        target.run(b"\x07")
    assert found(target, Case(target.name, 1, 1, b"")) is None


def test_a_slow_case_is_found_by_the_processor_time_of_a_reference() -> None:
    target = target_named("_is_slow", PLANTED)
    slowest_s = cases.reference_s() * 20
    found = measured(target, Case(target.name, 1, 1, b"\x07"), slowest_s)
    assert found is not None
    assert found.kind == "slow"
    assert measured(target, Case(target.name, 1, 1, b"\x08"), slowest_s) is None


@pytest.mark.parametrize("target", [*PURE, *SERVED], ids=lambda target: target.name)
def test_a_case_is_a_function_of_seed_target_and_number(target: cases.Target) -> None:
    first = [case_of(target, 3, number).data for number in range(15)]
    assert first == [case_of(target, 3, number).data for number in reversed(range(15))][::-1]
    assert first != [case_of(target, 4, number).data for number in range(15)]


def test_damage_reaches_the_decoder() -> None:
    """Most changed frames pass the checksum, and a good part of them decodes."""
    rng = random.Random(1)
    passed = decoded = 0
    for _ in range(400):
        frame = framed.a_frame(rng, "run-1", bytes(16), 0)
        framed.change(rng, frame)
        try:
            decode_frame(frame.encoded())
            decoded += 1
            passed += 1
        except InvalidFrame as error:
            passed += "checksum" not in str(error)
    assert passed > 380
    assert 60 < decoded < 380


def test_frames_before_a_change_are_valid() -> None:
    rng = random.Random(2)
    for _ in range(100):
        decode_frame(framed.a_frame(rng, "run-1", bytes(16), 5).encoded())


def test_the_smallest_input_is_found() -> None:
    data = bytes(range(200))
    assert smallest(data, lambda one: 7 in one and 90 in one) == bytes([7, 90])


def test_looking_for_the_smallest_input_ends_in_time() -> None:
    tries = itertools.count()
    found = smallest(bytes(200), lambda one: True, longest_s=3.5, clock=lambda: float(next(tries)))
    assert 0 < len(found) < 200
    assert next(tries) < 10


def test_json_that_is_not_changed_is_json() -> None:
    assert values.written({"a": [1, True, None, "\ud800"]}) == '{"a":[1,true,null,"\\ud800"]}'


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(500, {"content-type": "application/problem+json"}, b'{"status":500}'), "status 500 of POST /a"),
        (Reply(400, {"content-type": "text/plain"}, b"no"), "status 400 without a problem"),
        (Reply(400, {"content-type": "application/problem+json"}, b"no"), "a problem that is no JSON"),
        (
            Reply(429, {"content-type": "application/problem+json"}, b'{"status":429,"title":"t","type":"u"}'),
            "429 without Retry-After",
        ),
    ],
)
def test_a_response_that_may_not_be_is_a_fault(reply: Reply, kind: str) -> None:
    with pytest.raises(Fault) as caught:
        check_reply(Request("POST", "/a"), reply)
    assert caught.value.kind == kind


class StubServed(Served):
    """Stands for a process that nothing is wrong with."""

    def __init__(self, directory: Path, port: int) -> None:
        super().__init__(directory)
        self.port = port

    alive = True

    def begin(self) -> int:
        return 0

    def peak_bytes(self) -> int:
        return 0

    def new_tracebacks(self) -> str | None:
        return None


async def test_a_planted_500_is_found_among_other_requests(tmp_path: Path) -> None:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(status=500 if b"\x07" in await request.read() else 200)

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", handle)
    async with TestServer(app) as server:
        assert server.port is not None
        attack = Attack(StubServed(tmp_path, server.port))
        attack.connect()
        bodies = [bytes([number]) for number in range(20)]
        await attack.window(
            [Case("x", 1, n, Request("POST", "/a", [], body).packed()) for n, body in enumerate(bodies)]
        )
        for connection in attack.connections:
            await connection.close()
    assert [(found.case.number, found.kind) for found in attack.findings] == [(7, "status 500 of POST /a")]
    assert attack.statuses == {200: 19, 500: 1}


def test_a_stall_of_the_loop_is_measured(tmp_path: Path) -> None:
    stalls = tmp_path / "stalls"
    stalls.write_bytes(bytes(SHARED.size))
    program = (
        "import asyncio, sys, time\n"
        "from fuzzing.server_child import watch\n"
        "watch(sys.argv[1])\n"
        "def busy():\n"
        "    end = time.thread_time() + 0.05\n"
        "    while time.thread_time() < end: pass\n"
        "async def main():\n"
        "    asyncio.get_running_loop().call_soon(busy)\n"
        "    await asyncio.sleep(0)\n"
        "asyncio.run(main())\n"
    )
    environment = {"PYTHONPATH": ":".join(filter(None, sys.path)), "PATH": "/usr/bin:/bin"}
    subprocess.run([sys.executable, "-c", program, str(stalls)], check=True, env=environment)
    longest, reference, _ = SHARED.unpack(stalls.read_bytes())
    assert longest >= 50_000_000
    assert reference > 0


def test_run_stretch_is_told_where_it_is() -> None:
    target = target_named("_accepts_wrong", PLANTED)
    seen: list[int] = []
    list(run_stretch(target, Stretch(target.name, 1, 5, 9), seen.append))
    assert seen[:4] == [5, 6, 7, 8]


async def test_a_request_is_the_same_after_packing() -> None:
    request = Request("POST", "/a?b=%ff", [("X", "é"), ("Fuzz-Chunked", "3")], b"abc\n\ndef")
    assert Request.unpacked(request.packed()) == request
    assert b"Transfer-Encoding: chunked" in request.wire("h")
    await asyncio.sleep(0)
