"""No request keeps the event loop from everybody else: each route is sent the largest that it takes, and the longest
stretch of the loop's own CPU is compared with the work of parsing 1 MB of JSON in the same run."""

import asyncio
import gc
import http.client
import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from kit.hostile.largest_requests import LARGEST, RUN, Sent, route_key
from kit.hostile.ubiops_requests import UBIOPS_LARGEST
from kit.servers.loop_stretches import Stretches, reference_s
from kit.stores import place_tables
from runstream.events.control import RunStarted, encode_event
from runstream.events.encoding import encode_events, encode_frame
from runstream_infra.embedded import application, open_parts
from runstream_infra.folding_thread import FoldingThread
from runstream_infra.listening import guarded_runner, listen
from runstream_infra.settings import ServerSettings
from runstream_protocols.mlaide.keys import number_of_run
from runstream_protocols.ubiops.presets import DEPLOYMENT
from runstream_service.auth import ApiKeys

EVERY = LARGEST | UBIOPS_LARGEST
#: The longest stretch, in units of that work (5 to 10 ms).
MOST = 3.0
_GIVE_UP_S = 120.0
STARTED = RunStarted(at_us=1, workspace="default", project="p", name="n", user="u", host="h")
FRAME = encode_frame("0" * 32, RUN, 0, 1, encode_events([(0, encode_event(STARTED))]))


class Served:
    """The embedded server in a thread of its own, with its worker in another, as always."""

    def __init__(self, folder: Path) -> None:
        self.routes: dict[str, list[str]] = defaultdict(list)
        self.thread_id = 0
        self._settings = ServerSettings(data_dir=folder)
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()), daemon=True)
        self._port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(120)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)
        self._loop.close()

    async def _serve(self) -> None:
        settings = self._settings
        place_tables(settings.data_dir)
        async with open_parts(settings) as parts:
            folding = FoldingThread(parts.worker, lambda error: None)
            folding.start()
            app = application(settings, ApiKeys(), parts)
            for route in app.router.routes():
                assert route.resource is not None
                self.routes[route_key(route.method, route.resource.canonical)].append(route.resource.canonical)
            runner = guarded_runner(app, settings.limits, shutdown_timeout=1)
            await runner.setup()
            url = await listen(runner, "127.0.0.1", 0)
            self._port, self.thread_id = int(url.rpartition(":")[2]), threading.get_ident()
            self._ready.set()
            await self._stop.wait()
            await runner.cleanup()
            await folding.stop()

    def settle(self) -> None:
        """Until the loop is through with what it does: a response can be read before its handler has returned."""
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self._loop).result(_GIVE_UP_S)

    def send(self, method: str, path: str, sent: Sent) -> tuple[int, bytes]:
        """The status and the response; (0, b"") where the server refused it before all of it was sent."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_GIVE_UP_S)
        try:
            connection.request(method, f"{path}?{sent.query}" if sent.query else path, sent.body or None, sent.headers)
            response = connection.getresponse()
            if response.headers.get_content_type() == "text/event-stream":
                return response.status, response.read1()
            return response.status, response.read()
        except (BrokenPipeError, ConnectionResetError):
            return 0, b""
        finally:
            connection.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("stalls")) as served:
        headers = {"Content-Type": "application/vnd.runstream.frames"}
        status, body = served.send("POST", "/ingest/v1/frames", Sent("run", body=FRAME, headers=headers))
        assert status == 200
        positions = json.loads(body)["positions"]
        assert served.send("GET", f"/api/v1/runs/{RUN}", Sent("wait", f"wait_for={positions}"))[0] == 200
        yield served


def test_every_route_has_its_largest_request(served: Served) -> None:
    assert sorted(set(served.routes) - set(EVERY)) == [], "say in kit.hostile what their largest request is"
    assert sorted(set(EVERY) - set(served.routes)) == [], "these routes are gone"


@pytest.mark.parametrize("key", sorted(EVERY))
def test_no_request_keeps_the_loop_from_others(served: Served, key: str) -> None:
    method, _, _ = key.partition(" ")
    path = served.routes[key][0].replace("{run}", RUN).replace("{sha256}", "0" * 64)
    path = path.replace("{project_key}", "p").replace("{run_key}", str(number_of_run(RUN)))
    path = path.replace("{api}", "v2").replace("{deployment}", DEPLOYMENT)
    path = path.replace("{", "").replace("}", "")
    unit_s = reference_s()
    found = {}
    for sent in EVERY[key]():
        gc.collect()
        gc.freeze()
        with Stretches(served.thread_id) as stretches:
            status, _ = served.send(method, path, sent)
            served.settle()
        found[sent.name] = (round(stretches.longest_s / unit_s, 1), stretches.what, status)
        assert status != 500, (key, sent.name)
    print(key, found)
    late = {name: what for name, what in found.items() if what[0] > MOST}
    assert late == {}, f"{key}: units of {unit_s * 1e3:.1f} ms, function, status"
