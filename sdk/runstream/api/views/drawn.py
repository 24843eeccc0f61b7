"""What all curves share: how a notebook shows them."""

from __future__ import annotations

from collections.abc import Sequence

from runstream.api.views import notebook


class DrawnCurve:
    """A curve that a notebook shows as a small picture."""

    __slots__ = ()

    def extremes(self) -> tuple[str, str, Sequence[float], Sequence[float]]:
        """Return run (or group), metric, and the lowest and highest value at each of its places."""
        raise NotImplementedError

    def _repr_html_(self) -> str:
        """Return what a notebook shows: a small picture of it."""
        return notebook.curves([self.extremes()])
