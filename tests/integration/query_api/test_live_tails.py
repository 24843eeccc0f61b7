"""Tails of curves: what a stream tells in place of the end of a curve makes it what a fresh request returns."""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, get_args

import numpy as np
import pytest
from aiohttp import ClientResponse

from kit.query.service import Service
from kit.query.tables import NOW_US, SECOND_US, insert_points, run, summary
from runstream.api import API, ChartCurve
from runstream.events.names import NO_STEP
from runstream.events.positions import Positions
from runstream_query import QuerySettings
from runstream_query.http.context import Context
from runstream_query.http.tails import Followed, TailChanges
from runstream_query.repositories.arguments import TailAxis
from runstream_query.repositories.tails import TailRepository
from runstream_service.access import Scope
from runstream_service.store import QueryClass, QueryLimitExceeded

STARTED_US = NOW_US - 3600 * SECOND_US
AXES = ("step", "time", "relative")
Message = tuple[str, Any, str | None]


@pytest.fixture
def settings() -> QuerySettings:
    return QuerySettings(live_tick_s=0.01, live_heartbeat_s=0.2, live_tail_buckets=60, live_tick_buckets=1000)


async def messages(response: ClientResponse) -> AsyncIterator[Message]:
    """The messages that have data: (event, data, id)."""
    fields: dict[str, str] = {}
    while line := (await asyncio.wait_for(response.content.readline(), 120)).decode():
        name, _, value = line.rstrip("\n").partition(": ")
        if name:
            fields[name] = value
            continue
        if "data" in fields:
            yield fields["event"], json.loads(fields["data"]), fields.get("id")
        fields = {}


@asynccontextmanager
async def stream(service: Service, **body: Any) -> AsyncIterator[AsyncIterator[Message]]:
    async with service.client.post("/api/v1/live", json={"kinds": ["tail"], **body}) as response:
        assert response.status == 200, await response.text()
        yield messages(response)


async def told(stream: AsyncIterator[Message], offset: int) -> list[dict[str, Any]]:
    """The tails that are told up to an offset."""
    tails: list[dict[str, Any]] = []
    async for name, data, identity in stream:
        tails += data["tails"] if name == "tail" else []
        if identity is not None and Positions.parse(identity).covers(Positions.after(0, offset)):
            return tails
    raise EOFError


@dataclass
class Logging:
    """What is logged of some series, and how their summaries stand."""

    service: Service
    offset: int = 1
    steps: dict[tuple[str, str], list[int]] = field(default_factory=dict)

    async def log(self, run_id: str, metric: str, steps: Sequence[int], at_us: Sequence[int], values: Any) -> None:
        """Log points as one record, whose summary follows them."""
        key = (run_id, metric)
        self.offset += 1
        all_steps = self.steps.setdefault(key, [])
        all_steps += steps
        step, at, value = np.array(steps, np.int64), np.array(at_us, np.int64), np.array(values, np.float64)
        await insert_points(
            self.service.store, run_id, metric, step, value, at_us=at, offset=self.offset, summarised=False
        )
        ends = {"count": len(all_steps), "first_step": min(all_steps), "last_step": max(all_steps)}
        ends |= {"offset": self.offset}
        await self.service.insert("summary_states", summary(run_id, metric, **ends))

    def show(self) -> None:
        self.service.advance(self.offset)


