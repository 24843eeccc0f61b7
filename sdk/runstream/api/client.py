"""`runstream.API`: everything that was logged, read back."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlencode

from runstream.api.artifact_calls import ArtifactCalls
from runstream.api.documented_panel import DocumentedPanel
from runstream.api.errors import NameTaken, ServerFailed
from runstream.api.live import Change, changes
from runstream.api.optional import pyarrow
from runstream.api.panel_context import PanelContext
from runstream.api.saving import saved, target_in
from runstream.api.series import Curve, Envelope, Series, curves_of
from runstream.api.transport import Transport, next_page, reads_answers, segment, understood
from runstream.api.values import number
from runstream.api.views import Asset, Experiment, Project, Runs, RunView, Summaries, Summary, Table, Workspace, Writer
from runstream.errors import Invalid
from runstream.notices import PROCESS_NOTICES
from runstream.settings import load_settings

_PAGE: Final = 500
_CHUNK_BYTES: Final = 1 << 20
_ARROW: Final = "application/vnd.apache.arrow.stream"


@reads_answers
class API(ArtifactCalls, DocumentedPanel):
    """Reads from, and sends commands to, one server. Blocking; may be shared by threads.

    `url` and `api_key` default to the client's settings (environment and files). `workspace` and `project`, where they
    are given here, narrow what `runs` and `experiments` list; the settings' own are for logging and narrow nothing.

    Options that most reads take: `wait_for` (a position such as "0:41": answer once it is visible) with `wait_s`
    (seconds, bounded by the server), and `as_of` (a position or an ISO time: the state at that moment).

    Beside its own methods it has those of Comet's page on Python Panels (`get_experiments`, `query`, ...), under their
    names; inside of a panel they are about the panel's project.

    Raises InvalidSetting here; every method raises ServerUnreachable, ServerFailed, Refused or NotFound.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        workspace: str | None = None,
        project: str | None = None,
    ) -> None:
        settings = load_settings(url=url, api_key=api_key, workspace=workspace, project=project)
        for note in settings.notes:
            PROCESS_NOTICES.once(note, note)
        values = settings.values
        key = values.api_key.get_secret_value() if values.api_key else None
        self._transport = Transport(values.url, key)
        self._workspace, self._project = workspace, project
        self._panel = PanelContext.here()

    @property
    def url(self) -> str:
        return self._transport.url

    def __repr__(self) -> str:
        return f"API({self.url!r})"

    def runs(
        self,
        filter: str | None = None,
        sort: str | None = None,
        limit: int | None = None,
        *,
        columns: Sequence[str] = (),
        workspace: str | None = None,
        project: str | None = None,
        experiment: str | None = None,
        wait_for: str | None = None,
        wait_s: float | None = None,
    ) -> Runs:
        """Runs that match `filter` (docs/query-language.md), in the order of `sort` (`-metric.loss.min,created`; newest
        first without it), at most `limit` (None is all). `columns` are metric, param, other and env fields, or
        `param.*`, whose values come along."""
        if limit is not None and limit < 0:
            raise Invalid(f"limit is {limit}: give 0 or more, or None for all runs")
        question: dict[str, Any] = {
            "filter": filter,
            "sort": sort,
            "columns": ",".join(columns) or None,
            "workspace": workspace or self._workspace,
            "project": project or self._project,
            "experiment": experiment,
            "wait_for": wait_for,
            "wait_s": wait_s,
        }
        return self._runs_by_page(question, limit)

    def _runs_by_page(self, question: dict[str, Any], limit: int | None) -> Runs:
        found: list[RunView] = []
        while limit is None or len(found) < limit:
            question["limit"] = _PAGE if limit is None else min(_PAGE, limit - len(found))
            page = self._transport.post("/api/v1/runs/query", question)
            rows = page["runs"]
            found += [RunView.of(self, _with_numbers(row)) for row in rows]
            question["cursor"] = next_page(page, question.get("cursor"), len(rows), question["limit"], self.url)
            if question["cursor"] is None:
                break
        return Runs(found)

    def run(
        self, run: str | RunView, *, as_of: str | None = None, wait_for: str | None = None, wait_s: float | None = None
    ) -> RunView:
        """One run by its id. Raises NotFound."""
        answer = self._transport.get(_run(run), as_of=as_of, wait_for=wait_for, wait_s=wait_s)
        return RunView.of(self, answer["run"])

    def writers(self, run: str | RunView, *, as_of: str | None = None) -> Table[Writer]:
        """Who writes the run, or wrote it, by id; also whose clock is off."""
        answer = self._transport.get(_run(run), as_of=as_of)
        return Table([Writer.of(row) for row in answer["writers"]])

    def parameters(self, run: str | RunView, **options: str | float | None) -> dict[str, Any]:
        """Hyper-parameters by dotted name, as they were logged (NaN and infinities as "NaN", "Infinity" ...)."""
        return self._attributes(run, "parameters", options)

    def others(self, run: str | RunView, **options: str | float | None) -> dict[str, Any]:
        """Other single values by name."""
        return self._attributes(run, "others", options)

    def environment(self, run: str | RunView, **options: str | float | None) -> dict[str, Any]:
        """What the run ran on, by SECTION.NAME: `git.commit`, `host.hostname`, ..."""
        return self._attributes(run, "environment", options)

    def _attributes(self, run: str | RunView, kind: str, options: Mapping[str, str | float | None]) -> dict[str, Any]:
        answer = self._transport.get(f"{_run(run)}/{kind}", **options)
        return {item["name"]: item["value"] for item in answer["values"]}

    def summaries(
        self,
        runs: str | RunView | Sequence[str | RunView],
        metrics: str | Sequence[str] | None = None,
        *,
        as_of: str | None = None,
        wait_for: str | None = None,
        wait_s: float | None = None,
    ) -> Summaries:
        """Summaries of runs; `metrics` are names or globs (`val/*`), None is all."""
        question = {"as_of": as_of, "wait_for": wait_for, "wait_s": wait_s}
        body = {"runs": _ids(runs), "metrics": [] if metrics is None else _texts(metrics), **question}
        return Summaries([Summary.of(row) for row in self._transport.post("/api/v1/summaries", body)["summaries"]])

    def series(
        self,
        runs: str | RunView | Sequence[str | RunView],
        metrics: str | Sequence[str] = "*",
        max_points: int | None = None,
        *,
        step_from: int | None = None,
        step_to: int | None = None,
        by: Literal["step", "time"] = "step",
        epochs: bool = False,
        as_of: str | None = None,
        wait_for: str | None = None,
        wait_s: float | None = None,
    ) -> Series:
        """Curves of several runs and metrics (names or globs) in one request, made when the result is first used.

        With `max_points` each curve comes in at most so many buckets, which divide steps or time (`by`), with the exact
        minimum, maximum, mean and counts of each; without, as all its points. The step range is inclusive. `epochs`
        (only of all points): also the epoch that each point was logged in, as clients say that know epochs.
        """
        question = {
            "runs": _ids(runs),
            "metrics": _texts(metrics),
            "max_points": max_points,
            "step_from": step_from,
            "step_to": step_to,
            "by": by,
            "epochs": epochs or None,
            "as_of": as_of,
            "wait_for": wait_for,
            "wait_s": wait_s,
        }

        def fetch_arrow() -> Any:
            arrow = pyarrow("Series.to_arrow")
            body = {name: value for name, value in question.items() if value is not None}
            with self._transport.open("POST", "/api/v1/series", body, {"Accept": _ARROW}) as response:
                try:
                    return arrow.ipc.open_stream(response).read_all()
                except (arrow.ArrowException, OSError, MemoryError) as error:
                    raise ServerFailed(f"the Arrow stream of {self.url} broke off or is damaged: {error}") from error

        def fetch_curves() -> list[Curve | Envelope]:
            with understood(self._transport):
                return curves_of(self._transport.post("/api/v1/series", question))

        return Series(fetch_curves, fetch_arrow)

    def assets(self, run: str | RunView, kind: str | None = None, *, as_of: str | None = None) -> Table[Asset]:
        """The files of a run, by name."""
        answer = self._transport.get(f"{_run(run)}/assets", kind=kind, as_of=as_of)
        return Table([Asset.of(row) for row in answer["assets"]])

    def download(self, asset: Asset, to: str | os.PathLike[str]) -> Path:
        """Write the asset's bytes to the file `to` (into it, under the last part of the asset's name, made safe, if it
        is a directory) and return its path. The file appears when it is whole."""
        target = Path(to)
        if target.is_dir():
            target = target_in(target, asset.name, asset.asset)
        path = f"{_run(asset.run)}/assets/{segment(asset.asset)}"
        received, digest = 0, hashlib.sha256()
        with self._transport.open("GET", path, headers={"Accept": "*/*"}) as response, saved(target) as file:
            while received <= asset.size_bytes and (chunk := response.read(_CHUNK_BYTES)):
                received += file.write(chunk)
                digest.update(chunk)
            if received > asset.size_bytes:
                raise ServerFailed(f"asset {asset.name!r} has more than the {asset.size_bytes} bytes that were logged")
            if received != asset.size_bytes:
                raise ServerFailed(f"asset {asset.name!r} broke off after {received} of {asset.size_bytes} bytes")
            # Zeros name no file: they stand where nobody said a hash.
            if asset.sha256.strip("0") and digest.hexdigest() != asset.sha256:
                raise ServerFailed(f"the bytes of asset {asset.name!r} are not those that were logged: get it again")
        return target

    def output(self, run: str | RunView, stream: Literal["stdout", "stderr"] | None = None) -> str:
        """What the run printed, writer by writer."""
        texts: list[str] = []
        cursor = None
        while True:
            page = self._transport.get(f"{_run(run)}/output", stream=stream, cursor=cursor)
            texts += [piece["text"] for piece in page["pieces"]]
            cursor = next_page(page, cursor, 0, 0, self.url)
            if cursor is None:
                return "".join(texts)

    def history(self, run: str | RunView) -> Iterator[dict[str, Any]]:
        """The run's control events in the log's order: position, writer, seq, at, type, event."""
        cursor = None
        while True:
            page = self._transport.get(f"{_run(run)}/history", cursor=cursor)
            yield from page["events"]
            cursor = next_page(page, cursor, 0, 0, self.url)
            if cursor is None:
                return

    def workspaces(self) -> Table[Workspace]:
        return Table([Workspace(**row) for row in self._transport.get("/api/v1/workspaces")["workspaces"]])

    def projects(self, workspace: str | None = None) -> Table[Project]:
        rows = self._transport.get("/api/v1/projects", workspace=workspace or self._workspace)["projects"]
        return Table([Project.of(row) for row in rows])

    def experiments(self, workspace: str | None = None, project: str | None = None) -> Table[Experiment]:
        scope = {"workspace": workspace or self._workspace, "project": project or self._project}
        rows = self._transport.get("/api/v1/experiments", **scope)["experiments"]
        return Table([Experiment.of(row) for row in rows])

    def live(
        self,
        runs: str | RunView | Sequence[str | RunView] = (),
        metrics: str | Sequence[str] = (),
        *,
        workspace: str | None = None,
        project: str | None = None,
        since: str | None = None,
        reconnect: bool = True,
    ) -> Iterator[Change]:
        """Changes of runs and summaries as they become visible, for as long as they are iterated. Nothing that changed
        behind `since` (a position; default: now) is left out; intermediate states may be. A lost connection is opened
        again where it broke off, unless `reconnect` is false."""
        pairs = [("runs", run) for run in _ids(runs)] + [("metrics", metric) for metric in _texts(metrics)]
        scope = {"workspace": workspace or self._workspace, "project": project or self._project}
        pairs += [(name, value) for name, value in scope.items() if value is not None]
        return changes(self, self._transport, f"/api/v1/live?{urlencode(pairs)}", since, reconnect)

    def command(self, run: str | RunView, event: Mapping[str, Any]) -> str:
        """Append a control event (without `at_us` it gets the server's clock) to the run and return its position, once
        every read shows it. An event of a project or experiment has the key WORKSPACE/PROJECT in the run's place.
        Raises ServerFailed if it was accepted but not visible in time: it will be."""
        return str(self._command(_id(run), event)["positions"])

    def create_project(
        self, project: str, workspace: str | None = None, *, description: str = "", exist_ok: bool = False
    ) -> str:
        """Create a project and return its position. A name is created once, however many ask for it at the same time
        and wherever: NameTaken for all others, unless `exist_ok`."""
        place = {"workspace": workspace or self._workspace or "default", "project": project}
        event = {"type": "project_created.v1", **place, "description": description}
        return self._create(f"project {project!r}", place, event, exist_ok)

    def create_experiment(
        self,
        experiment: str,
        project: str | None = None,
        workspace: str | None = None,
        *,
        description: str = "",
        exist_ok: bool = False,
    ) -> str:
        """Create an experiment of a project; the rest as `create_project`."""
        place = {
            "workspace": workspace or self._workspace or "default",
            "project": project or self._project or "default",
        }
        event = {"type": "experiment_created.v1", **place, "experiment": experiment, "description": description}
        return self._create(f"experiment {experiment!r}", place, event, exist_ok)

    def _create(self, what: str, place: Mapping[str, str], event: Mapping[str, Any], exist_ok: bool) -> str:
        key = f"{place['workspace']}/{place['project']}"
        answer = self._command(key, event)
        [command] = answer["commands"]
        outcome = self._transport.get(f"/api/v1/commands/{command}", key=key, wait_for=answer["positions"])
        if not outcome["changed"] and not exist_ok:
            raise NameTaken(f"there is a {what} in {key!r} already: give another name, or exist_ok=True", outcome)
        return str(answer["positions"])

    def _command(self, key: str, event: Mapping[str, Any]) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = self._transport.post("/ingest/v1/commands", {"key": key, "event": dict(event)})
        if not answer["visible"]:
            raise ServerFailed(
                f"the {event.get('type')} of {key!r} is durable at {answer['positions']} but not visible yet: "
                "read with wait_for"
            )
        return answer

    def rename(self, run: str | RunView, name: str) -> str:
        """Give the run another name. Returns its position, as all commands do."""
        return self.command(run, {"type": "run_renamed.v1", "name": name})

    def archive(self, run: str | RunView) -> str:
        """Take the run out of lists; `restore` brings it back."""
        return self.command(run, {"type": "run_archived.v1"})

    def delete(self, run: str | RunView) -> str:
        """Mark the run as deleted; `restore` brings it back."""
        return self.command(run, {"type": "run_deleted.v1"})

    def restore(self, run: str | RunView) -> str:
        """Undo `archive` and `delete`."""
        return self.command(run, {"type": "run_restored.v1"})

    def add_tags(self, run: str | RunView, tags: str | Sequence[str]) -> str:
        return self.command(run, {"type": "tags_added.v1", "tags": _texts(tags)})

    def remove_tags(self, run: str | RunView, tags: str | Sequence[str]) -> str:
        return self.command(run, {"type": "tags_removed.v1", "tags": _texts(tags)})

    def set_notes(self, run: str | RunView, notes: str) -> str:
        return self.command(run, {"type": "run_notes_set.v1", "notes": notes})

    def move(self, run: str | RunView, workspace: str, project: str, experiment: str | None = None) -> str:
        """Put the run into another place."""
        event = {"type": "run_moved.v1", "workspace": workspace, "project": project, "experiment": experiment}
        return self.command(run, event)


def _id(run: str | RunView) -> str:
    return run.run if isinstance(run, RunView) else run


def _run(run: str | RunView) -> str:
    return f"/api/v1/runs/{segment(_id(run))}"


def _texts(value: str | Sequence[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _ids(runs: str | RunView | Sequence[str | RunView]) -> list[str]:
    several = [runs] if isinstance(runs, str | RunView) else runs
    return [_id(run) for run in several]


def _with_numbers(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with the metrics among its columns as numbers; what was logged otherwise stays as it was."""
    columns = {name: number(value) if name.startswith("metric.") else value for name, value in row["columns"].items()}
    return {**row, "columns": columns}
