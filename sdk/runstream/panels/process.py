"""The process of a panel: `python -m runstream.panels.process FOLDER`. It takes its limits on before anything of the
panel runs, and says how it ended."""

import contextlib
import json
import linecache
import re
import resource
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from runstream.panel_context import PanelContext
from runstream.panels import ambient, shim
from runstream.panels.folder import END, ITEMS, LIMITS, SOURCE
from runstream.panels.snapshot import Snapshot

#: Kept back for saying that there is no memory left.
_RESERVE_BYTES: Final = 8 << 20
#: The end of a traceback says the most.
_MAX_ERROR_CHARS: Final = 100_000
#: It imports Streamlit, or uses it as panels have it, without an import.
_STREAMLIT: Final = re.compile(r"^\s*(import|from)\s+streamlit\b|(?<![\w.])st\.[a-z]", re.MULTILINE)


def main(folder: Path) -> int:
    take_limits(json.loads((folder / LIMITS).read_text()))
    source = (folder / SOURCE).read_text(encoding="utf-8")
    shim.install()
    # The source by the name that is shown, wherever the panel goes.
    linecache.cache[SOURCE] = (len(source), None, source.splitlines(keepends=True), SOURCE)
    ended = photographed(folder) if _STREAMLIT.search(source) is not None else run(source)
    (folder / END).write_text(json.dumps(ended))
    return 0 if ended["status"] == "ok" else 1


def take_limits(limits: Mapping[str, int]) -> None:
    """Of this process and all that it starts; it cannot raise them again."""
    for name, wanted in limits.items():
        kind = getattr(resource, name)
        _, most = resource.getrlimit(kind)
        limit = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        resource.setrlimit(kind, (limit, limit))


def run(source: str) -> dict[str, Any]:
    """How the panel ended: status (ok, failed, memory), and the traceback of its own part."""
    reserve = [bytearray(_RESERVE_BYTES)]
    namespace: dict[str, Any] = {"__name__": "__main__", "__file__": SOURCE}
    try:
        exec(compile(source, SOURCE, "exec"), namespace)
    except SystemExit as ending:
        if ending.code in (None, 0):
            return {"status": "ok", "error": ""}
        return {"status": "failed", "error": f"the panel ended itself with {ending.code!r}"[:_MAX_ERROR_CHARS]}
    except BaseException as error:
        reserve.clear()
        status = "memory" if isinstance(error, MemoryError) else "failed"
        return {"status": status, "error": _told(error)[-_MAX_ERROR_CHARS:]}
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):  # the panel may have closed or replaced it
                stream.flush()
    return {"status": "ok", "error": ""}


def photographed(folder: Path) -> dict[str, Any]:
    """The same for a panel that uses Streamlit: what it would show is added to the folder's items."""
    context = PanelContext.here()
    ambient.provide()
    try:
        snapshot = Snapshot(folder / SOURCE, {} if context is None else context.options)
    except BaseException as error:
        status = "memory" if isinstance(error, MemoryError) else "failed"
        return {"status": status, "error": _told(error)[-_MAX_ERROR_CHARS:]}
    with (folder / ITEMS).open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(item, ensure_ascii=True) + "\n" for item in snapshot.items)
    if snapshot.error:
        status = "memory" if "MemoryError" in snapshot.error.rpartition("\n")[2] else "failed"
        return {"status": status, "error": snapshot.error[-_MAX_ERROR_CHARS:]}
    return {"status": "ok", "error": ""}


def _told(error: BaseException) -> str:
    told = traceback.TracebackException.from_exception(error, limit=-50)
    # What stands before the panel's first line is about this file.
    own = next((at for at, frame in enumerate(told.stack) if frame.filename == SOURCE), None)
    if own is not None:
        told.stack = traceback.StackSummary.from_list(told.stack[own:])
    elif isinstance(error, SyntaxError):
        told.stack = traceback.StackSummary.from_list([])
    return "".join(told.format())


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
