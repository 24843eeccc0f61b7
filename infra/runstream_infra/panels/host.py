"""Panels that run, each in a process of its own, and the frames that show them.

A frame is one view of a panel, at an address with a token. Frames of the same code, project and rights share a process.
A process starts with the first frame that needs it, and ends when nobody has looked at it for a while, or when it takes
more than it may. A frame whose process has ended starts another when it is loaded again.
"""

import asyncio
import contextlib
import hashlib
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from runstream.errors import RunstreamError
from runstream.panel_context import PanelContext
from runstream.panels.installing import INSTALL_S
from runstream.panels.serving import Confine, LiveLimits, ServedPanel
from runstream_infra.panels.passes import PanelPasses
from runstream_infra.panels.settings import PanelSettings
from runstream_service.access import Scope
from runstream_service.problems import Problem

logger = logging.getLogger(__name__)

State = Literal["starting", "running", "failed", "ended"]
_TICK_S: Final = 1.0
#: Before one that failed is started again.
_PAUSE_S: Final = 2.0
_READY_LOOK_S: Final = 0.05
_TOKEN_BYTES: Final = 24
_ID_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Spec:
    """What a process of a panel is started for: code, where it belongs, and what it may read."""

    source: str
    workspace: str
    project: str
    scope: Scope

    @property
    def key(self) -> bytes:
        """Equal for specs that may share a process."""
        workspaces = self.scope.workspaces
        scope = "" if workspaces is None else "\0".join(sorted(workspaces)) + "\0"
        parts = (self.source, self.workspace, self.project, scope, str(workspaces is None))
        return hashlib.sha256("\0\0".join(parts).encode("utf-8", "replace")).digest()


@dataclass(eq=False, slots=True)
class Running:
    """A panel's process. `detail`: the end of what it printed, where it failed."""

    spec: Spec
    pass_key: str
    state: State = "starting"
    detail: str = ""
    served: ServedPanel | None = None
    starting: asyncio.Task[None] | None = None
    viewers: int = 0
    seen_s: float = field(default_factory=time.monotonic)


@dataclass(eq=False, slots=True)
class Frame:
    """One view of a panel. `owner`: the name of the principal that opened it, which alone may change it."""

    id: str
    token: str
    owner: str
    spec: Spec
    context: PanelContext
    sockets: int = 0
    seen_s: float = field(default_factory=time.monotonic)


