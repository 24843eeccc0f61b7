"""Whether the runs that are written on this machine were deleted: asked of their servers now and then.

Nothing on the way of the data looks for that: what comes for a deleted run is appended and folded as ever.
"""

import contextlib
import json
import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from runstream.deletion import mark_deleted
from runstream.errors import Unavailable
from runstream.json_requests import refusal, request_json
from runstream.spool.format import WriterInfo

#: How soon the user of a run that goes on hears that somebody deleted it.
LOOK_S: Final = 60.0
_TIMEOUT_S: Final = 5.0
#: Ids of 128 characters in one URL: 6 kB.
_RUNS_AT_ONCE: Final = 40
_MAX_RESPONSE_BYTES: Final = 10_000_000

#: Address and key.
Server = tuple[str, str | None]

log = logging.getLogger("runstream.sender")


def filter_of_deleted(runs: Sequence[str]) -> str:
    """Return the filter for those of the runs that are deleted."""
    return f"deleted and (archived or not archived) and id in ({', '.join(map(json.dumps, runs))})"


def deleted_runs(writers: Iterable[WriterInfo]) -> dict[Server, frozenset[str]]:
    """Return, of each server that tells, which runs of these writers somebody deleted. Blocks for some 5 s at most, for
    each 40 runs of a server."""
    runs: dict[Server, set[str]] = defaultdict(set)
    for info in writers:
        runs[info.url, info.api_key].add(info.run_id)
    told: dict[Server, frozenset[str]] = {}
    for (url, api_key), ids in runs.items():
        with contextlib.suppress(Unavailable):
            told[url, api_key] = _deleted_among(url, api_key, sorted(ids))
    return told


def _deleted_among(url: str, api_key: str | None, ids: Sequence[str]) -> frozenset[str]:
    """Those of the runs that somebody deleted. Raises Unavailable."""
    found: set[str] = set()
    for begin in range(0, len(ids), _RUNS_AT_ONCE):
        some = ids[begin : begin + _RUNS_AT_ONCE]
        path = f"/api/v1/runs?{urlencode({'filter': filter_of_deleted(some), 'limit': len(some)})}"
        status, fields = request_json(url, api_key, path, _TIMEOUT_S, _MAX_RESPONSE_BYTES)
        rows = fields.get("runs")
        if status != 200 or not isinstance(rows, list):
            raise refusal(url, status, fields)
        found.update(row["run"] for row in rows if isinstance(row, dict) and row.get("run") in some)
    return frozenset(found)


class DeletionWatch:
    """Marks the folders of writers whose runs are deleted (`runstream.deletion`), where their processes see it."""

    def __init__(self, writers: Callable[[], Iterable[tuple[Path, WriterInfo]]], every_s: float) -> None:
        """`writers`: those that there are now, with their folders; called by the thread that runs this."""
        self._writers = writers
        self._every_s = every_s

    def run(self, stop: threading.Event) -> None:
        """Look until `stop` is set. For a thread of its own: a server that does not answer holds up nobody else."""
        while not stop.wait(self._every_s):
            try:
                self.look()
            except Exception:
                log.exception("looking for deleted runs failed in an unexpected way; it is tried again")

    def look(self) -> None:
        """Look once. A server that does not tell changes nothing."""
        writers = list(self._writers())
        told = deleted_runs(info for _, info in writers)
        for folder, info in writers:
            deleted = told.get((info.url, info.api_key))
            if deleted is not None:
                mark_deleted(folder, info.run_id in deleted)
