"""Leases of runs, over a whole server: who gets them, who is refused, and what becomes of the runs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from kit.stores import place_tables
from runstream_infra.embedded import Parts, application, open_parts
from runstream_infra.limits import Limits
from runstream_infra.settings import ServerSettings
from runstream_ingest.gateway.settings import GatewaySettings
from runstream_protocols.ubiops.agents import leasing
from runstream_query.settings import QuerySettings
from runstream_service.auth import ApiKeys

#: So soon an agent counts as lost where a test waits for that. Elsewhere the machine may be as slow as it likes.
SILENCE_S: Final = 0.5
#: What each request waits for that cannot be read, as long as nothing is folded.
UNREADABLE_S: Final = 4.0
EXPERIMENTS: Final = "/ubiops/v2/projects/p/deployments/training-base-deployment/versions"
LEASES: Final = "/agents/v1/projects/p/leases"
CODE: Final = "ubiops-file://default/code/train.py"
SECRET: Final = "hunter2-of-the-agent"


@dataclass
class Server:
    client: TestClient[Any, Any]
    parts: Parts
    stop: asyncio.Event
    folding: "asyncio.Task[object]"

    def resume(self) -> None:
        """Have what is appended folded."""
        self.stop = asyncio.Event()
        self.folding = asyncio.create_task(self.parts.worker.run(self.stop))

    async def pause(self) -> None:
        """Fold nothing."""
        self.stop.set()
        await self.folding

    async def send(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        async with self.client.request(method, path, json=body) as response:
            return response.status, await response.json(content_type=None)

    async def done(self, method: str, path: str, body: Any = None) -> Any:
        status, told = await self.send(method, path, body)
        assert status == 200, told
        return told

    async def created(self, **request: Any) -> str:
        """The id of a new run."""
        run = {"name": "r", "training_code": CODE, **request}
        [made] = await self.done("POST", f"{EXPERIMENTS}/e/requests/batch", [run])
        return str(made["id"])

    async def shown(self, run: str) -> Any:
        return await self.done("GET", f"{EXPERIMENTS}/e/requests/{run}")

    async def acquire(self, agent: str = "a", ttl_s: int = 60) -> dict[str, Any] | None:
        told = await self.done("POST", LEASES, {"agent": agent, "host": f"host-of-{agent}", "ttl_s": ttl_s})
        granted: dict[str, Any] | None = told["granted"]
        return granted

    async def acquired(self, agent: str = "a", ttl_s: int = 60) -> dict[str, Any]:
        granted = await self.acquire(agent, ttl_s)
        assert granted is not None
        return granted

    async def tell(self, granted: dict[str, Any], what: str, **further: Any) -> tuple[int, Any]:
        held = {"lease": granted["lease"], "token": granted["token"]}
        return await self.send("POST", f"{LEASES}/{granted['run']}/{what}", held | further)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with serving(tmp_path, Limits(gateway=GatewaySettings(visible_timeout_s=60.0))) as server:
        yield server


@pytest.fixture
async def impatient(tmp_path: Path) -> AsyncIterator[Server]:
    """A server for which agents are lost after `SILENCE_S`."""
    gateway = GatewaySettings(visible_timeout_s=UNREADABLE_S)
    async with serving(tmp_path, Limits(query=QuerySettings(silence_s=SILENCE_S), gateway=gateway)) as server:
        yield server


@asynccontextmanager
async def serving(data: Path, limits: Limits) -> AsyncIterator[Server]:
    settings = ServerSettings(data_dir=data, limits=limits)
    place_tables(settings.data_dir)
    async with (
        open_parts(settings) as parts,
        TestClient(TestServer(application(settings, ApiKeys(()), parts), host="127.0.0.1")) as client,
    ):
        stop = asyncio.Event()
        server = Server(client, parts, stop, asyncio.create_task(parts.worker.run(stop)))
        experiment = {"version": "e", "environment": "python3-11", "instance_type": "512mb"}
        await server.done("POST", EXPERIMENTS, experiment)
        url = (await server.done("POST", "/ubiops/v2/projects/p/buckets/default/files/code%2Ftrain.py"))["url"]
        async with client.put(below(url), data=b"def train(*_): pass\n") as response:
            assert response.status == 200
        yield server
        await server.pause()


def below(url: str) -> URL:
    """What stands behind the address of the server."""
    return URL(url).relative()


async def until(found: Callable[[], Awaitable[Any]], wait_s: float = 60.0) -> Any:
    """What is found at last."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + wait_s
    while not (value := await found()):
        assert loop.time() < until_s, "it did not come"
        await asyncio.sleep(0.1)
    return value


