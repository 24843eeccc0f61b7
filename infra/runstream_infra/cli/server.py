"""What the commands ask a server, over the client's own transport and the API's JSON: the base install is enough."""

import contextlib
import functools
import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from runstream_infra.cli.columns import row_members
from runstream_infra.cli.exits import BadInput, CommandError, Failed, Unreachable
from runstream_infra.cli.values import number_of

if TYPE_CHECKING:
    from runstream.api.transport import Body
    from runstream.settings import Settings

#: A full read of a long curve is slow to begin; everything else answers in well under a second.
TIMEOUT_S: Final = 60.0
#: What one page of runs may hold, so that a large --limit is several requests.
PAGE_RUNS: Final = 1000
ARROW: Final = "application/vnd.apache.arrow.stream"


@dataclass(frozen=True, slots=True)
class FoundRuns:
    """Rows of a list, each with the values of the asked columns under their keys; `more`: the list goes on."""

    rows: list[dict[str, Any]]
    more: bool


@dataclass(frozen=True, slots=True)
class Series:
    """One curve. `low` and `high` are there where a row stands for several points; `values` is their mean then."""

    steps: list[int]
    values: list[float]
    low: list[float] | None = None
    high: list[float] | None = None

    def as_json(self) -> dict[str, Any]:
        """The lists that there are."""
        lists: dict[str, Any] = {"steps": self.steps, "values": self.values}
        return lists if self.low is None else {**lists, "low": self.low, "high": self.high}

    def lines(self) -> Iterator[str]:
        """`step<TAB>value`, or `step<TAB>mean<TAB>low<TAB>high`. Values with all their digits."""
        columns = [self.values] if self.low is None or self.high is None else [self.values, self.low, self.high]
        for step, *numbers in zip(self.steps, *columns, strict=True):
            yield "\t".join([str(step), *map(repr, numbers)])


_Class = TypeVar("_Class", bound=type)


def _explains(asker: _Class) -> _Class:
    """A decorator for `Server`: its methods raise what a command does about it, also where an answer has a form that no
    Runstream server gives it."""
    for name, method in list(vars(asker).items()):
        if inspect.isfunction(method) and name[0] != "_":
            setattr(asker, name, _explained(method))
    return asker