@dataclass
class Reader:
    """A reader's curve, which follows what it is told."""

    service: Service
    run: str
    metric: str
    axis: str
    max_points: int
    curve: dict[str, Any] = field(default_factory=dict)
    appended: int = 0
    again: int = 0

    async def read(self) -> None:
        body = {"runs": [self.run], "metrics": [self.metric], "x": self.axis, "max_points": self.max_points}
        (self.curve,) = (await self.service.post("charts", body))["series"]

    @property
    def tail(self) -> dict[str, Any]:
        return {"run": self.run, "metric": self.metric, "x": self.axis, "width": self.curve["width"]}

    async def take(self, tails: Sequence[dict[str, Any]]) -> None:
        for tail in tails:
            if tail["run"] != self.run or tail["metric"] != self.metric or tail["axis"] != self.axis:
                continue
            if tail["earlier"] or tail["too_many"]:
                self.again += 1
                await self.read()
                continue
            self.appended += 1
            kept = sum(1 for place in self.curve["x"] if place < tail["from"])
            for name in ("x", "count", "nan_count", "min", "max", "mean"):
                self.curve[name] = self.curve[name][:kept] + tail[name]
            assert all(place >= tail["from"] for place in tail["x"])
            assert len(tail["flags"]) == len(tail["x"])

    async def check(self) -> None:
        """Hold what it has against all points, in buckets of the same width."""
        mine, width = self.curve, self.curve["width"]
        for max_points in (self.max_points, *(round(2 * 1.3**power) for power in range(36))):
            self.max_points = max_points
            await self.read()
            if self.curve["width"] == width:
                break
        fresh, self.curve = self.curve, mine
        assert fresh["width"] == width, "no fresh request has the width of the curve"
        for name in ("x", "count", "nan_count", "min", "max", "mean"):
            assert mine[name] == fresh[name], name


def history(seed: int, records: int) -> Iterator[tuple[list[int], list[int], list[float]]]:
    """Records of a series: mostly further points, now and then late ones, the same once more, odd values, no steps."""
    random = np.random.default_rng(seed)
    end = 0
    for _ in range(records):
        size = int(random.integers(1, 12))
        begin = end if random.random() < 0.7 else int(random.integers(-300, max(1, end)))
        steps = begin + np.sort(random.integers(0, 40, size))
        end = max(end, int(steps.max()) + 1)
        # Clocks differ: times follow steps roughly.
        at_us = STARTED_US + steps * 50 + random.integers(-3000, 3000, size)
        values = random.normal(size=size)
        for odd in (math.nan, math.inf, -math.inf):
            values[random.random(size) < 0.05] = odd
        if random.random() < 0.1:
            steps[:] = NO_STEP
        yield steps.tolist(), at_us.tolist(), values.tolist()


@pytest.mark.parametrize("seed", range(4))
async def test_a_followed_curve_is_what_a_fresh_request_returns(service: Service, seed: int) -> None:
    """Over random histories of several series, on every axis, with coarse and fine buckets."""
    await service.insert("run_states", run("a"), run("b"))
    logging = Logging(service)
    for name in ("a", "b"):
        for metric in ("loss", "acc"):
            steps = np.arange(0, 1200, 30)
            await logging.log(name, metric, steps.tolist(), (STARTED_US + steps * 50).tolist(), np.sqrt(steps))
    logging.show()
    random = np.random.default_rng(seed)
    readers = [Reader(service, name, "loss", axis, most) for name in "ab" for axis in AXES for most in (3, 500)]
    readers += [Reader(service, "a", "acc", "step", 4)]
    for reader in readers:
        await reader.read()
    histories = {(name, metric): history(seed * 10 + at, 14) for at, (name, metric) in enumerate(logging.steps)}
    widths = {json.dumps(reader.tail): reader for reader in readers}
    assert len(widths) == len(readers)
    async with stream(service, tails=[reader.tail for reader in readers]) as read:
        for _ in range(14):
            for key, records in histories.items():
                if random.random() < 0.6:
                    steps_then, at_us, values = next(records)
                    await logging.log(*key, steps_then, at_us, values)
            logging.show()
            tails = await told(read, logging.offset)
            for reader in readers:
                await reader.take([tail for tail in tails if tail["width"] == reader.curve["width"]])
    for reader in readers:
        await reader.check()
    assert sum(reader.again for reader in readers) < sum(reader.appended for reader in readers) / 5


