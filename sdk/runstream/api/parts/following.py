"""Curves that grow: read once, and then followed by the tails that the server tells."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from runstream.api.errors import ServerFailed, ServerUnreachable
from runstream.api.parts.live import SILENCE_S, Retries, events
from runstream.api.session import Session
from runstream.api.values import Row
from runstream.api.views.charts import ChartCurve

_CHARTS: Final = "/api/v1/charts"
_LIVE: Final = "/api/v1/live"
_HEADERS: Final = {"Accept": "text/event-stream"}
_POSITION: Final = "runstream-position"


def growing(session: Session, body: Mapping[str, Any], reconnect: bool) -> Iterator[list[ChartCurve]]:
    """Iterate over the curves of a request to `/charts`: as they are, and then anew each time that some have grown. A
    lost connection is opened again where it broke off, unless `reconnect` is false."""
    held = _Held(session, body)
    retries = Retries()
    while True:
        try:
            if held.outdated:
                held.read()
                yield held.shown()
            for _ in _ticks(session, held):
                retries.came()
                if held.outdated:
                    break
                if held.grown:
                    held.grown = False
                    yield held.shown()
            else:
                if not reconnect:
                    return
                retries.wait()
        except (ServerUnreachable, ServerFailed):
            if not reconnect:
                raise
            retries.wait()


@dataclass
class _Held:
    """What a reader has of its curves. `outdated`: it has to read them again, because tails do not tell all."""

    session: Session
    body: Mapping[str, Any]
    curves: dict[tuple[str, str], ChartCurve] = field(default_factory=dict)
    since: str = ""
    outdated: bool = True
    grown: bool = False

    def read(self) -> None:
        with self.session.open("POST", _CHARTS, self.body) as response:
            payload = self.session.json_of(response)
            self.since = response.headers[_POSITION]
        curves = [ChartCurve.of(row) for row in payload["series"]]
        self.curves = {(curve.run, curve.metric): curve for curve in curves}
        self.outdated = self.grown = False

    def shown(self) -> list[ChartCurve]:
        return list(self.curves.values())

    @property
    def request(self) -> dict[str, Any]:
        """Of a stream of their tails, and of summaries, which tell curves that are new."""
        x = self.body["x"]
        tails = [
            {"run": curve.run, "metric": curve.metric, "x": x, "width": curve.width} for curve in self.curves.values()
        ]
        kinds = ["summary", "tail"]
        selected = {"runs": self.body["runs"], "metrics": self.body["metrics"]}
        return {**selected, "since": self.since, "kinds": kinds, "tails": tails}

    def take(self, event: str, data: Row) -> None:
        """Take in a message."""
        if event == "summary":
            named = [(row["run"], row["metric"]) for row in data["summaries"]]
            self.outdated = self.outdated or any(one not in self.curves for one in named)
        elif event == "tail":
            for tail in data["tails"]:
                self._take_tail(tail)

    def _take_tail(self, tail: Row) -> None:
        key = (tail["run"], tail["metric"])
        before = self.curves.get(key)
        if before is None or tail["earlier"] or tail["too_many"]:
            self.outdated = True
            return
        self.curves[key] = after = before.with_tail(tail)
        self.grown = True
        if len(after) > self.body["max_points"]:
            self.outdated = True


def _ticks(session: Session, held: _Held) -> Iterator[None]:
    """Let it take the messages of a stream; a step for each of its positions."""
    with session.open("POST", _LIVE, held.request, _HEADERS, timeout_s=SILENCE_S, live=True) as response:
        for event, data, identity in events(response):
            if data:
                held.take(event, json.loads(data))
            if identity is not None:
                held.since = identity
                yield
