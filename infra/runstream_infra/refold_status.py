"""How far the read models are on their way to another version, for readiness, the status and `runstream doctor`."""

from dataclasses import dataclass
from typing import Literal

from runstream_processors.generations import Rebuild

Doing = Literal["folding", "comparing", "switching"]


@dataclass(frozen=True, slots=True)
class RefoldStatus:
    """The read models' generations at a moment. `differences`: what the serving generation has in another version than
    this build; while there are some, `building` is the generation that is made, `folded` of `records` records of the
    log are in it, and `doing` says what is under way; or `obstacle` says why none is made. `trouble`: what went wrong
    last, until it works again. `rebuild`: the last that was requested, under way or over."""

    serving: int
    differences: tuple[str, ...] = ()
    building: int | None = None
    doing: Doing | None = None
    folded: int = 0
    records: int = 0
    obstacle: str | None = None
    trouble: str | None = None
    rebuild: Rebuild | None = None

    @property
    def note(self) -> str | None:
        """What readiness says of it; None: the serving generation is that of this build."""
        if self.building is not None:
            progress = f"{self.folded} of {self.records} records"
            failed = f"; the last try failed: {self.trouble}" if self.trouble else ""
            return f"generation {self.building} is being built beside it ({self.doing}, {progress}){failed}"
        return self.obstacle or self.trouble