async def two_curves(service: Service) -> Logging:
    """Points of two runs, at the steps 0 to 9."""
    await service.insert("run_states", run("a"), run("b", workspace="v"))
    logging = Logging(service)
    for name in ("a", "b"):
        await logging.log(name, "loss", list(range(10)), [STARTED_US + step for step in range(10)], np.arange(10.0))
    logging.show()
    return logging


async def more(logging: Logging, name: str, *steps: int) -> None:
    await logging.log(name, "loss", list(steps), [STARTED_US + step for step in steps], np.array(steps, float))


def curve(name: str, **fields: Any) -> dict[str, Any]:
    return {"run": name, "metric": "loss", "width": 4, **fields}


def shown(tails: Sequence[dict[str, Any]]) -> list[tuple[str, int, list[int], list[int]]]:
    return [(tail["run"], tail["from"], tail["x"], tail["count"]) for tail in tails]


async def test_a_tail_begins_at_its_first_new_point(service: Service) -> None:
    logging = await two_curves(service)
    async with stream(service, tails=[curve("a"), curve("b")]) as read:
        await more(logging, "a", 10, 11, 12)
        logging.show()
        (tail,) = await told(read, logging.offset)
        about = {"run": "a", "metric": "loss", "axis": "step", "width": 4, "points": 13}
        lists = {"x": [8, 12], "count": [4, 1], "min": [8, 12], "max": [11, 12], "mean": [9.5, 12], "nan_count": [0, 0]}
        assert tail == {**about, **lists, "from": 8, "earlier": False, "too_many": False, "flags": [0, 0]}
        await more(logging, "b", -2, 5)  # late
        logging.show()
        assert shown(await told(read, logging.offset)) == [("b", -3, [-2, 4, 8], [5, 5, 2])]


async def test_points_in_front_of_what_is_wanted_are_told_by_a_flag(service: Service) -> None:
    logging = await two_curves(service)
    async with stream(service, tails=[curve("a", **{"from": 9})]) as read:
        await more(logging, "a", 10)
        logging.show()
        (tail,) = await told(read, logging.offset)
        assert (tail["from"], tail["x"], tail["earlier"]) == (8, [8], False)
        await more(logging, "a", 3)
        logging.show()
        (tail,) = await told(read, logging.offset)
        assert (tail["from"], tail["x"], tail["points"], tail["earlier"]) == (8, [8], 12, True)


async def test_a_curve_with_too_many_new_buckets_says_so_and_others_are_told(service: Service) -> None:
    logging = await two_curves(service)
    async with stream(service, tails=[curve("a", width=1), curve("b", width=1)]) as read:
        await more(logging, "a", *range(100, 161))
        await more(logging, "b", 10)
        logging.show()
        few, many = sorted(await told(read, logging.offset), key=lambda tail: not tail["x"])
        assert (many["run"], many["from"], many["too_many"], many["points"]) == ("a", 100, True, 71)
        assert (few["run"], few["x"], few["too_many"]) == ("b", [10], False)


async def test_one_look_has_so_many_buckets_and_says_of_which_it_left_out(service: Service) -> None:
    logging = await two_curves(service)
    names = [f"m{number:02}" for number in range(30)]
    for metric in names:
        await logging.log("a", metric, list(range(50)), [STARTED_US] * 50, np.arange(50.0))
    tails = [{"run": "a", "metric": metric, "width": 1} for metric in names]
    logging.show()
    async with stream(service, tails=tails, since="next:0:2") as read:
        found = await told(read, logging.offset)
        assert sorted(tail["metric"] for tail in found) == names
        assert sum(len(tail["x"]) for tail in found) == 1000
        assert all(len(tail["x"]) == (0 if tail["too_many"] else 50) for tail in found)


