"""Running a live panel again when its project has new data.

The one place that uses names which Streamlit does not document: a session is run again as Streamlit itself does it when
a panel's file changes. `runstream[panels]` names the versions for which a test holds it.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
import time
from pathlib import Path
from typing import Any, Final

from runstream.errors import Invalid, RunstreamError
from runstream.panel_context import PanelContext
from runstream.panels.script import script_context

_LEAST_S: Final = 0.1
#: Before a server that cannot be asked is asked again.
_PAUSE_S: Final = 2.0
#: Between two looks at the contexts of frames.
_LOOK_S: Final = 0.25


def refresh(every_s: float) -> None:
    """Have the session of this thread's script run again once its project has new data, and `every_s` seconds have gone
    since this run. Raises Invalid."""
    if not _LEAST_S <= every_s <= 86_400:
        raise Invalid(f"refresh({every_s}): give seconds from {_LEAST_S} to 86400")
    context, here = script_context(), PanelContext.here()
    runtime = importlib.import_module("streamlit.runtime")
    if context is None or here is None or not runtime.exists():
        return
    if importlib.import_module("streamlit").get_option("global.appTest"):  # nobody looks: a snapshot, or a test
        return
    _watch_of(here.workspace, here.project).add(context.session_id, time.monotonic() + every_s)


def follow_contexts(folder: Path) -> None:
    """Run the sessions of a frame again when the file of its context, in `folder`, was replaced. Starts a thread."""
    threading.Thread(target=_follow_contexts, args=(folder,), name="panel-contexts", daemon=True).start()


def note_session(frame: str, session: str) -> None:
    """Remember whose session a script runs for."""
    with _lock:
        _frames[session] = frame


def _follow_contexts(folder: Path) -> None:
    seen: dict[str, int] = {}
    while True:
        time.sleep(_LOOK_S)
        with _lock:
            watched = dict(_frames)
        for session, frame in watched.items():
            with contextlib.suppress(OSError):
                written = (folder / f"{frame}.json").stat().st_mtime_ns
                if seen.setdefault(session, written) != written and not _run_again(session):
                    with _lock:
                        _frames.pop(session, None)
                seen[session] = written
        for session in seen.keys() - watched.keys():
            del seen[session]


class _Watch:
    """Waits for changes of a project, and runs the sessions again that wait for one. It ends with the process."""

    def __init__(self, workspace: str, project: str) -> None:
        self._place = (workspace, project)
        self._lock = threading.Lock()
        #: When a session may run again, at the earliest.
        self._waiting: dict[str, float] = {}
        #: How many changes there were when a session was run again the last time.
        self._seen: dict[str, int] = {}
        self._changes = 0
        self._wake = threading.Event()
        for work in (self._listen, self._run_again):
            threading.Thread(target=work, name="panel-refresh", daemon=True).start()

    def add(self, session: str, due_s: float) -> None:
        with self._lock:
            self._waiting[session] = due_s
            if self._seen.get(session, self._changes) < self._changes:  # while it ran
                self._wake.set()

    def _listen(self) -> None:
        """Count changes. A connection that breaks is opened again where it broke off (`live`)."""
        workspace, project = self._place
        while True:
            with contextlib.suppress(RunstreamError):
                api = importlib.import_module("runstream.api").API()
                for _ in api.runs.live(workspace=workspace, project=project):
                    self._changes += 1
                    self._wake.set()
            time.sleep(_PAUSE_S)

    def _run_again(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            now_s = time.monotonic()
            with self._lock:
                due = [session for session, due_s in self._waiting.items() if due_s <= now_s]
                later = [due_s for due_s in self._waiting.values() if due_s > now_s]
                for session in due:
                    del self._waiting[session]
                    self._seen[session] = self._changes
            for session in due:
                if not _run_again(session):
                    with self._lock:
                        self._seen.pop(session, None)
            if later:
                time.sleep(max(min(later) - now_s, 0.0))
                self._wake.set()


#: The frame of each session.
_frames: Final[dict[str, str]] = {}
_watches: Final[dict[tuple[str, str], _Watch]] = {}
_lock: Final = threading.Lock()


def _watch_of(workspace: str, project: str) -> _Watch:
    with _lock:
        found = _watches.get((workspace, project))
        if found is None:
            found = _watches[workspace, project] = _Watch(workspace, project)
        return found


def _run_again(session_id: str) -> bool:
    """Whether there still is such a session."""
    runtime: Any = importlib.import_module("streamlit.runtime").get_instance()
    found = runtime._session_mgr.get_active_session_info(session_id)
    if found is None:
        return False
    session = found.session
    runtime._get_async_objs().eventloop.call_soon_threadsafe(session.request_rerun, session._client_state)
    return True
