"""`api.summaries`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from runstream.api.guarding import reads_responses
from runstream.api.parts.arguments import RunsOrIds, run_ids, texts
from runstream.api.session import Session
from runstream.api.views.options import ReadOptions
from runstream.api.views.summaries import Summaries, Summary


@reads_responses
class SummariesApi:
    """Summaries of metrics: `api.summaries(runs, metrics)`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __call__(
        self, runs: RunsOrIds, metrics: str | Sequence[str] | None = None, **options: Unpack[ReadOptions]
    ) -> Summaries:
        """Read summaries of runs; `metrics` are names or globs (`val/*`), None is all."""
        body = {"runs": run_ids(runs), "metrics": [] if metrics is None else texts(metrics), **options}
        rows = self._session.post("/api/v1/summaries", body)["summaries"]
        return Summaries([Summary.of(row) for row in rows])
