"""Live panels of a server: who shares a process, what ends one, and what opens an address. The processes are feigned;
tests/integration/test_panel_server.py has real ones."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from runstream.errors import Unusable
from runstream.panel_context import PanelContext
from runstream_infra.panels.assets import with_shared_assets
from runstream_infra.panels.host import Frame, PanelHost, Running, Spec
from runstream_infra.panels.hosting import own_address, refusal_of
from runstream_infra.panels.passes import PanelPasses
from runstream_infra.panels.peers import is_own_user, uid_of
from runstream_infra.panels.proxy import SANDBOX, policy
from runstream_infra.panels.settings import PanelSettings
from runstream_service.access import EVERYTHING, Action, Scope
from runstream_service.problems import Problem

CONTEXT = PanelContext("default", "digits")


@dataclass
class Feigned:
    """A panel's process."""

    address: str = "/nowhere"
    is_alive: bool = True
    ready: bool = True
    contexts: dict[str, PanelContext] = field(default_factory=dict)
    ended: bool = False
    options: dict[str, Any] = field(default_factory=dict)

    def is_ready(self) -> bool:
        return self.ready

    def printed(self) -> str:
        return "what it printed"

    def set_context(self, frame: str, context: PanelContext) -> None:
        self.contexts[frame] = context

    def forget(self, frame: str) -> None:
        self.contexts.pop(frame, None)

    def end(self) -> None:
        self.ended, self.is_alive = True, False


class Hosted:
    def __init__(self, **settings: Any) -> None:
        self.started: list[Feigned] = []
        self.passes = PanelPasses()
        self.host = PanelHost(PanelSettings(**settings), self.passes, self._start)
        self.host.listens_at("http://127.0.0.1:7070")
        self.make: Callable[[], Feigned] = Feigned

    def _start(self, source: str, context: PanelContext, **options: Any) -> Any:
        made = self.make()
        made.options = options
        self.started.append(made)
        return made

    def open(self, source: str = "1", scope: Scope = EVERYTHING, owner: str = "ada", project: str = "digits") -> Frame:
        return self.host.open(Spec(source, "default", project, scope), CONTEXT, owner)

    async def running(self, frame: Frame) -> Running:
        return await self.host.ready(frame)


@pytest.fixture
async def hosts() -> AsyncIterator[Callable[..., Hosted]]:
    made: list[Hosted] = []

    def make(**settings: Any) -> Hosted:
        made.append(Hosted(**settings))
        return made[-1]

    yield make
    for one in made:
        watch = asyncio.create_task(one.host.watch())
        await asyncio.sleep(0)
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        assert all(process.ended for process in one.started)


async def eventually(met: Callable[[], Any]) -> None:
    while not met():  # noqa: ASYNC110
        await asyncio.sleep(0.005)


async def test_frames_of_the_same_code_project_and_rights_share_a_process(hosts: Callable[..., Hosted]) -> None:
    hosted = hosts()
    some = Scope(frozenset({"a"}))
    frames = [hosted.open(), hosted.open(), hosted.open("2"), hosted.open(scope=some), hosted.open(project="x")]
    running = [await hosted.running(frame) for frame in frames]
    assert running[0] is running[1]
    assert len({id(one) for one in running}) == 4 == len(hosted.started) == hosted.host.count()
    assert hosted.started[0].contexts.keys() == {frames[0].id, frames[1].id}
    options = hosted.started[0].options
    assert options["url"] == "http://127.0.0.1:7070"
    assert options["confine"].ports == (7070,)


async def test_its_key_reads_what_the_viewer_may_and_ends_with_it(hosts: Callable[..., Hosted]) -> None:
    hosted = hosts()
    running = await hosted.running(hosted.open(scope=Scope(frozenset({"a"}))))
    principal = hosted.passes.principal_of(running.pass_key)
    assert principal is not None
    assert principal.scope(Action.READ) == Scope(frozenset({"a"}))
    assert not principal.may_change
    assert principal.scope(Action.OPERATE).is_empty
    hosted.started[0].is_alive = False
    await hosted.host._tidy()
    assert hosted.passes.principal_of(running.pass_key) is None
    assert hosted.passes.principal_of("panel.x") is None


async def test_one_whose_process_ended_says_why_and_starts_anew_when_it_is_loaded(hosts: Callable[..., Hosted]) -> None:
    hosted = hosts()
    frame = hosted.open()
    await hosted.running(frame)
    hosted.started[0].is_alive = False
    await hosted.host._tidy()
    state = hosted.host.state_of(frame)
    assert state is not None
    assert (state.state, "what it printed" in state.detail) == ("failed", True)
    for is_load in (True, False):  # at once; and by a page that is still open
        with pytest.raises(Problem, match="what it printed"):
            await hosted.host.ready(frame, is_load=is_load)
        state.seen_s -= 10
    again = await hosted.running(frame)
    assert (again.state, len(hosted.started)) == ("running", 2)


async def test_one_that_does_not_start_is_said_to_fail(hosts: Callable[..., Hosted]) -> None:
    hosted = hosts(start_s=0.05)
    hosted.make = lambda: Feigned(ready=False)
    with pytest.raises(Problem) as late:
        await hosted.running(hosted.open())
    assert (late.value.status, "not ready in time" in late.value.detail) == (502, True)
    hosted.make = lambda: Feigned(ready=False, is_alive=False)
    with pytest.raises(Problem, match="what it printed"):
        await hosted.running(hosted.open("2"))

    def cannot() -> Feigned:
        raise Unusable("no folder")

    hosted.make = cannot
    with pytest.raises(Problem, match="no folder"):
        await hosted.running(hosted.open("3"))