async def test_subscriptions_change_and_streams_resume_without_a_gap(service: Service) -> None:
    """Each stream goes on where the one before was, whatever curves it follows; of a curve that is new to it the reader
    reads what there is before, and both overlap."""
    logging = await two_curves(service)
    since, step = f"next:0:{logging.offset + 1}", 10
    held: dict[str, list[int]] = {}
    for names in ("a", "ab", "b", "ba", "a"):
        await more(logging, "a", step, step + 1)
        await more(logging, "b", step)
        logging.show()
        held = {name: held.get(name) or await steps_of(service, name) for name in names}
        async with stream(service, tails=[curve(name, width=1) for name in names], since=since) as read:
            await more(logging, "b", step + 1)
            logging.show()
            for tail in await told(read, logging.offset):
                held[tail["run"]] = [place for place in held[tail["run"]] if place < tail["from"]] + tail["x"]
            since = str(Positions.after(0, logging.offset))
        step += 2
        assert held == {name: list(range(step)) for name in names}


async def steps_of(service: Service, name: str) -> list[int]:
    (found,) = (await service.post("charts", {"runs": [name], "metrics": ["loss"]}))["series"]
    steps: list[int] = found["x"]
    return steps


async def test_streams_with_the_same_curves_ask_the_store_once(service: Service) -> None:
    logging = await two_curves(service)
    tails = [curve("a"), curve("b")]

    async def statements(streams: int) -> int:
        opened = [stream(service, tails=tails[:: (-1) ** number]) for number in range(streams)]
        reads = [await one.__aenter__() for one in opened]
        before = len(service.reads.requested)
        for _ in range(3):
            await more(logging, "a", logging.offset + 10)
            logging.show()
            assert all([len(await told(read, logging.offset)) == 1 for read in reads])
        requested = service.reads.requested[before:]
        for one in opened:
            await one.__aexit__(None, None, None)
        return sum("FROM points" in sql for sql in requested)

    assert await statements(6) == await statements(1) == 6


async def test_a_stream_says_the_clock_at_first_and_when_nothing_changes(service: Service) -> None:
    await two_curves(service)
    async with stream(service, tails=[curve("a")], kinds=["run", "tail"]) as read:
        for _ in range(3):
            name, data, identity = await anext(read)
            assert (name, data, identity) == ("clock", {"at": "2026-01-31T12:00:00Z"}, "next:0:4")
        await service.insert("run_states", run("a", name="new", offset=9))
        service.advance(9)
        async for name, data, _ in read:
            if name != "clock":
                assert (name, data["at"], data["runs"][0]["name"]) == ("run", "2026-01-31T12:00:00Z", "new")
                break


async def test_wrong_curves_are_problems(service: Service) -> None:
    for tails, name, told_why in (
        ([{"run": "a", "metric": "loss"}], "tails.0.width", "required"),
        ([curve("a", width=3)], "tails.0.width", "power of two"),
        ([curve("a", width=2**63)], "tails.0.width", "less than or equal"),
        ([curve("a", x="epoch")], "tails.0.x", "step"),
        ([curve("a", **{"from": 2**63})], "tails.0.from", "less than"),
        ([curve("a", low=1)], "tails.0.low", "not permitted"),
        ([curve("a")] * 4001, "tails", "RUNSTREAM_QUERY_LIVE_TAILS"),
        ([curve("a")] * 7001, "tails", "7000"),
    ):
        problem = await service.post("live", {"tails": tails}, 400)
        assert problem["name"] == name
        assert told_why in problem["detail"]
    assert (await service.post("live", {"kinds": []}, 400))["name"] == "kinds"


async def test_curves_of_nothing_and_the_ends_of_every_axis_are_followed(service: Service) -> None:
    """A curve may come in a minute; and no place on an axis breaks the arithmetic."""
    logging = await two_curves(service)
    ends = [-(2**63) + 1, 0, 2**63 - 1]
    widths = (1, 256, 2**40, 2**62)
    tails = [curve("a", width=width, x=axis) for width in widths for axis in AXES]
    tails += [curve("none"), {"run": "a", "metric": "' OR 1 --\\", "width": 1}]
    async with stream(service, tails=tails) as read:
        await logging.log("a", "loss", ends, [0, STARTED_US, 2**52], [1.0, 2.0, 3.0])
        logging.show()
        found = await told(read, logging.offset)
        assert len(found) == len(widths) * len(AXES)
        for tail in found:
            if tail["axis"] == "step":
                assert sum(tail["count"]) == 13
                assert (tail["x"][0], tail["x"][-1] in (0, ends[2])) == (ends[0], True)


