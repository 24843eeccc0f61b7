"""The process of a live panel: `python -m runstream.panels.streamlit_process FOLDER`. It takes its limits on, and
serves the panel by Streamlit at the socket or the port that the folder's `live.json` names."""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from runstream.errors import RunstreamError
from runstream.panel_context import PanelContext, find_contexts_by
from runstream.panels import ambient, shim
from runstream.panels.folder import CONTEXT, FRAME_HEADER, FRAMES, INSTALL, LIMITS, LIVE, SOURCE
from runstream.panels.installing import installed, missing
from runstream.panels.landlock import confine
from runstream.panels.preparing import prepared
from runstream.panels.process import take_limits
from runstream.panels.refreshing import follow_contexts, note_session, refresh
from runstream.panels.script import script_context

_FRAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_here: Final = threading.local()


def main(folder: Path) -> int:
    """Serve until a signal ends it."""
    take_limits(json.loads((folder / LIMITS).read_text()))
    place = json.loads((folder / LIVE).read_text())
    _prepare(folder)
    if "confine" in place:
        _confine(folder, place["confine"])
    shim.install()
    ambient.provide()
    find_contexts_by(lambda: _context_file(folder))
    follow_contexts(folder / FRAMES)
    uvicorn: Any = importlib.import_module("uvicorn")
    app = importlib.import_module("streamlit.starlette").App(folder / SOURCE)
    where = {"uds": place["socket"]} if "socket" in place else {"host": place["host"], "port": place["port"]}
    config = uvicorn.Config(app, ws="websockets-sansio", access_log=False, log_level="warning", **where)
    uvicorn.Server(config).run()
    return 0


def _prepare(folder: Path) -> None:
    """Make the panel's file Python, and install what its lines name where that is allowed. Raises SystemExit."""
    source, settings = folder / SOURCE, folder / INSTALL
    given = json.loads(settings.read_text()) if settings.exists() else None
    settings.unlink(missing_ok=True)
    try:
        made = prepared(source.read_text(encoding="utf-8"), installs=given is not None)
        wanted = missing(made.packages) if given is not None else []
        if given is not None and wanted:
            sys.path.append(str(installed(wanted, Path(given["cache"]), {**os.environ, **given["environ"]})))
    except (RunstreamError, OSError) as error:
        raise SystemExit(f"the panel cannot run: {error}") from None
    source.write_text(made.source, encoding="utf-8")


def _confine(folder: Path, wanted: Mapping[str, Any]) -> None:
    """Take away what the panel needs not. Raises SystemExit where that is wanted in any case and the kernel cannot."""
    own = [sys.prefix, sys.base_prefix, sys.base_exec_prefix, str(Path(sys.executable).resolve().parent), *sys.path]
    certificates = [os.environ[name] for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)]
    done = confine(folder, [*own, *certificates], wanted["ports"])
    if wanted["required"] and not (done.files and done.ports and done.signals):
        raise SystemExit(f"this kernel's Landlock is of version {done.version}, and panels are to run with 6 or newer")


def _context_file(folder: Path) -> Path | None:
    """The file of the viewer's frame whose script this thread runs; None outside of one."""
    script = script_context()
    if getattr(_here, "looking", False) or script is None:
        return None
    frame = importlib.import_module("streamlit").context.headers.get(FRAME_HEADER, "")
    path = folder / FRAMES / f"{frame}.json"
    if _FRAME.fullmatch(frame) is None or not path.is_file():
        path = folder / CONTEXT
    else:
        note_session(frame, script.session_id)
    every_s = PanelContext.of_json(path.read_text(encoding="utf-8")).refresh_s
    if every_s > 0:
        _here.looking = True
        try:
            refresh(every_s)
        finally:
            _here.looking = False
    return path


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
