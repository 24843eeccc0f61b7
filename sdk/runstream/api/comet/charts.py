"""Charts, as Comet's page on Python Panels reads them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from runstream.api.guarding import reads_responses
from runstream.api.parts.arguments import RunOrId, run_id
from runstream.api.session import Session
from runstream.api.values import number
from runstream.api.views.comet_types import Chart, ChartCurve

_PATH: Final = "/api/rest/v2/experiments/multi-metric-chart"
#: Curves and experiments that one response holds.
_CURVES: Final = 10_000
_CHARTS: Final = 1_000


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


def _curves_of(charts: Mapping[str, Chart]) -> Iterator[ChartCurve]:
    for chart in charts.values():
        yield from chart["metrics"]


def _plain(value: float) -> float:
    """Return NaN as the one object, so that charts can be compared."""
    return math.nan if math.isnan(value) else value
