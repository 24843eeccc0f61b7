"""Handlers that read runs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa

from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.places import Place
from runstream_protocols.ubiops.found import EXPERIMENT, require_experiment, runs_of
from runstream_protocols.ubiops.models import ListedRun, ListedRuns, RunsQuery, RunStatus, ShownRun
from runstream_protocols.ubiops.side import UbiopsSide, place_in
from runstream_protocols.ubiops.values import name_of
from runstream_query.filters.tree import Compare, Expression, Field, Instant
from runstream_query.repositories.attributes import Kind
from runstream_query.repositories.reader import rows_in_slices
from runstream_query.repositories.runs import RunRecord
from runstream_service.routing import Call

#: The values of a run that say how it was created.
REQUEST: Final = "ubiops.request"
TIMEOUT: Final = "ubiops.timeout"
#: What its code returned.
RESULT: Final = "ubiops.result"
_RUN_STATUSES: Final = ("pending", "processing", "completed", "failed", "cancelled", "cancelled_pending")


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A run. `request`, `timeout_s`: of one that this client created; `result`: of one that an agent executed; None of
    others."""

    record: RunRecord
    request: dict[str, Any] | None = None
    timeout_s: int | None = None
    result: dict[str, Any] | None = None

    @property
    def is_pending(self) -> bool:
        """Whether nobody has taken it on yet: whoever does, names the machine."""
        return self.request is not None and not self.record.columns["host"]


async def run(side: UbiopsSide, call: Call[object]) -> ShownRun:
    """Return a run; of one that completed with its result."""
    found = await require_run(side, place_in(call), call)
    listed = _listed(found)
    result = None
    if listed.status == "completed":
        result = found.result or await _result_of_metrics(side, found)
    message = str(found.record.columns["message"]) or None
    return ShownRun(
        **dict(listed),
        error_message=message if listed.status == "failed" else None,
        timeout=found.timeout_s,
        request_data=found.request,
        result=result,
        origin={"created_by": found.record.user} if found.record.user else {},
    )


async def runs(side: UbiopsSide, call: Call[RunsQuery]) -> ListedRuns:
    """Return the runs of an experiment, the newest first: those of a status, of a time, or whose id begins so."""
    place, query = place_in(call), call.parameters
    experiment = (await require_experiment(side, place, name_of(EXPERIMENT, call.path["version"]))).name
    if query.status is not None and query.status not in _RUN_STATUSES:
        raise Refused(f"status is {query.status[:40]!r}: give one of {', '.join(_RUN_STATUSES)}", name="status")
    within: list[Expression] = []
    for name, text, operator in (("start_date", query.start_date, ">="), ("end_date", query.end_date, "<=")):
        if text:
            at_us = int(_moment(name, text).timestamp() * 1_000_000)
            within.append(Compare(Field("created"), ">=" if operator == ">=" else "<=", Instant(at_us)))
    ids = await runs_of(side, place, experiment, within)
    if query.search_id:
        ids = [one for one in ids if one.startswith(query.search_id.replace("-", ""))]
    listed = [_listed(one) for one in await found_runs(side, ids)]
    wanted = [one for one in listed if query.status in (None, one.status)]
    end = None if query.limit is None else query.offset + query.limit
    return ListedRuns(wanted[query.offset : end])


async def require_run(side: UbiopsSide, place: Place, call: Call[Any]) -> FoundRun:
    """Return the run that a request names, in its experiment. Raises Refused (404)."""
    experiment = (await require_experiment(side, place, name_of(EXPERIMENT, call.path["version"]))).name
    for found in await found_runs(side, [call.path["run"]]):
        record = found.record
        if (record.workspace, record.project, record.columns["experiment"]) == (*place.pair, experiment):
            return found
    detail = f"the experiment {experiment!r} has no run {call.path['run'][:80]!r}: take the id of one that it has"
    raise Refused(detail, status=404)


def run_status(record: RunRecord, *, is_pending: bool) -> RunStatus:
    """Return UbiOps' word for the status of a run."""
    match record.status:
        case "running":
            return "pending" if is_pending else "processing"
        case "finished":
            return "completed"
        case "killed":
            return "cancelled"
        case _:
            return "failed"


async def found_runs(side: UbiopsSide, ids: Sequence[str]) -> list[FoundRun]:
    """Return the runs with these ids that are not deleted, in this order."""
    context = side.context
    shown = await context.repositories.runs.shown(context.scope, list(dict.fromkeys(ids)), context.clock())
    records = [one for one in shown.values() if not one.deleted]
    if not records:
        return []
    kinds = [Kind("other", (REQUEST, TIMEOUT, RESULT))]
    cells = await context.repositories.attributes.cells(context.scope, [one.run for one in records], kinds)
    said: dict[str, dict[str, Any]] = {}
    for cell in cells:
        said.setdefault(cell.run, {})[cell.name] = json.loads(cell.value)
    found = []
    for record in records:
        values = said.get(record.run, {})
        request, timeout_s, result = values.get(REQUEST), values.get(TIMEOUT), values.get(RESULT)
        found.append(
            FoundRun(
                record,
                request if isinstance(request, dict) else None,
                timeout_s if isinstance(timeout_s, int) else None,
                result if isinstance(result, dict) else None,
            )
        )
    return found


async def _result_of_metrics(side: UbiopsSide, found: FoundRun) -> dict[str, Any]:
    """The result of a run that no agent executed: the last value of each of its metrics."""
    table = await side.context.repositories.summaries.of_run(side.context.scope, found.record.run)
    metrics = await side.context.off_loop(_metrics, table)
    return {"artifact": None, "metadata": None, "metrics": metrics}


def _listed(found: FoundRun) -> ListedRun:
    record = found.record
    status = run_status(record, is_pending=found.is_pending)
    has_ended = status in ("completed", "failed", "cancelled")
    return ListedRun(
        id=record.run,
        version=str(record.columns["experiment"]),
        status=status,
        success=status == "completed" if has_ended else None,
        time_created=record.created_at,
        time_started=None if found.is_pending else record.started_at,
        time_completed=record.ended_at if has_ended else None,
    )


def _metrics(table: pa.Table) -> dict[str, float]:
    return {row["metric"]: row["last"] for row in rows_in_slices(table.select(["metric", "last"]))}


def _moment(name: str, text: str) -> datetime:
    """The time in a query; without a zone it is UTC. Raises Refused."""
    try:
        at = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        return at if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise Refused(f"{name} is {text[:60]!r}: give a time such as 2026-01-31T12:00:00Z", name=name) from None