async def test_python_follows_curves_as_they_grow(service: Service) -> None:
    """New points, late ones, a curve that gets wider buckets, and a metric that comes later."""
    logging = await two_curves(service)
    api = API(url=str(service.client.make_url("")))
    following = api.series.follow(["a", "b"], "l*", 12)

    async def grown() -> dict[tuple[str, str], ChartCurve]:
        curves = await asyncio.wait_for(asyncio.to_thread(next, following), 120)
        return {(curve.run, curve.metric): curve for curve in curves}

    async def until(reached: Callable[[dict[tuple[str, str], ChartCurve]], bool]) -> None:
        while not reached(shown := await grown()):
            pass
        read = await asyncio.to_thread(api.series.charts, ["a", "b"], "l*", 12)
        fresh = {(curve.run, curve.metric): curve for curve in read}
        for key, curve in shown.items():
            assert list(curve) == list(fresh[key])
            assert (curve.width, curve.total) == (fresh[key].width, fresh[key].total)

    first = await grown()
    assert [list(curve.x) for curve in first.values()] == [list(range(10))] * 2
    await more(logging, "a", 10)
    await more(logging, "b", 3, 10)
    logging.show()
    await until(lambda shown: all(curve.x[-1] == 10 for curve in shown.values()))
    await more(logging, "a", *range(11, 40))
    logging.show()
    await until(lambda shown: shown["a", "loss"].width == 4)
    await logging.log("b", "late", [5], [STARTED_US], [1.0])
    logging.show()
    await until(lambda shown: ("b", "late") in shown)
    following.close()  # type: ignore[attr-defined]


async def test_curves_outside_of_the_scope_are_followed_in_vain(service: Service) -> None:
    """A key that may read workspace w alone is told nothing of a run in v, whether it moved there or was there."""
    logging = await two_curves(service)
    context = context_of(service)
    followed = [Followed(name, "loss", axis, 4) for name in "ab" for axis in get_args(TailAxis)]
    await more(logging, "a", 10)
    await more(logging, "b", 10)
    for workspaces, runs in ((("w",), {"a"}), (("v",), {"b"}), (("v", "w"), {"a", "b"}), ((), set())):
        scoped = context.for_request(QueryClass.LIVE, Scope(frozenset(workspaces)))
        parts = await TailChanges(scoped, followed).behind(Positions({}))
        assert {(tail.run, tail.axis) for part in parts for tail in part} == {
            (run_id, axis) for run_id in runs for axis in get_args(TailAxis)
        }


async def test_a_look_that_is_refused_tells_to_read_again(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    logging = await two_curves(service)

    async def refused(*_: Any) -> Any:
        raise QueryLimitExceeded("it read too much", of=QueryClass.TAIL, limit="rows_read", value=1)

    async with stream(service, tails=[curve("a")]) as read:
        monkeypatch.setattr(TailRepository, "buckets", refused)
        await more(logging, "a", 10)
        logging.show()
        (tail,) = await told(read, logging.offset)
        assert (tail["from"], tail["too_many"], tail["x"], tail["points"]) == (8, True, [], 11)


def context_of(service: Service) -> Context:
    """What the handlers of the service work with."""
    for route in service.client.server.app.router.routes():
        for cell in getattr(route.handler, "__closure__", None) or ():
            if isinstance(cell.cell_contents, Context):
                return cell.cell_contents
    raise AssertionError("no route has a context")
