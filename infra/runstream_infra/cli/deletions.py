"""Deleted runs that are written all the same: which there are, and what a command says of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from runstream_infra.cli.values import plain_time

if TYPE_CHECKING:
    from runstream.api import API, RunDetails, RunView

#: How many of the deleted runs that changed last are looked at: each takes two requests.
MAX_LOOKED_AT: Final = 20
#: Deleted runs that are still written, or changed lately; archived ones too.
_CANDIDATES: Final = 'deleted and (archived or not archived) and (status = "running" or updated > now-7d)'


@dataclass(frozen=True, slots=True)
class Deletion:
    """When a run was deleted, and when its writers were last heard of after that (None: they were not)."""

    at: datetime
    written_at: datetime | None

    def warning(self, run_id: str) -> str:
        """Return what it means to whoever looks at the run."""
        from runstream.deletion import WAY_BACK

        written = ""
        if self.written_at is not None:
            written = f"its writers went on until {plain_time(self.written_at.isoformat())}; "
        return (
            f"it was deleted ({plain_time(self.at.isoformat())}), so no list shows it; {written}"
            f"what it logs is kept; {WAY_BACK.format(run_id)}"
        )


def deletion_of(api: "API", details: "RunDetails") -> Deletion | None:
    """Read when a run was deleted and whether it is written all the same; None if it is not deleted."""
    if not details.run.deleted:
        return None
    started: set[str] = set()
    deleted_at: datetime | None = None
    for entry in api.history(details.run):
        if entry["type"].startswith("run_started."):
            started.add(entry["writer"])
        elif entry["type"].startswith("run_deleted."):
            deleted_at = datetime.fromisoformat(entry["at"])
    if deleted_at is None:
        return None
    # Whoever sent a command about the run counts as a writer too, and wrote nothing.
    seen = [one.last_seen_at for one in details.writers if one.writer in started and one.last_seen_at is not None]
    return Deletion(deleted_at, max((at for at in seen if at > deleted_at), default=None))


def written_deleted_runs(api: "API", spooled: Iterable[str]) -> list[str]:
    """Read which runs are deleted and are written all the same: those that the server had data of after that, and those
    that stand in this machine's spool (`spooled`)."""
    found = [run for run in api.runs(_CANDIDATES, "-updated", MAX_LOOKED_AT) if run.deleted]
    written = [run.run for run in found if run.status == "running" or _is_written(api, run)]
    return list(dict.fromkeys([*written, *_deleted_of(api, sorted(set(spooled)))]))


def _is_written(api: "API", run: "RunView") -> bool:
    deletion = deletion_of(api, api.runs.details(run))
    return deletion is not None and deletion.written_at is not None


def _deleted_of(api: "API", runs: Sequence[str]) -> list[str]:
    from runstream.sender.deletions import filter_of_deleted

    if not runs:
        return []
    return [run.run for run in api.runs(filter_of_deleted(runs[:1000])) if run.deleted and run.run in runs]
