"""What the reading commands ask a server, over the API's JSON: needs neither pandas nor the server's packages."""

import contextlib
import http.client
import io
import json
import math
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode, urlsplit

from runstream_infra.cli.exits import BadInput, Failed, Unreachable
from runstream_infra.cli.values import number_of

if TYPE_CHECKING:
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


class Server:
    """Questions to one server. Every method blocks; raises Unreachable, BadInput, Failed."""

    def __init__(self, url: str, api_key: str | None, timeout_s: float = TIMEOUT_S) -> None:
        self.url = url.rstrip("/")
        self._api_key = api_key
        self._timeout_s = timeout_s
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadInput(
                f"{url!r} is no address of a server: give one like http://127.0.0.1:7070 (--url, RUNSTREAM_URL)"
            )

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
        asked = {
            "filter": filter_text,
            "project": project,
            "workspace": workspace,
            "sort": sort,
            "columns": ",".join(key for key in columns if key not in ROW_FIELDS),
        }
        rows: list[dict[str, Any]] = []
        cursor = None
        while len(rows) < limit:
            page = self.get("/runs", **asked, limit=min(PAGE_RUNS, limit - len(rows)), cursor=cursor)
            rows += [_flat(row) for row in page["runs"]]
            cursor = page["next_cursor"]
            if not cursor:
                break
        return FoundRuns(rows, cursor is not None)

    def run(self, run_id: str) -> dict[str, Any]:
        """One run. BadInput if there is none with this id."""
        return _flat(self.get(f"/runs/{_part(run_id)}")["run"])

    def attributes(self, run_id: str) -> dict[str, dict[str, Any]]:
        """`parameters` and `others`, by name."""
        return {
            kind: {item["name"]: item["value"] for item in self.get(f"/runs/{_part(run_id)}/{kind}")["values"]}
            for kind in ("parameters", "others")
        }

    def summaries(self, run_id: str) -> list[dict[str, Any]]:
        """A row for each metric, by name, with a `mean` beside what the server keeps."""
        answer = self.get(f"/runs/{_part(run_id)}/summaries")
        rows = sorted(answer["summaries"], key=lambda row: str(row["metric"]))
        return [row | {"mean": _mean(row)} for row in rows]

    def assets(self, run_id: str) -> list[dict[str, Any]]:
        """The files of a run."""
        return list(self.get(f"/runs/{_part(run_id)}/assets")["assets"])

    def curves(self, run_ids: Sequence[str], metrics: Sequence[str], max_points: int) -> dict[tuple[str, str], Series]:
        """Curves by (run, metric), each in at most `max_points` stretches."""
        if not run_ids or not metrics:
            return {}
        answer = self.post("/series", runs=list(run_ids), metrics=list(metrics), max_points=max_points)
        return {(row["run"], row["metric"]): _envelope(row) for row in answer["envelopes"] or ()}

    def series(self, run_id: str, metric: str, max_points: int | None) -> Series:
        """One curve: every point, or at most `max_points` stretches."""
        answer = self.get(f"/runs/{_part(run_id)}/series", metrics=metric, max_points=max_points)
        # `metric` may be a glob to the server; what is shown is the curve of that name.
        for row in answer["curves" if max_points is None else "envelopes"] or ():
            if row["metric"] == metric:
                return _curve(row) if max_points is None else _envelope(row)
        raise BadInput(f"run {run_id} has no metric {metric!r}: `runstream show {run_id}` lists what it has")

    def summaries_of(self, run_ids: Sequence[str]) -> list[dict[str, Any]]:
        """The summaries of several runs (at most 1,000), ordered by run and metric."""
        return [row | {"mean": _mean(row)} for row in self.post("/summaries", runs=list(run_ids))["summaries"]]

    @contextlib.contextmanager
    def arrow_points(self, run_ids: Sequence[str], metrics: Sequence[str]) -> Iterator["Body"]:
        """Every point of these runs and metrics as an Arrow stream, to be read while the block lasts."""
        question = json.dumps({"runs": list(run_ids), "metrics": list(metrics)}).encode()
        with contextlib.closing(self._open("POST", "/api/v1/series", question, ARROW)) as body:
            yield body

    def readiness(self) -> dict[str, Any]:
        """`ready`, and by name what each part of the server says of itself."""
        try:
            answer = json.loads(self.request("GET", "/readyz", accept_status=503))
            return {"ready": bool(answer["ready"]), "checks": dict(answer["checks"])}
        except (ValueError, KeyError, TypeError):
            raise Failed(f"{self.url}/readyz answered something unknown: is this a Runstream server?") from None

    def figures(self) -> dict[str, Any]:
        """What /metrics tells of how the server is doing: see FIGURES."""
        totals: dict[str, float] = {}
        for line in self.request("GET", "/metrics").decode().splitlines():
            name, _, value = line.rpartition(" ")
            name = name.partition("{")[0]
            if name in FIGURES:
                totals[FIGURES[name]] = totals.get(FIGURES[name], 0.0) + float(value)
        return dict(totals)

    def get(self, path: str, **parameters: Any) -> dict[str, Any]:
        """The JSON of an answer under /api/v1. None and '' are left out."""
        chosen = {key: value for key, value in parameters.items() if value not in (None, "")}
        return self._object(self.request("GET", "/api/v1" + path + ("?" + urlencode(chosen) if chosen else "")))

    def post(self, path: str, **fields: Any) -> dict[str, Any]:
        """The JSON of the answer to a question that is too long for an address."""
        return self._object(self.request("POST", "/api/v1" + path, json.dumps(fields).encode()))

    def request(self, method: str, path: str, body: bytes | None = None, accept_status: int = 200) -> bytes:
        """The body of an answer. Raises for every status from 400 on but `accept_status`."""
        with contextlib.closing(self._open(method, path, body, "application/json", accept_status)) as answer:
            return answer.read()

    def _open(self, method: str, path: str, body: bytes | None, accept: str, accept_status: int = 200) -> "Body":
        headers = {"Accept": accept}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        try:
            return Body(urllib.request.urlopen(request, timeout=self._timeout_s), self.url)
        except urllib.error.HTTPError as error:
            with error:
                if error.code != accept_status:
                    raise problem(error.code, error.read(), self.url) from None
                return Body(io.BytesIO(error.read()), self.url)
        except (OSError, http.client.HTTPException) as error:
            raise unreachable(self.url, error) from None

    def _object(self, text: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise Failed(f"{self.url} answered something that is no JSON object: is this a Runstream server?")
        return answer


class Body:
    """The body of an answer, read piece by piece. Reading raises Unreachable if the server goes away meanwhile."""

    def __init__(self, answer: IO[bytes], url: str) -> None:
        self._answer, self._url = answer, url
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes (-1: all that is left); empty at the end."""
        try:
            return self._answer.read() if size < 0 else self._answer.read(size)
        except (OSError, http.client.HTTPException) as error:
            raise unreachable(self._url, error) from None

    def close(self) -> None:
        """Close the connection; what was not read is not."""
        self.closed = True
        self._answer.close()


def unreachable(url: str, error: Exception) -> Unreachable:
    """No answer came, or not all of it."""
    reason = getattr(error, "reason", None) or str(error) or type(error).__name__
    return Unreachable(f"no answer from {url} ({reason}): start one with `runstream up`, or set --url or RUNSTREAM_URL")


def connect(url: str | None, api_key: str | None) -> Server:
    """The server that options, environment and files name, in that order. Raises BadInput."""
    values = client_settings(url=url, api_key=api_key).values
    return Server(values.url, values.api_key.get_secret_value() if values.api_key else None)


def client_settings(**arguments: Any) -> "Settings":
    """The client's settings, as `runstream.init` would see them here. Raises BadInput."""
    from runstream.errors import InvalidSetting
    from runstream.settings import load_settings

    try:
        return load_settings(**arguments)
    except InvalidSetting as error:
        raise BadInput(str(error)) from None


def problem(status: int, body: bytes, url: str) -> Exception:
    """The error for an answer of `status`, in the words of the server (RFC 9457) where it gave any."""
    try:
        told = json.loads(body)
    except ValueError:
        told = {}
    told = told if isinstance(told, dict) else {}
    detail = str(told.get("detail") or told.get("title") or f"HTTP {status}")
    if status in (401, 403):
        return Unreachable(f"{url} refuses the key: {detail} (--api-key or RUNSTREAM_API_KEY)")
    if status in (400, 404, 409, 413, 414, 422):
        return BadInput(detail, pointed(told))
    if status in (429, 502, 503, 504):
        return Unreachable(f"{url} is not ready: {detail}; try again in a moment")
    return Failed(f"{url} failed: {detail}")


def pointed(told: Mapping[str, Any]) -> str:
    """The line with the mistake and a caret below it, if the server sent them."""
    shown = told.get("pointed")
    return "\n".join(f"  {line}" for line in shown.splitlines()) if isinstance(shown, str) else ""


#: Figures of /metrics that `runstream doctor` shows, and what it calls them. Values with different labels are added.
FIGURES: Final = {
    "runstream_lag_records": "lag_records",
    "runstream_quarantined_records": "quarantined",
    "runstream_disk_free_bytes": "disk_free_bytes",
}

#: Keys of columns that every row has, and where they stand in it.
ROW_FIELDS: Final = {
    "id": "run",
    "name": "name",
    "status": "status",
    "message": "message",
    "workspace": "workspace",
    "project": "project",
    "experiment": "experiment",
    "user": "user",
    "host": "host",
    "notes": "notes",
    "tags": "tags",
    "created": "created_at",
    "started": "started_at",
    "ended": "ended_at",
    "updated": "updated_at",
    "duration": "duration_s",
    "archived": "archived",
    "deleted": "deleted",
    "points_dropped": "points_dropped",
}


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with the values of the asked columns beside its own fields, and its own under their short keys too."""
    short = {key: row.get(field) for key, field in ROW_FIELDS.items()}
    return {**row.get("columns", {}), **short}


def _mean(summary: Mapping[str, Any]) -> float:
    numbers = summary["count"] - summary["nan_count"]
    total = number_of(summary["total"])
    return total / numbers if numbers and not math.isnan(total) else math.nan


def _curve(row: Mapping[str, Any]) -> Series:
    return Series(list(row["steps"]), [number_of(value) for value in row["values"]])


def _envelope(row: Mapping[str, Any]) -> Series:
    mean, low, high = ([number_of(value) for value in row[key]] for key in ("mean", "min", "max"))
    return Series(list(row["first_step"]), mean, low, high)


def _part(text: str) -> str:
    return quote(text, safe="")