async def test_a_run_is_leased_started_and_ended(server: Server) -> None:
    first, second = await server.created(parameters={"lr": 0.1}), await server.created()
    granted = await server.acquired()
    assert granted["run"] == first, "the oldest first"
    assert {
        name: granted[name] for name in ("experiment", "python", "memory_mb", "timeout_s", "parameters", "code")
    } == {
        "experiment": "e",
        "python": "3.11",
        "memory_mb": 512,
        "timeout_s": 14_400,
        "parameters": {"lr": 0.1},
        "code": "train.py",
    }
    assert (await server.acquired("b"))["run"] == second
    assert await server.acquire("c") is None
    assert (await server.shown(first))["status"] == "pending"
    assert await server.tell(granted, "start") == (200, {"state": "started", "cancelled": False})
    shown = await server.shown(first)
    assert (shown["status"], bool(shown["time_started"])) == ("processing", True)
    result = {"metrics": {"accuracy": 0.5, "name": "x"}, "metadata": {"k": [1]}, "artifact": "model.bin"}
    assert await server.tell(granted, "end", status="finished", result=result) == (200, {"status": "finished"})
    shown = await server.shown(first)
    assert (shown["status"], shown["success"], shown["error_message"]) == ("completed", True, None)
    assert shown["result"] == {
        "artifact": f"ubiops-file://default/{first}/model.bin",
        "metadata": {"k": [1]},
        "metrics": {"accuracy": 0.5, "name": "x"},
        "additional_output_files": [],
    }
    run = await server.done("GET", f"/api/v1/runs/{first}")
    assert (run["run"]["status"], run["run"]["host"]) == ("finished", "host-of-a")
    status, told = await server.tell(granted, "end", status="failed")
    assert (status, "has ended" in told["detail"]) == (409, True), "its lease is gone"


async def test_a_lease_that_is_not_renewed_passes_on_and_the_first_holder_is_refused(server: Server) -> None:
    run = await server.created()
    first = await server.acquired("a", ttl_s=2)
    assert await server.acquire("b") is None
    second = await until(lambda: server.acquire("b"))
    assert (second["run"], second["token"]) == (run, first["token"] + 1)
    for what in ("renew", "start", "release", "file", "variables", "end"):
        further = {"file": {"read": "code"}, "end": {"status": "finished"}}.get(what, {})
        status, told = await server.tell(first, what, **further)
        assert (what, status, "another agent has it" in told["detail"]) == (what, 409, True)
    assert (await server.tell(second, "start"))[0] == 200
    assert (await server.tell(second, "release"))[0] == 409
    assert await server.acquire("c") is None, "what was started is nobody else's"


async def test_a_renewed_lease_stays_and_costs_no_event_while_half_of_it_is_left(server: Server) -> None:
    await server.created()
    granted = await server.acquired("a", ttl_s=4)
    before = sum((await server.parts.log.next_offsets()).values())
    for _ in range(5):
        assert await server.tell(granted, "renew") == (200, {"state": "leased", "cancelled": False})
    assert sum((await server.parts.log.next_offsets()).values()) == before
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    while loop.time() - began_s < 5.0:
        assert await server.acquire("b") is None
        assert (await server.tell(granted, "renew"))[0] == 200
        await asyncio.sleep(0.2)
    assert sum((await server.parts.log.next_offsets()).values()) - before <= 4, "an event in two seconds"


async def test_a_released_run_is_leased_again_at_once(server: Server) -> None:
    run = await server.created()
    granted = await server.acquired()
    assert (await server.tell(granted, "release"))[0] == 200
    again = await server.acquired("b")
    assert (again["run"], again["token"]) == (run, 2)


async def test_of_many_agents_one_gets_a_run(server: Server) -> None:
    runs = {await server.created() for _ in range(4)}
    got = await asyncio.gather(*(server.acquire(f"agent-{number}") for number in range(12)))
    leased = [one["run"] for one in got if one]
    leased += [one["run"] for one in [await server.acquire("late") for _ in range(4)] if one]
    assert sorted(leased) == sorted(runs)


