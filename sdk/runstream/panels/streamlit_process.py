"""The process of a live panel: `python -m runstream.panels.streamlit_process FOLDER`. It takes its limits on, and
serves the panel by Streamlit at the socket or the port that the folder's `live.json` names."""

from __future__ import annotations

import importlib
import json
import re
import sys
import threading
from pathlib import Path
from typing import Any, Final

from runstream.panel_context import PanelContext, find_contexts_by
from runstream.panels import shim
from runstream.panels.folder import CONTEXT, FRAME_HEADER, FRAMES, LIMITS, LIVE, SOURCE
from runstream.panels.process import take_limits
from runstream.panels.script import script_context

_FRAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_here: Final = threading.local()


def main(folder: Path) -> int:
    """Serve until a signal ends it."""
    take_limits(json.loads((folder / LIMITS).read_text()))
    place = json.loads((folder / LIVE).read_text())
    shim.install()
    find_contexts_by(lambda: _context_file(folder))
    uvicorn: Any = importlib.import_module("uvicorn")
    app = importlib.import_module("streamlit.starlette").App(folder / SOURCE)
    where = {"uds": place["socket"]} if "socket" in place else {"host": place["host"], "port": place["port"]}
    config = uvicorn.Config(app, ws="websockets-sansio", access_log=False, log_level="warning", **where)
    uvicorn.Server(config).run()
    return 0


def _context_file(folder: Path) -> Path | None:
    """The file of the viewer's frame whose script this thread runs; None outside of one."""
    if getattr(_here, "looking", False) or script_context() is None:
        return None
    frame = importlib.import_module("streamlit").context.headers.get(FRAME_HEADER, "")
    path = folder / FRAMES / f"{frame}.json"
    if _FRAME.fullmatch(frame) is None or not path.is_file():
        path = folder / CONTEXT
    every_s = PanelContext.of_json(path.read_text(encoding="utf-8")).refresh_s
    if every_s > 0:
        _here.looking = True
        try:
            importlib.import_module("runstream.panels.refreshing").refresh(every_s)
        finally:
            _here.looking = False
    return path


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
