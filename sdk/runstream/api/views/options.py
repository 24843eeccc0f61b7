"""Options that many reads take."""

from __future__ import annotations

from typing import Literal, TypedDict


class WaitOptions(TypedDict, total=False):
    """`wait_for`: a position such as "next:0:42"; the server responds once it is visible. `wait_s`: for how many
    seconds it waits, bounded by the server."""

    wait_for: str | None
    wait_s: float | None


class ReadOptions(WaitOptions, total=False):
    """`as_of`: a position or an ISO time; the state at that moment is read."""

    as_of: str | None


class SeriesOptions(ReadOptions, total=False):
    """What `api.series` takes beside runs, metrics and `max_points`."""

    step_from: int | None
    step_to: int | None
    by: Literal["step", "time", "writer"]
    epochs: bool