def _explained(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(self: "Server", *arguments: Any, **options: Any) -> Any:
        from runstream.api.transport import understood

        with explained(self.url), understood(self._transport):
            return method(self, *arguments, **options)

    return call


@_explains
class Server:
    """Questions to one server. Every method blocks; raises Unreachable, BadInput, Failed."""

    def __init__(self, url: str, api_key: str | None, timeout_s: float = TIMEOUT_S) -> None:
        from runstream.api.transport import Transport

        self.url = url
        self.api_key = api_key
        self._timeout_s = timeout_s
        self._transport = Transport(url, api_key, timeout_s)

    def runs(
        self,
        *,
        filter_text: str = "",
        project: str | None = None,
        workspace: str | None = None,
        sort: str | None = None,
        limit: int = 50,
        columns: Sequence[str] = (),
    ) -> FoundRuns:
        """The first `limit` runs, with the values of `columns`: fields of every row, or `metric.`, `param.`, ..."""
        question = {
            "filter": filter_text or None,
            "project": project,
            "workspace": workspace,
            "sort": sort,
            "columns": ",".join(key for key in columns if key not in row_members()) or None,
        }
        rows: list[dict[str, Any]] = []
        cursor = None
        while len(rows) < limit:
            most = min(PAGE_RUNS, limit - len(rows))
            page = self._post("/runs/query", **question, limit=most, cursor=cursor)
            rows += [_flat(row) for row in page["runs"]]
            cursor = self._next(page, cursor, len(page["runs"]), most)
            if not cursor:
                break
        return FoundRuns(rows, cursor is not None)

    def run(self, run_id: str) -> dict[str, Any]:
        """One run, with `clock_ahead_s` beside the fields of every row. BadInput if there is none with this id."""
        answer = self._get(_run(run_id))
        return _flat(answer["run"]) | {"clock_ahead_s": answer.get("clock_ahead_s")}

    def attributes(self, run_id: str) -> dict[str, dict[str, Any]]:
        """`parameters` and `others`, by name."""
        return {
            kind: {item["name"]: item["value"] for item in self._get(f"{_run(run_id)}/{kind}")["values"]}
            for kind in ("parameters", "others")
        }

    def summaries(self, run_ids: Sequence[str]) -> list[dict[str, Any]]:
        """A row for each metric of these runs (at most 1,000), ordered by run and metric, with a `mean`."""
        return [row | {"mean": _mean(row)} for row in self._post("/summaries", runs=list(run_ids))["summaries"]]

    def assets(self, run_id: str) -> list[dict[str, Any]]:
        """The files of a run."""
        return list(self._get(f"{_run(run_id)}/assets")["assets"])

    def curves(self, run_ids: Sequence[str], metrics: Sequence[str], max_points: int) -> dict[tuple[str, str], Series]:
        """Curves by (run, metric), each in at most `max_points` stretches."""
        if not run_ids or not metrics:
            return {}
        answer = self._post("/series", runs=list(run_ids), metrics=list(metrics), max_points=max_points)
        return {(row["run"], row["metric"]): _envelope(row) for row in answer["envelopes"] or ()}

    def series(self, run_id: str, metric: str, max_points: int | None) -> Series:
        """One curve: every point, or at most `max_points` stretches."""
        answer = self._get(f"{_run(run_id)}/series", metrics=[metric], max_points=max_points)
        # `metric` may be a glob to the server; what is shown is the curve of that name.
        for row in answer["curves" if max_points is None else "envelopes"] or ():
            if row["metric"] == metric:
                return _curve(row) if max_points is None else _envelope(row)
        raise BadInput(f"run {run_id} has no metric {metric!r}: `runstream show {run_id}` lists what it has")

    @contextlib.contextmanager
    def arrow_points(self, run_ids: Sequence[str], metrics: Sequence[str], *, epochs: bool = False) -> Iterator["Body"]:
        """Every point of these runs and metrics as an Arrow stream, to be read while the block lasts. epochs: with a
        last column `epoch`."""
        question = {"runs": list(run_ids), "metrics": list(metrics)} | ({"epochs": True} if epochs else {})
        with explained(self.url), self._transport.open("POST", "/api/v1/series", question, {"Accept": ARROW}) as body:
            yield body

    def readiness(self) -> dict[str, Any]:
        """`ready`, and by name what each part of the server says of itself. A server that is not ready answers too."""
        with explained(self.url), self._transport.open("GET", "/readyz", any_status=True) as body:
            answer = self._transport.json_of(body)
        try:
            return {"ready": bool(answer["ready"]), "checks": dict(answer["checks"])}
        except (ValueError, KeyError, TypeError):
            raise Failed(f"{self.url}/readyz answered something unknown: is this a Runstream server?") from None

    def status(self) -> dict[str, Any]:
        """How the server is doing: its version, how far its tables lag, what is in quarantine, room on its disk."""
        return self._get("/server")

    def key_rights(self) -> dict[str, Any] | None:
        """`name` of the key (None where the server has none) and `may_write`; None if the server does not know it."""
        from runstream.api.errors import Refused

        with explained(self.url):
            try:
                return _object(self.url, self._transport.get("/api/v1/key"))
            except Refused as error:
                if error.problem.get("status") == 401:
                    return None
                raise

    def odd_clocks(self) -> list[dict[str, Any]]:
        """Running runs whose clock is far from the server's: run, name, clock_ahead_s (negative: behind)."""
        return list(self._get("/clocks")["runs"])

    def artifacts(self, limit: int, **scope: str | None) -> tuple[list[dict[str, Any]], bool]:
        """The first `limit` artifacts of a workspace, project, type, name; and whether there are more."""
        return self._first("/artifacts", "artifacts", limit, scope)

    def artifact_versions(self, artifact: str, limit: int) -> tuple[list[dict[str, Any]], bool]:
        """The newest `limit` versions of an artifact, by its id; and whether there are more."""
        return self._first(f"/artifacts/{artifact}/versions", "versions", limit, {})

    def _first(
        self, path: str, name: str, limit: int, query: Mapping[str, str | None]
    ) -> tuple[list[dict[str, Any]], bool]:
        rows: list[dict[str, Any]] = []
        cursor = None
        while len(rows) < limit:
            most = min(PAGE_RUNS, limit - len(rows))
            page = self._get(path, **query, limit=most, cursor=cursor)
            rows += page[name]
            cursor = self._next(page, cursor, len(page[name]), most)
            if not cursor:
                break
        return rows, cursor is not None

    def _get(self, path: str, **query: Any) -> dict[str, Any]:
        with explained(self.url):
            return _object(self.url, self._transport.get("/api/v1" + path, **query))

    def _post(self, path: str, **fields: Any) -> dict[str, Any]:
        with explained(self.url):
            return _object(self.url, self._transport.post("/api/v1" + path, fields))

    def _next(self, page: Mapping[str, Any], before: str | None, rows: int, limit: int) -> str | None:
        from runstream.api.transport import next_page

        return next_page(page, before, rows, limit, self.url)


def connect(url: str | None, api_key: str | None) -> Server:
    """The server that options, environment and files name, in that order. Raises BadInput."""
    values = client_settings(url=url, api_key=api_key).values
    return Server(values.url, values.api_key.get_secret_value() if values.api_key else None)


def client_settings(**arguments: Any) -> "Settings":
    """The client's settings, as `runstream.init` would see them here. Raises BadInput."""
    from runstream.errors import InvalidSetting
    from runstream.settings import load_settings

    try:
        settings = load_settings(**arguments)
    except InvalidSetting as error:
        raise BadInput(str(error)) from None
    for note in settings.notes:
        click.echo(note, err=True)
    return settings


def refusal(problem: Mapping[str, Any], url: str) -> CommandError:
    """What an answer that refuses (RFC 9457) means for a command. Pure."""
    detail = str(problem.get("detail") or problem.get("title") or "the request was refused")
    if problem.get("status") in (401, 403):
        return Unreachable(f"{url} does not let this in: {detail} (--api-key or RUNSTREAM_API_KEY)")
    pointed = problem.get("pointed")
    shown = "\n".join(f"  {line}" for line in pointed.splitlines()) if isinstance(pointed, str) else ""
    return BadInput(detail, shown)


@contextlib.contextmanager
def explained(url: str) -> Iterator[None]:
    """The client's errors as what they mean for a command."""
    from runstream.api.errors import Refused, ServerFailed, ServerUnreachable
    from runstream.errors import Invalid

    try:
        yield
    except ServerUnreachable as error:
        raise Unreachable(str(error)) from None
    except ServerFailed as error:
        raise Failed(str(error)) from None
    except Refused as error:
        raise refusal(error.problem, url) from None
    except Invalid as error:
        raise BadInput(str(error)) from None


def _object(url: str, answer: Any) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise Failed(f"{url} answered something that is no JSON object: is this a Runstream server?")
    return answer


def _run(run_id: str) -> str:
    from runstream.api.transport import segment

    return f"/runs/{segment(run_id)}"


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row's own fields under their short keys, and the values of the asked columns beside them."""
    return {**row.get("columns", {}), **{key: row.get(field) for key, field in row_members().items()}}


def _mean(summary: Mapping[str, Any]) -> float:
    numbers = summary["count"] - summary["nan_count"]
    total = number_of(summary["total"])
    return total / numbers if numbers and not math.isnan(total) else math.nan


def _curve(row: Mapping[str, Any]) -> Series:
    return Series(list(row["steps"]), [number_of(value) for value in row["values"]])


def _envelope(row: Mapping[str, Any]) -> Series:
    mean, low, high = ([number_of(value) for value in row[key]] for key in ("mean", "min", "max"))
    return Series(list(row["first_step"]), mean, low, high)
