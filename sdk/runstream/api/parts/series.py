"""`api.series`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal, overload

from runstream.api.errors import ServerFailed
from runstream.api.guarding import reads_responses, understood
from runstream.api.noticing import warn_of_header
from runstream.api.optional import pyarrow
from runstream.api.parts.arguments import RunsOrIds, run_ids, run_path, texts
from runstream.api.parts.following import growing
from runstream.api.session import Session
from runstream.api.views.charts import ChartCurve, GroupedCurve
from runstream.api.views.series import Curve, Envelope, Series
from runstream.errors import Invalid
from runstream.events.protocol import UNKNOWN_HEADER

if TYPE_CHECKING:
    import pyarrow as pa

_PATH: Final = "/api/v1/series"
_POINTS: Final = "/api/v1/points"
_CHARTS: Final = "/api/v1/charts"
_GROUPS: Final = "/api/v1/charts/groups"
_ARROW: Final = "application/vnd.apache.arrow.stream"


@reads_responses
class SeriesApi:
    """Curves: `api.series(runs, metrics)`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @overload
    def __call__(
        self,
        runs: RunsOrIds,
        metrics: str | Sequence[str] = "*",
        max_points: None = None,
        *,
        step_from: int | None = None,
        step_to: int | None = None,
        by: Literal["step", "time", "writer"] = "step",
        epochs: bool = False,
        as_of: str | None = None,
        wait_for: str | None = None,
        wait_s: float | None = None,
    ) -> Series[Curve]: ...
    @overload
    def __call__(
        self,
        runs: RunsOrIds,
        metrics: str | Sequence[str] = "*",
        *,
        max_points: int,
        step_from: int | None = None,
        step_to: int | None = None,
        by: Literal["step", "time", "writer"] = "step",
        epochs: bool = False,
        as_of: str | None = None,
        wait_for: str | None = None,
        wait_s: float | None = None,
    ) -> Series[Envelope]: ...
    @overload
    def __call__(
        self,
        runs: RunsOrIds,
        metrics: str | Sequence[str],
        max_points: int,
        *,
        step_from: int | None = None,
        step_to: int | None = None,
        by: Literal["step", "time", "writer"] = "step",
        epochs: bool = False,
        as_of: str | None = None,
        wait_for: str | None = None,
        wait_s: float | None = None,
    ) -> Series[Envelope]: ...
    def __call__(
        self,
        runs: RunsOrIds,
        metrics: str | Sequence[str] = "*",
        max_points: int | None = None,
        *,
        step_from: int | None = None,
        step_to: int | None = None,
        by: Literal["step", "time", "writer"] = "step",
        epochs: bool = False,
        as_of: str | None = None,
        wait_for: str | None = None,
        wait_s: float | None = None,
    ) -> Series[Curve] | Series[Envelope]:
        """Read curves of several runs and metrics (names or globs) in one request, made when the result is first used.

        With `max_points` each curve comes in at most so many buckets, which divide steps or time (`by`), with the exact
        minimum, maximum, mean and counts of each; without, as all its points. `by="writer"` (only of all points): a
        curve for each process that wrote the metric, with its `writer` and `rank`; iterated over, not as a table. The
        step range is inclusive. `epochs` (only of all points): also the epoch that each point was logged in, where its
        client knows epochs.
        """
        if by == "writer" and max_points is not None:
            raise Invalid('by = "writer" divides no buckets: leave max_points out, or by')
        body = {
            "runs": run_ids(runs),
            "metrics": texts(metrics),
            "max_points": max_points,
            "step_from": step_from,
            "step_to": step_to,
            "by": "step" if by == "writer" else by,
            "epochs": epochs or None,
            "as_of": as_of,
            "wait_for": wait_for,
            "wait_s": wait_s,
        }

        def fetch_arrow() -> pa.Table:
            with self._arrow(body, "Series.to_arrow") as reader:
                return reader.read_all()

        if max_points is None:
            read = self._by_writer if by == "writer" else self._curves
            return Series(lambda: read(body), fetch_arrow)
        return Series(lambda: self._envelopes(body), fetch_arrow)

    def batches(
        self, runs: RunsOrIds, metrics: str | Sequence[str] = "*", *, epochs: bool = False
    ) -> Iterator[pa.RecordBatch]:
        """Iterate over all points of runs and metrics, in Arrow batches with the columns of `Series.to_arrow`: memory
        does not grow with the number of points. Raises DataPackageMissing without pyarrow."""
        body = {"runs": run_ids(runs), "metrics": texts(metrics), "epochs": epochs or None}
        with self._arrow(body, "series.batches") as reader:
            yield from reader

    def nearest(
        self,
        runs: RunsOrIds,
        metrics: str | Sequence[str],
        near: int,
        points: int = 1,
        *,
        x: Literal["step", "time"] = "step",
        x_from: int | None = None,
        x_to: int | None = None,
        as_of: str | None = None,
        wait_for: str | None = None,
        wait_s: float | None = None,
    ) -> list[Curve]:
        """Read the logged points (`points` of each curve, at most 100) that are nearest to a place, with their epochs:
        to the step `near`, or with `x="time"` to the time (microseconds since 1970 UTC). Of a long curve `x_from` and
        `x_to`, inclusive, save looking at all of it."""
        body = {
            "runs": run_ids(runs),
            "metrics": texts(metrics),
            "near": near,
            "points": points,
            "x": x,
            "x_from": x_from,
            "x_to": x_to,
            "as_of": as_of,
            "wait_for": wait_for,
            "wait_s": wait_s,
        }
        return [Curve.of(row) for row in self._session.post(_POINTS, body)["curves"] or ()]

    def charts(
        self,
        runs: RunsOrIds,
        metrics: str | Sequence[str] = "*",
        max_points: int = 500,
        *,
        x: str = "step",
        x_from: float | None = None,
        x_to: float | None = None,
        by: Literal["series", "writer"] = "series",
        as_of: str | None = None,
        wait_for: str | None = None,
        wait_s: float | None = None,
    ) -> list[ChartCurve]:
        """Read curves of several runs and metrics (names or globs) in at most `max_points` buckets each, in one
        request.

        Every run has buckets of its own width, so that a long run does not make a short one coarse, and a curve with
        few enough points is these points. The axis `x` is `step`, `time` (microseconds since 1970 UTC), `relative` or
        `active` (microseconds since the run began, with the pauses between its attempts or without), `epoch`, or
        `metric:NAME` (the last value of another metric of the run at the same step); `x_from` and `x_to`, inclusive,
        are places on it. `by="writer"`: a curve for each process that wrote the metric, with its `writer`, `rank` and
        `attempt`.
        """
        body = {
            "runs": run_ids(runs),
            "metrics": texts(metrics),
            "max_points": max_points,
            "x": x,
            "x_from": x_from,
            "x_to": x_to,
            "by": None if by == "series" else by,
            "as_of": as_of,
            "wait_for": wait_for,
            "wait_s": wait_s,
        }
        return [ChartCurve.of(row) for row in self._session.post(_CHARTS, body)["series"]]

    def follow(
        self,
        runs: RunsOrIds,
        metrics: str | Sequence[str] = "*",
        max_points: int = 500,
        *,
        x: Literal["step", "time", "relative"] = "step",
        reconnect: bool = True,
    ) -> Iterator[list[ChartCurve]]:
        """Iterate over curves as `charts` reads them, without an end: first as they are, then each time that some have
        grown, all of them again. Points that come late change a curve where they belong, and a curve that has too many
        buckets gets wider ones. A lost connection is opened again where it broke off, unless `reconnect` is false: then
        the error is raised, and a server that stops ends the iteration."""
        body = {"runs": run_ids(runs), "metrics": texts(metrics), "max_points": max_points, "x": x}
        return growing(self._session, body, reconnect)

    def groups(
        self,
        runs: RunsOrIds,
        metrics: str | Sequence[str],
        by: str | Sequence[str],
        max_points: int = 500,
        *,
        x: str = "step",
        x_from: float | None = None,
        x_to: float | None = None,
        wait_for: str | None = None,
        wait_s: float | None = None,
    ) -> list[GroupedCurve]:
        """Read curves of groups of runs in one request: mean, spread, median and extremes of the runs that have the
        same values of the fields `by` (`param.lr`, `tag`, `group`, `job_type`, `user`, ..., or `rank` and `attempt`,
        which divide the points of a run by who wrote them; at most four). A run with several tags is in the group of
        each. All curves have buckets of the same width; the axis is that of `charts`.
        """
        body = {
            "runs": run_ids(runs),
            "metrics": texts(metrics),
            "group_by": texts(by),
            "max_points": max_points,
            "x": x,
            "x_from": x_from,
            "x_to": x_to,
            "wait_for": wait_for,
            "wait_s": wait_s,
        }
        return [GroupedCurve.of(row) for row in self._session.post(_GROUPS, body)["series"]]

    def _curves(self, body: dict[str, Any]) -> list[Curve]:
        with understood(self._session):
            return [Curve.of(row) for row in self._session.post(_PATH, body)["curves"] or ()]

    def _by_writer(self, body: dict[str, Any]) -> list[Curve]:
        with understood(self._session):
            rows = self._session.post(_PATH, body)["curves"] or ()
            ranks = {
                run: {one["writer"]: one.get("rank") for one in self._session.get(run_path(run))["writers"]}
                for run in dict.fromkeys(row["run"] for row in rows)
            }
            return [curve for row in rows for curve in Curve.by_writer(row, ranks[row["run"]])]

    def _envelopes(self, body: dict[str, Any]) -> list[Envelope]:
        with understood(self._session):
            return [Envelope.of(row) for row in self._session.post(_PATH, body)["envelopes"] or ()]

    @contextmanager
    def _arrow(self, body: dict[str, Any], what: str) -> Iterator[pa.RecordBatchReader]:
        """Yield a reader of the response as an Arrow stream. Raises ServerFailed where the stream is damaged."""
        arrow = pyarrow(what)
        sent = {name: value for name, value in body.items() if value is not None}
        with self._session.open("POST", _PATH, sent, {"Accept": _ARROW}) as response:
            warn_of_header(response.headers.get(UNKNOWN_HEADER.lower()))
            try:
                yield arrow.ipc.open_stream(response)
            except (arrow.ArrowException, OSError, MemoryError) as error:
                raise ServerFailed(
                    f"the Arrow stream of {self._session.url} broke off or is damaged: {error}"
                ) from error