async def test_a_cancelled_run_is_not_started(server: Server) -> None:
    pending, leased = await server.created(), await server.created()
    for run in (pending, leased):
        if run == leased:
            granted = await server.acquired()
            assert granted["run"] == leased
        await server.done("PATCH", f"{EXPERIMENTS}/e/requests/{run}", {"status": "cancelled"})
        assert (await server.shown(run))["status"] == "cancelled"
    status, _ = await server.tell(granted, "start")
    assert status == 409
    assert await server.acquire("b") is None
    assert (await server.shown(leased))["status"] == "cancelled"


async def test_a_run_that_is_executed_is_cancelled_whatever_its_agent_reports(server: Server) -> None:
    run = await server.created()
    granted = await server.acquired()
    await server.tell(granted, "start")
    await server.done("PATCH", f"{EXPERIMENTS}/e/requests/{run}", {"status": "cancelled"})
    assert await server.tell(granted, "renew") == (200, {"state": "started", "cancelled": True})
    assert (await server.tell(granted, "variables"))[0] == 409, "nothing is begun with its secrets any more"
    assert await server.tell(granted, "end", status="finished", result={}) == (200, {"status": "killed"})
    shown = await server.shown(run)
    assert (shown["status"], shown["result"]) == ("cancelled", None)


async def test_a_deleted_run_is_to_be_ended(server: Server) -> None:
    run = await server.created()
    granted = await server.acquired()
    await server.tell(granted, "start")
    await server.done("DELETE", f"{EXPERIMENTS}/e/requests/{run}")
    assert await server.tell(granted, "renew") == (200, {"state": "started", "cancelled": True})
    other = await server.created()
    leased = await server.acquired()
    await server.done("DELETE", f"{EXPERIMENTS}/e/requests/{other}")
    assert (await server.tell(leased, "start"))[0] == 409


async def test_a_run_whose_agent_was_lost_has_failed_and_is_not_executed_again(impatient: Server) -> None:
    run = await impatient.created()
    granted = await impatient.acquired()
    await impatient.tell(granted, "start")

    async def failed() -> Any:
        assert await impatient.acquire("b") is None
        shown = await impatient.shown(run)
        return shown if shown["error_message"] else None

    shown = await until(failed)
    assert shown["status"] == "failed"
    assert "the agent a on host-of-a, which executed the run, was lost" in shown["error_message"]
    status, _ = await impatient.tell(granted, "end", status="finished", result={"metrics": {"x": 1}})
    assert status == 409, "it comes back too late"
    assert (await impatient.shown(run))["status"] == "failed"
    assert await impatient.acquire("b") is None


async def test_an_agent_whose_signs_of_life_are_not_folded_yet_is_not_lost(impatient: Server) -> None:
    run = await impatient.created()
    granted = await impatient.acquired()
    await impatient.tell(granted, "start")

    async def is_silent() -> bool:
        return bool((await impatient.shown(run))["status"] == "failed")

    await until(is_silent)
    await impatient.pause()
    loop = asyncio.get_running_loop()
    until_s = loop.time() + 6 * SILENCE_S
    while loop.time() < until_s:
        assert (await impatient.tell(granted, "renew"))[0] == 200, "a sign of life, as nothing of it can be read"
    assert await impatient.acquire("b") is None
    impatient.resume()

    async def lives() -> bool:
        assert (await impatient.tell(granted, "renew"))[0] == 200
        return bool((await impatient.shown(run))["status"] == "processing")

    await until(lives)
    assert await impatient.tell(granted, "end", status="finished") == (200, {"status": "finished"})


async def test_only_who_executes_a_run_has_its_variables(server: Server) -> None:
    for name, value, secret in (("TOKEN", SECRET, True), ("REGION", "eu", False)):
        variable = {"name": name, "value": value, "secret": secret}
        await server.done("POST", f"{EXPERIMENTS}/e/environment-variables", variable)
    project = {"name": "REGION", "value": "shadowed", "secret": False}
    await server.done("POST", "/ubiops/v2/projects/p/environment-variables", project)
    await server.created()
    granted = await server.acquired()
    status, told = await server.tell(granted, "variables")
    assert (status, "not being executed" in told["detail"]) == (409, True)
    await server.tell(granted, "start")
    status, told = await server.tell(granted, "variables")
    assert (status, told["variables"]) == (
        200,
        [
            {"name": "REGION", "value": "eu", "secret": False},
            {"name": "TOKEN", "value": SECRET, "secret": True},
        ],
    )
    status, told = await server.tell({**granted, "lease": "0" * 32}, "variables")
    assert (status, SECRET in str(told)) == (409, False)
    await server.tell(granted, "end", status="finished")
    assert (await server.tell(granted, "variables"))[0] == 409


