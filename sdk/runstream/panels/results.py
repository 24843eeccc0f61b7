"""What came of running a panel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from runstream.panels.contents import Item

#: Of what a panel printed: 100 pages of text.
MAX_PRINTED_BYTES: Final = 256 << 10

Status = Literal["ok", "failed", "timeout", "memory", "killed"]


@dataclass(frozen=True, slots=True)
class PanelResult:
    """What a panel came to. `items` are what it displayed up to its end, whatever ended it; `error` says what that was,
    with the traceback if it raised; what it printed is cut after MAX_PRINTED_BYTES. `page_of` makes a page of it."""

    status: Status
    error: str
    items: Sequence[Item]
    stdout: str
    stderr: str
    wall_s: float

    @property
    def ok(self) -> bool:
        return self.status == "ok"
