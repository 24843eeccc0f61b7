"""Charts, as Comet's page on Python Panels reads them."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

from runstream.api import optional
from runstream.api.guarding import reads_responses
from runstream.api.parts.arguments import RunOrId, run_id
from runstream.api.session import Session
from runstream.api.values import number
from runstream.api.views.comet_types import Chart, ChartCurve
from runstream.errors import Invalid

_PATH: Final = "/api/rest/v2/experiments/multi-metric-chart"
#: Curves and experiments that one response holds.
_CURVES: Final = 10_000
_CHARTS: Final = 1_000
_X_AXES: Final = ("step", "epoch", "duration")
#: Values of the axis `duration`, between which every experiment has others.
_DURATIONS: Final = 100


@reads_responses
class ChartReads:
    """A part of `CometApi`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get_metrics_for_chart(
        self,
        experiments: Sequence[RunOrId] = (),
        metrics: Sequence[str] | None = (),
        parameters: Sequence[str] | None = (),
        independent_metrics: bool = True,
        fetch_full: bool = False,
        *,
        experiment_keys: Sequence[RunOrId] | None = None,
        independent: bool | None = None,
        full: bool | None = None,
    ) -> dict[str, Chart]:
        """Read curves and parameters of experiments, by key: {"experiment_key", "experimentName", "steps", "epochs",
        "metrics": [{"metricName", "values", "steps", "epochs", "timestamps", "durations"}], "params"} (milliseconds;
        params is None if none were requested). docs/comet.md says how long curves are sampled without `fetch_full`,
        and what sharing of steps means. One request for up to 1,000 experiments and 10,000 curves. `experiment_keys`,
        `independent` and `full` are the names that Comet's present client gives these arguments. Raises TypeError, as
        it does, for one experiment, metric or parameter that stands in no list."""
        wanted_runs = experiments if experiment_keys is None else experiment_keys
        for argument, given in (("experiments", wanted_runs), ("metrics", metrics), ("parameters", parameters)):
            if isinstance(given, str) or not isinstance(given, Sequence | None):
                raise TypeError(f"get_metrics_for_chart: {argument} is {given!r}: give a list")
        names, wanted = [name for name in metrics or () if name], [name for name in parameters or () if name]
        keys = [run_id(one) for one in wanted_runs]
        if not keys or not (names or wanted):
            return {}
        at_once = max(1, min(_CHARTS, _CURVES // max(1, len(names))))
        charts: dict[str, Chart] = {}
        for begin in range(0, len(keys), at_once):
            # Comet's route: it samples real points of all curves in six statements; the native one gives buckets.
            body = {
                "targetedExperiments": keys[begin : begin + at_once],
                "metrics": names,
                "params": wanted or None,
                "independentMetrics": independent_metrics if independent is None else independent,
                "fetchFull": fetch_full if full is None else full,
            }
            charts |= self._session.post(_PATH, body)["experiments"]
        for curve in _curves_of(charts):
            curve["values"] = [None if value is None else _plain(number(value)) for value in curve["values"]]
        return charts

    def get_metrics_df(
        self, experiment_keys: Sequence[RunOrId], metrics: Sequence[str], x_axis: str = "step", interpolate: bool = True
    ) -> Any:
        """Read metrics of experiments as a DataFrame: a row for each experiment and value of the axis (step, epoch,
        duration), with `experiment_key`, `experiment_name`, the axis and the metrics; None if there is none of them.
        `interpolate`: each experiment has a row for every value of the axis, and between its points a metric has
        values on straight lines; of `duration`, 100 values. Raises Invalid, DataPackageMissing."""
        if x_axis not in _X_AXES:
            raise Invalid(f"x_axis is {x_axis!r}: give one of {', '.join(_X_AXES)}")
        pandas = optional.pandas("get_metrics_df")
        columns = ["experiment_key", "experiment_name", x_axis, *metrics]
        charts = self.get_metrics_for_chart(experiment_keys, metrics)
        if not charts:
            return None
        rows = [
            {"experiment_key": key, "experiment_name": chart["experimentName"], name: value, x_axis: x}
            for key, chart in charts.items()
            for curve in chart["metrics"]
            for name in (curve["metricName"],)
            for value, x in zip(curve["values"], cast(Any, curve).get(f"{x_axis}s") or (), strict=False)
            if name in metrics
        ]
        frame = pandas.DataFrame(rows, columns=columns)
        if frame.empty:
            return frame
        frame = frame.groupby(["experiment_key", x_axis]).aggregate("last").reset_index()[columns]
        return _interpolated(frame, x_axis, metrics)[columns] if interpolate else frame


def _interpolated(frame: Any, x_axis: str, metrics: Sequence[str]) -> Any:
    """The frame with a row of each experiment for every value of the axis."""
    numpy, pandas = importlib.import_module("numpy"), optional.pandas("get_metrics_df")
    known = frame[x_axis].dropna()
    at = numpy.linspace(known.min(), known.max(), num=_DURATIONS) if x_axis == "duration" else known.unique()
    parts = []
    for key, own in frame.groupby("experiment_key"):
        part = pandas.DataFrame({x_axis: at})
        for metric in metrics:
            there = own[own[metric].notnull()]
            if there.empty:
                part[metric] = numpy.nan
            else:
                part[metric] = numpy.interp(
                    at, there[x_axis].astype(float), there[metric].astype(float), left=numpy.nan, right=numpy.nan
                )
        part["experiment_key"], part["experiment_name"] = key, own.iloc[0]["experiment_name"]
        parts.append(part)
    return pandas.concat(parts).sort_values(["experiment_key", x_axis], ignore_index=True)


def _curves_of(charts: Mapping[str, Chart]) -> Iterator[ChartCurve]:
    for chart in charts.values():
        yield from chart["metrics"]


def _plain(value: float) -> float:
    """Return NaN as the one object, so that charts can be compared."""
    return math.nan if math.isnan(value) else value