async def test_nobody_looks_and_it_ends(hosts: Callable[..., Hosted]) -> None:
    hosted = hosts(idle_s=0.02)
    frame = hosted.open()
    running = await hosted.running(frame)
    running.viewers = frame.sockets = 1
    await asyncio.sleep(0.05)
    await hosted.host._tidy()
    assert running.state == "running", "somebody looks"
    running.viewers = frame.sockets = 0
    await hosted.host._tidy()
    assert str(running.state) == "ended"
    await eventually(lambda: hosted.started[0].ended)
    assert hosted.host.find(frame.id, token=frame.token) is None, "forgotten as well"


async def test_there_are_so_many_at_a_time(hosts: Callable[..., Hosted]) -> None:
    hosted = hosts(max_panels=2, max_frames=4)
    first, second = [await hosted.running(hosted.open(source)) for source in "12"]
    first.viewers = second.viewers = 1
    with pytest.raises(Problem, match="RUNSTREAM_PANELS_MAX_PANELS"):
        hosted.open("3")
    first.viewers = 0
    await hosted.running(hosted.open("3"))
    assert (first.state, second.state, hosted.host.count()) == ("ended", "running", 2)
    for frame in hosted.host._frames.values():
        frame.sockets = 1
    hosted.open("3").sockets = 1
    with pytest.raises(Problem, match="RUNSTREAM_PANELS_MAX_FRAMES"):
        hosted.open("3")
    next(iter(hosted.host._frames.values())).sockets = 0
    assert hosted.open("3") is not None, "one that nobody looks at makes room"


async def test_an_address_opens_one_frame_and_only_its_owner_changes_it(hosts: Callable[..., Hosted]) -> None:
    hosted = hosts()
    frame, other = hosted.open(), hosted.open()
    find = hosted.host.find
    assert find(frame.id, token=frame.token) is frame
    assert find(frame.id, owner="ada") is frame
    for token in ("", "ü", other.token, frame.token[:-1]):
        assert find(frame.id, token=token) is None
    assert find(frame.id, owner="eve") is None
    assert find(frame.id) is None
    assert find("nothing", token=frame.token) is None
    await hosted.running(frame)
    await hosted.host.set_context(frame, PanelContext("default", "digits", width=7))
    assert hosted.started[0].contexts[frame.id].width == 7
    hosted.host.close(frame)
    assert find(frame.id, token=frame.token) is None
    assert frame.id not in hosted.started[0].contexts


def test_where_panels_run() -> None:
    auto = PanelSettings()
    assert refusal_of(auto, "127.0.0.1") is None
    assert "RUNSTREAM_PANELS_ENABLED=1" in str(refusal_of(auto, "0.0.0.0"))
    assert refusal_of(PanelSettings.model_validate({"enabled": "1"}), "0.0.0.0") is None
    assert "turned them off" in str(refusal_of(PanelSettings.model_validate({"enabled": "0"}), "127.0.0.1"))


def test_where_programs_of_this_machine_reach_the_server() -> None:
    assert own_address("http://0.0.0.0:7070", "0.0.0.0") == "http://127.0.0.1:7070"
    assert own_address("http://[::]:7070", "::") == "http://[::1]:7070"
    assert own_address("https://10.0.0.7:7070", "10.0.0.7") == "https://10.0.0.7:7070"


def test_the_document_of_a_frame_has_no_origin_and_reaches_its_own_address_alone() -> None:
    frame = Frame("f" * 16, "t" * 32, "ada", Spec("1", "default", "digits", EVERYTHING), CONTEXT)
    request = make_mocked_request("GET", "/", headers={"Host": "runs.example:7070"})
    parts = dict(
        part.partition(" ")[::2] for part in policy(frame, request, is_page=True)["Content-Security-Policy"].split("; ")
    )
    assert parts["sandbox"] == SANDBOX
    assert "allow-same-origin" not in SANDBOX
    assert parts["default-src"] == "'none'"
    own = f"//runs.example:7070/-/panels/{'f' * 16}/{'t' * 32}/"
    assert f" wss:{own}" in parts["connect-src"]
    assert all("/-/panels/" in one for one in parts["connect-src"].split() if "//" in one)
    assert parts["frame-ancestors"] == "'self'"
    assert "frame-ancestors" not in policy(frame, request, is_page=False)["Content-Security-Policy"]
    for odd in ("evil.example; script-src *", "", "a b", "x" * 300):
        request = make_mocked_request("GET", "/", headers={"Host": odd})
        assert (
            "connect-src 'self' 'self' data: blob:" in policy(frame, request, is_page=True)["Content-Security-Policy"]
        )


def test_the_page_names_the_files_that_all_panels_share() -> None:
    page = b'<script src="./static/js/a.js"></script><link href="./favicon.png">'
    assert with_shared_assets(page) == page.replace(b"./static/", b"/-/panels/static/")


@pytest.mark.sockets
def test_the_kernel_tells_whose_program_is_at_the_other_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        own = client.getsockname()
        if not Path("/proc/net/tcp").exists():
            assert is_own_user(own)
            return
        assert uid_of(*own) == os.getuid()
        assert is_own_user(own)
    assert uid_of("127.0.0.1", 1) is None
    assert not is_own_user(None)