async def test_files_of_a_run_come_and_go_by_urls(server: Server) -> None:
    run = await server.created()
    granted = await server.acquired()
    status, told = await server.tell(granted, "file", read="code")
    assert status == 200
    async with server.client.get(below(told["url"])) as response:
        assert (response.status, await response.read()) == (200, b"def train(*_): pass\n")
    assert (await server.tell(granted, "file", read="data"))[0] == 404
    assert (await server.tell(granted, "file", write="model.bin"))[0] == 409, "it has no output before its start"
    await server.tell(granted, "start")
    for name in ("../x", "a/b", "..", "a\n"):
        assert (await server.tell(granted, "file", write=name))[0] == 400, name
    assert (await server.tell(granted, "file", write="a", read="code"))[0] == 400
    status, told = await server.tell(granted, "file", write="model.bin")
    async with server.client.put(below(told["url"]), data=b"weights") as response:
        assert response.status == 200
    found = await server.done("GET", f"/ubiops/v2/projects/p/buckets/default/files/{run}%2Fmodel.bin")
    assert found["size"] == 7


@pytest.mark.parametrize(
    ("what", "body", "words"),
    [
        ("", {"host": "h"}, "agent"),
        ("", {"agent": "a", "host": "h", "ttl_s": 1}, "ttl_s"),
        ("/x/renew", {"lease": "no", "token": 1}, "lease"),
        ("/x/renew", {"lease": "0" * 32, "token": 0}, "token"),
        ("/x/end", {"lease": "0" * 32, "token": 1, "status": "done"}, "status"),
        ("/x/end", {"lease": "0" * 32, "token": 1, "status": "failed", "message": "x" * 20_001}, "message"),
    ],
)
async def test_wrong_requests_are_told_what_is_wrong(server: Server, what: str, body: Any, words: str) -> None:
    status, told = await server.send("POST", LEASES + what, body)
    assert status == 400
    assert words in told["detail"]


async def test_a_result_that_is_too_large_is_refused_and_the_run_goes_on(server: Server) -> None:
    run = await server.created()
    granted = await server.acquired()
    await server.tell(granted, "start")
    large = {"metadata": {"x": "y" * 250_000}}
    status, told = await server.tell(granted, "end", status="finished", result=large)
    assert (status, "additional_output_files" in told["detail"]) == (413, True)
    assert (await server.tell(granted, "end", status="failed", message="too large"))[0] == 200
    assert (await server.shown(run))["error_message"] == "too large"


async def test_a_started_run_that_is_moved_is_executed_to_its_end(server: Server) -> None:
    run, pending = await server.created(), await server.created()
    granted, leased = await server.acquired(), await server.acquired()
    await server.tell(granted, "start")
    for each in (run, pending):
        moved = {"type": "run_moved.v1", "workspace": "default", "project": "elsewhere", "at_us": 1}
        assert (await server.done("POST", "/ingest/v1/commands", {"key": each, "event": moved}))["visible"]
        assert (await server.done("GET", f"/api/v1/runs/{each}"))["run"]["project"] == "elsewhere"
    assert await server.tell(granted, "renew") == (200, {"state": "started", "cancelled": False})
    status, told = await server.tell(leased, "start")
    assert (status, "taken on by somebody else" in told["detail"]) == (409, True), "it is pending elsewhere"
    result = {"metrics": {"accuracy": 0.5}}
    assert await server.tell(granted, "end", status="finished", result=result) == (200, {"status": "finished"})
    assert (await server.done("GET", f"/api/v1/runs/{run}"))["run"]["status"] == "finished"


async def test_a_start_whose_gateway_died_is_appended_by_others(
    impatient: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(*_: Any) -> None:
        raise OSError("the gateway dies here")

    run = await impatient.created()
    granted = await impatient.acquired()
    with monkeypatch.context() as killed:
        killed.setattr(leasing, "_record_start", die)
        assert (await impatient.tell(granted, "start"))[0] >= 500
    monkeypatch.setattr(leasing, "_COMPLETED_WITHIN_US", 0)
    assert (await impatient.shown(run))["status"] == "pending"

    async def failed() -> Any:
        assert await impatient.acquire("b") is None
        return (await impatient.shown(run))["error_message"]

    assert "was lost" in await until(failed)
