"""`api.runs`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal, Unpack
from urllib.parse import urlencode

from runstream.api.guarding import reads_responses
from runstream.api.parts.arguments import RunOrId, RunsOrIds, run_ids, run_path, texts
from runstream.api.parts.live import Change, changes
from runstream.api.session import Session
from runstream.api.values import Logged, Row, number
from runstream.api.views.fields import RunField
from runstream.api.views.options import ReadOptions
from runstream.api.views.output import OutputLine
from runstream.api.views.runs import HistoryEntry, RunDetails, RunReader, Runs, RunView, Writer
from runstream.api.views.table import Table
from runstream.errors import Invalid


@dataclass(frozen=True, slots=True)
class RunQuery:
    """Which runs, in which order, with which columns. None narrows nothing."""

    filter: str | None = None
    sort: str | None = None
    columns: Sequence[str] = ()
    workspace: str | None = None
    project: str | None = None
    experiment: str | None = None
    wait_for: str | None = None
    wait_s: float | None = None
    #: Further columns, which no run needs to have.
    optional_columns: Sequence[str] = ()
    as_of: str | None = None


#: What the gateway takes in one request.
_COMMANDS_AT_ONCE: Final = 1000
#: How many lines of output one request reads.
_LINES: Final = 1000


@reads_responses
class RunsApi:
    """Runs: `api.runs(filter)`, and what is done with one."""

    def __init__(self, session: Session, reader: RunReader) -> None:
        """`reader`: where the runs that are returned read the rest of themselves."""
        self._session = session
        self._reader = reader

    def __call__(
        self,
        filter: str | None = None,
        sort: str | None = None,
        limit: int | None = None,
        *,
        columns: str | Sequence[str] = (),
        optional_columns: str | Sequence[str] = (),
        workspace: str | None = None,
        project: str | None = None,
        experiment: str | None = None,
        as_of: str | None = None,
        wait_for: str | None = None,
        wait_s: float | None = None,
    ) -> Runs:
        """Read runs that match `filter` (docs/query-language.md), in the order of `sort` (`-metric.loss.min,created`;
        newest first without it), at most `limit` (None is all). `columns` are metric, param, other and env fields, or
        globs of them (`param.*`, `metric.val/*`), whose values come along: several as a list, or in one text with
        commas; nothing warns of `optional_columns` that no run has. `as_of`: a position or an ISO time; which runs were
        there then, and their rows, columns and order as they stood (what is read of them further is of the present)."""
        if limit is not None and limit < 0:
            raise Invalid(f"limit is {limit}: give 0 or more, or None for all runs")
        workspace, project = workspace or self._session.workspace, project or self._session.project
        query = RunQuery(filter, sort, texts(columns), workspace, project, experiment, wait_for, wait_s)
        return self.find(replace(query, optional_columns=texts(optional_columns), as_of=as_of), limit)

    def find(self, query: RunQuery, limit: int | None = None) -> Runs:
        """Read runs by a query as it stands: the API's own workspace and project narrow nothing."""
        columns = {name: ",".join(getattr(query, name)) or None for name in ("columns", "optional_columns")}
        body = {**asdict(query), **columns}
        found: list[RunView] = []
        more = False
        for page in self._session.pages("POST", "/api/v1/runs/query", "runs", body, limit=limit):
            found += [RunView.of(self._reader, _with_numbers(row)) for row in page.rows]
            more = page.more
        return Runs(found, more)

    def fields(
        self,
        filter: str | None = None,
        *,
        kinds: str | Sequence[str] = ("run", "metric", "param", "other"),
        prefix: str = "",
        values: int = 10,
        limit: int = 500,
        workspace: str | None = None,
        project: str | None = None,
    ) -> Table[RunField]:
        """Read which fields the runs that match have, with counts, ranges and the `values` values that most runs have.

        `kinds`: run, metric, param, other, env. `prefix`: only names of metrics and logged values that begin with it.
        At most `limit` names of metrics, and as many of logged values.
        """
        body = {
            "filter": filter,
            "kinds": texts(kinds),
            "prefix": prefix,
            "values": values,
            "limit": limit,
            "workspace": workspace or self._session.workspace,
            "project": project or self._session.project,
        }
        response = self._session.post("/api/v1/runs/fields", body)
        return Table([RunField.of(row) for row in response["fields"]], response["more"])

    def get(self, run: RunOrId, **options: Unpack[ReadOptions]) -> RunView:
        """Read one run by its id. Raises NotFound."""
        return RunView.of(self._reader, self._session.get(run_path(run), **options)["run"])

    def details(self, run: RunOrId, **options: Unpack[ReadOptions]) -> RunDetails:
        """Read one run with its writers, and how many metrics, parameters and assets it has. Raises NotFound."""
        return RunDetails.of(self._reader, self._session.get(run_path(run), **options))

    def writers(self, run: RunOrId, *, as_of: str | None = None) -> Table[Writer]:
        """Read who writes the run, or wrote it, by id; also whose clock is off."""
        rows = self._session.get(run_path(run), as_of=as_of)["writers"]
        return Table([Writer.of(row) for row in rows])

    def parameters(self, run: RunOrId, **options: Unpack[ReadOptions]) -> dict[str, Logged]:
        """Read hyper-parameters by dotted name, as they were logged (NaN and infinities as "NaN", "Infinity" ...)."""
        return self._attributes(run, "parameters", options)

    def others(self, run: RunOrId, **options: Unpack[ReadOptions]) -> dict[str, Logged]:
        """Read other single values by name."""
        return self._attributes(run, "others", options)

    def environment(self, run: RunOrId, **options: Unpack[ReadOptions]) -> dict[str, Logged]:
        """Read what the run ran on, by SECTION.NAME: `git.commit`, `host.hostname`, ..."""
        return self._attributes(run, "environment", options)

    def _attributes(self, run: RunOrId, kind: str, options: ReadOptions) -> dict[str, Logged]:
        rows = self._session.get(f"{run_path(run)}/{kind}", **options)["values"]
        return {row["name"]: row["value"] for row in rows}

    def output(self, run: RunOrId, stream: Literal["stdout", "stderr"] | None = None) -> str:
        """Read what the run printed, writer by writer."""
        printed: list[str] = []
        cursor = None
        while True:
            page = self._session.get(f"{run_path(run)}/output", stream=stream, cursor=cursor)
            printed += [piece["text"] for piece in page["pieces"]]
            cursor = self._session.next_cursor(page, cursor)
            if cursor is None:
                return "".join(printed)

    def output_lines(
        self,
        run: RunOrId,
        from_line: int = 1,
        limit: int = 1000,
        *,
        writer: str | None = None,
        stream: Literal["stdout", "stderr"] | None = None,
        time_from: str | None = None,
    ) -> Table[OutputLine]:
        """Read at most `limit` lines of what the run printed, from number `from_line` on (-100: the last hundred), or
        since a time; of one writer or all, in the order in which these began. The numbers are those of the lines that
        are selected."""
        lines: list[OutputLine] = []
        at: dict[str, Any] = {"from_line": from_line} if time_from is None else {"time_from": time_from}
        while len(lines) < limit:
            size = min(limit - len(lines), _LINES)
            page = self._session.get(f"{run_path(run)}/output/lines", writer=writer, stream=stream, limit=size, **at)
            lines += [OutputLine.of(row) for row in page["lines"]]
            if page["next_line"] > page["total"] or not page["lines"]:
                break
            at = {"from_line": page["next_line"]}
        return Table(lines[:limit])

    def search_output(
        self,
        run: RunOrId,
        text: str,
        limit: int = 1000,
        *,
        regex: bool = False,
        ignore_case: bool = False,
        writer: str | None = None,
        stream: Literal["stdout", "stderr"] | None = None,
    ) -> Table[OutputLine]:
        """Read the first `limit` lines of what the run printed that have a text, or match an RE2 pattern. `more`: there
        are others."""
        lines: list[OutputLine] = []
        at: int | None = 1
        while at is not None and len(lines) < limit:
            page = self._session.get(
                f"{run_path(run)}/output/search",
                search=text,
                regex=regex,
                ignore_case=ignore_case,
                writer=writer,
                stream=stream,
                from_line=at,
                limit=min(limit - len(lines), _LINES),
            )
            lines += [OutputLine.of(row) for row in page["matches"]]
            before, at = at, page["next_line"]
            if at is not None and at <= before:
                break
        return Table(lines[:limit], more=at is not None)

    def history(self, run: RunOrId) -> Iterator[HistoryEntry]:
        """Iterate over the run's control events in the log's order."""
        cursor = None
        while True:
            page = self._session.get(f"{run_path(run)}/history", cursor=cursor)
            yield from page["events"]
            cursor = self._session.next_cursor(page, cursor)
            if cursor is None:
                return

    def live(
        self,
        runs: RunsOrIds = (),
        metrics: str | Sequence[str] = (),
        *,
        workspace: str | None = None,
        project: str | None = None,
        since: str | None = None,
        reconnect: bool = True,
    ) -> Iterator[Change]:
        """Iterate over changes of runs and summaries as they become visible, without an end. Nothing that changed
        behind `since` (a position; default: now) is left out; intermediate states may be. A lost connection is opened
        again where it broke off, unless `reconnect` is false."""
        pairs = [("runs", run) for run in run_ids(runs)] + [("metrics", metric) for metric in texts(metrics)]
        scope = {"workspace": workspace or self._session.workspace, "project": project or self._session.project}
        pairs += [(name, value) for name, value in scope.items() if value is not None]
        return changes(self._reader, self._session, f"/api/v1/live?{urlencode(pairs)}", since, reconnect)

    def command(self, run: RunsOrIds, event: Mapping[str, Logged]) -> str:
        """Append a control event (without `at_us` it gets the server's clock) to the run, or to each of several, and
        return its position, once every read shows it. An event of a project or experiment has the key WORKSPACE/PROJECT
        in the run's place. Of 1,000 runs at a time, all get it or none. Raises NotFound for a run that does not exist;
        ServerFailed if it was accepted but not visible in time: it will be."""
        ids = list(dict.fromkeys(run_ids(run)))
        for begin in range(0, len(ids), _COMMANDS_AT_ONCE):
            self._session.append_to_all(ids[begin : begin + _COMMANDS_AT_ONCE], event)
        return self._session.position

    def rename(self, run: RunOrId, name: str) -> str:
        """Give the run another name. Returns its position, as all commands do."""
        return self.command(run, {"type": "run_renamed.v1", "name": name})

    def archive(self, run: RunsOrIds) -> str:
        """Take the run, or several, out of lists; `restore` brings them back."""
        return self.command(run, {"type": "run_archived.v1"})

    def delete(self, run: RunsOrIds) -> str:
        """Mark the run, or several, as deleted; `restore` brings them back."""
        return self.command(run, {"type": "run_deleted.v1"})

    def restore(self, run: RunsOrIds) -> str:
        """Undo `archive` and `delete`, of the run or of several."""
        return self.command(run, {"type": "run_restored.v1"})

    def add_tags(self, run: RunsOrIds, tags: str | Sequence[str]) -> str:
        """Add a tag, or several, to the run, or to several."""
        return self.command(run, {"type": "tags_added.v1", "tags": texts(tags)})

    def remove_tags(self, run: RunsOrIds, tags: str | Sequence[str]) -> str:
        """Remove a tag, or several, from the run, or from several."""
        return self.command(run, {"type": "tags_removed.v1", "tags": texts(tags)})

    def set_notes(self, run: RunOrId, notes: str) -> str:
        """Replace the run's notes."""
        return self.command(run, {"type": "run_notes_set.v1", "notes": notes})

    def move(self, run: RunsOrIds, workspace: str, project: str, experiment: str | None = None) -> str:
        """Move the run, or several, to another workspace, project and experiment."""
        event = {"type": "run_moved.v1", "workspace": workspace, "project": project, "experiment": experiment}
        return self.command(run, event)

    def link(self, run: RunOrId, workspace: str, project: str) -> str:
        """Show the run in another project too; it stays where it is."""
        return self.command(run, {"type": "run_linked.v1", "workspace": workspace, "project": project})

    def unlink(self, run: RunOrId, workspace: str, project: str) -> str:
        """Take the run's link to a project away."""
        return self.command(run, {"type": "run_unlinked.v1", "workspace": workspace, "project": project})


def _with_numbers(row: Row) -> Row:
    """Return the row with the metrics among its columns as numbers; what was logged otherwise stays as it was."""
    columns = {name: number(value) if name.startswith("metric.") else value for name, value in row["columns"].items()}
    return {**row, "columns": columns}