class PanelHost:
    """Used from one event loop. `server_url`: where panels reach this server, once it listens."""

    def __init__(
        self,
        settings: PanelSettings,
        passes: PanelPasses,
        start: Callable[..., ServedPanel] = ServedPanel.start,
        packages: Path | None = None,
    ) -> None:
        """packages: where packages of panels are kept, if panels may install any."""
        self.settings = settings
        self.server_url = settings.server_url
        self._passes = passes
        self._start = start
        self._packages = packages if settings.install else None
        self._frames: dict[str, Frame] = {}
        self._running: dict[bytes, Running] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def listens_at(self, url: str) -> None:
        """Say where panels reach this server, unless a setting does."""
        self.server_url = self.settings.server_url or url

    def open(self, spec: Spec, context: PanelContext, owner: str) -> Frame:
        """Open a frame, and start its panel if it does not run. Raises Problem (503) where there are too many."""
        if len(self._frames) >= self.settings.max_frames and not self._drop_idle_frame():
            raise _busy(f"{self.settings.max_frames} frames of panels are open", "RUNSTREAM_PANELS_MAX_FRAMES")
        frame = Frame(secrets.token_hex(_ID_BYTES), secrets.token_urlsafe(_TOKEN_BYTES), owner, spec, context)
        self.running(frame)
        self._frames[frame.id] = frame
        return frame

    def find(self, frame_id: str, *, token: str | None = None, owner: str | None = None) -> Frame | None:
        """Return the frame with this id, for whoever has its token or opened it; else None."""
        frame = self._frames.get(frame_id)
        if frame is None:
            return None
        has_token = token is not None and secrets.compare_digest(frame.token.encode(), token.encode("utf-8", "replace"))
        return frame if has_token or (owner is not None and owner == frame.owner) else None

    def close(self, frame: Frame) -> None:
        """Forget a frame: its address opens nothing any more."""
        self._frames.pop(frame.id, None)
        running = self._running.get(frame.spec.key)
        if running is not None and running.served is not None:
            running.served.forget(frame.id)

    async def set_context(self, frame: Frame, context: PanelContext) -> None:
        """Give a frame another context, from the panel's next run on."""
        frame.context = context
        running = self._running.get(frame.spec.key)
        if running is not None and running.served is not None:
            await asyncio.to_thread(running.served.set_context, frame.id, context)

    def count(self) -> int:
        """Return how many panels run."""
        return sum(one.state in ("starting", "running") for one in self._running.values())

    def state_of(self, frame: Frame) -> Running | None:
        """Return the process of a frame's panel; None if it has none at the moment."""
        return self._running.get(frame.spec.key)

    def running(self, frame: Frame) -> Running:
        """Return the process of a frame's panel, which is started if there is none. Raises Problem (503)."""
        key = frame.spec.key
        found = self._running.get(key)
        if found is not None and found.state in ("starting", "running"):
            return found
        alive = [one for one in self._running.values() if one.state in ("starting", "running")]
        if len(alive) >= self.settings.max_panels:
            idle = [one for one in alive if one.viewers == 0 and one.state == "running"]
            if not idle:
                raise _busy(f"{self.settings.max_panels} panels run already", "RUNSTREAM_PANELS_MAX_PANELS")
            self._end(min(idle, key=lambda one: one.seen_s), "ended", "others needed its place")
        made = Running(frame.spec, self._passes.issue(secrets.token_hex(4), frame.spec.scope))
        self._running[key] = made
        made.starting = asyncio.create_task(self._begin(made))
        return made

    async def ready(self, frame: Frame, *, is_load: bool = True) -> Running:
        """Return the process of a frame's panel once it can be shown, with the frame's context. One that failed starts
        again when its page is loaded (`is_load`), and not for what an open page requests. Raises Problem (502) where it
        cannot be shown."""
        known = self._running.get(frame.spec.key)
        if known is not None and known.state == "failed":
            pauses = time.monotonic() - known.seen_s < _PAUSE_S
            if pauses or not is_load:
                raise Problem(502, "panel-failed", "The panel does not run", known.detail)
        running = self.running(frame)
        if running.starting is not None:
            await asyncio.shield(running.starting)
        if running.state != "running" or running.served is None:
            raise Problem(502, "panel-failed", "The panel does not run", running.detail or "It has ended: try again.")
        await asyncio.to_thread(running.served.set_context, frame.id, frame.context)
        return running

    async def _begin(self, running: Running) -> None:
        spec, settings = running.spec, self.settings
        limits = LiveLimits(settings.memory_mb, settings.cpu_s, settings.life_s)
        confine = self._confinement()
        context = PanelContext(spec.workspace, spec.project)
        try:
            running.served = await _whole(
                lambda: self._start(
                    spec.source,
                    context,
                    url=self.server_url,
                    read_key=running.pass_key,
                    limits=limits,
                    confine=confine,
                    packages=self._packages,
                )
            )
        except (RunstreamError, OSError) as error:
            self._end(running, "failed", str(error))
            return
        until_s = time.monotonic() + settings.start_s + (INSTALL_S if self._packages is not None else 0.0)
        while time.monotonic() < until_s and running.served.is_alive and running.state == "starting":
            if await asyncio.to_thread(running.served.is_ready):
                running.state, running.seen_s = "running", time.monotonic()
                return
            await asyncio.sleep(_READY_LOOK_S)
        if running.state == "starting":
            printed = await asyncio.to_thread(running.served.printed)
            why = "it was not ready in time" if running.served.is_alive else "its process ended"
            self._end(running, "failed", f"{why}\n{printed}")

    def _confinement(self) -> Confine | None:
        if self.settings.confine == "off":
            return None
        own = urlsplit(self.server_url)
        port = own.port or (443 if own.scheme == "https" else 80)
        return Confine((port, *self.settings.connect_ports), required=self.settings.confine == "on")

    def _end(self, running: Running, state: State, detail: str) -> None:
        running.state, running.detail, running.seen_s = state, detail, time.monotonic()
        self._passes.revoke(running.pass_key)
        logger.info("a panel of %s/%s %s: %s", running.spec.workspace, running.spec.project, state, detail[:500])
        if running.served is not None:
            task = asyncio.create_task(asyncio.to_thread(running.served.end))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def watch(self) -> None:
        """End what nobody looks at and what has outlived itself, until cancelled; then end all."""
        try:
            while True:
                await asyncio.sleep(_TICK_S)
                await self._tidy()
        finally:
            await self._end_all()

    async def _tidy(self) -> None:
        now_s = time.monotonic()
        for key, running in list(self._running.items()):
            if running.state == "running" and running.served is not None and not running.served.is_alive:
                printed = await asyncio.to_thread(running.served.printed)
                self._end(running, "failed", f"its process ended, perhaps at a limit\n{printed}")
            elif running.state == "running" and running.viewers == 0 and now_s - running.seen_s > self.settings.idle_s:
                self._end(running, "ended", "nobody looked at it")
            elif running.state in ("failed", "ended") and not any(one.spec.key == key for one in self._frames.values()):
                del self._running[key]
        for frame in list(self._frames.values()):
            if frame.sockets == 0 and now_s - frame.seen_s > 2 * self.settings.idle_s:
                self.close(frame)

    def _drop_idle_frame(self) -> bool:
        idle = [frame for frame in self._frames.values() if frame.sockets == 0]
        if idle:
            self.close(min(idle, key=lambda frame: frame.seen_s))
        return bool(idle)

    async def _end_all(self) -> None:
        for running in self._running.values():
            if running.state in ("starting", "running"):
                if running.starting is not None:
                    running.starting.cancel()
                    await asyncio.gather(running.starting, return_exceptions=True)
                self._end(running, "ended", "the server stops")
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*self._ending, return_exceptions=True)


async def _whole(start: Callable[[], ServedPanel]) -> ServedPanel:
    """Start a process in a thread. Whoever cancels this finds it started all the same, and ends it."""
    starting = asyncio.create_task(asyncio.to_thread(start))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with contextlib.suppress(RunstreamError, OSError):
            await asyncio.to_thread((await starting).end)
        raise


def _busy(what: str, setting: str) -> Problem:
    detail = f"{what}: close some, or have whoever runs the server raise {setting}."
    return Problem(503, "panels-busy", "No more panels can be shown", detail, retry_after_s=5)
