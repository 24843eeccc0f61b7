"""What a start makes of the records that a process had under way when it died.

1. They are tried in a child process (`trial`), which the bad one brings down and the good ones do not.
2. If all of them pass and a process dies among them again, they are folded in pieces, an eighth of the last ones each,
   every piece with a mark of its own, until what is marked is one record.
3. A record that was alone under the mark when processes died is set aside: after three deaths that left a trace (a
   fault such as SIGSEGV or an abort, or the kernel ran out of memory), or after thirty that left none, which is what
   kills from outside look like.

The state is a small JSON file; the functions are pure, but for `load` and `save`.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self

from runstream.events.positions import Positions
from runstream_processors.worker.narrowing import Place
from runstream_service.log import Record

#: Each death makes the pieces smaller by this factor: from 2,000 records to one in four deaths.
_PIECES: Final = 8


@dataclass(frozen=True, slots=True)
class SetAsideRecord:
    """A record that brings down the process which decodes or folds it. `sha256` of its bytes: the same place of another
    log is another record."""

    part: int
    offset: int
    sha256: str
    detail: str

    def is_record(self, record: Record) -> bool:
        return hashlib.sha256(record.value).hexdigest() == self.sha256


@dataclass(frozen=True, slots=True)
class Suspects:
    """What is known of deaths. `tried`: records before these offsets passed a trial; `piece`: so many of them at once
    are folded, 0 for as many as usual; `deaths`: by "partition:offset" how often, traced and untraced, a process died
    when that record alone was marked."""

    tried: Mapping[int, int] = field(default_factory=dict)
    piece: int = 0
    deaths: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    set_aside: tuple[SetAsideRecord, ...] = ()

    def after_death(self, under_way: Mapping[int, range], is_traced: bool) -> tuple["Suspects", bool]:
        """The state after a death with these records under way, and whether they are to be tried in a child process."""
        count = sum(map(len, under_way.values()))
        if not count:
            return self, False
        if not any(records.start < self.tried.get(part, 0) for part, records in under_way.items() if records):
            return self, True
        if count > 1:
            return replace(self, piece=max(1, min(self.piece or count, count) // _PIECES)), False
        [(part, alone)] = [(part, records.start) for part, records in under_way.items() if records]
        name = f"{part}:{alone}"
        traced, untraced = self.deaths.get(name, (0, 0))
        counts = (traced + is_traced, untraced + (not is_traced))
        return replace(self, piece=1, deaths={**self.deaths, name: counts}), False

    def after_trial(self, under_way: Mapping[int, range], found: tuple[SetAsideRecord, ...]) -> "Suspects":
        """The state when those records were tried and `found` among them brought the child down."""
        tried = {part: max(records.stop, self.tried.get(part, 0)) for part, records in under_way.items()}
        return replace(self, tried={**self.tried, **tried}, set_aside=(*self.set_aside, *found))

    def condemned(self, traced_deaths: int, untraced_deaths: int) -> tuple[Place, tuple[int, int]] | None:
        """A record at whose place processes died so often, and how often; None if there is none."""
        known = {(one.part, one.offset) for one in self.set_aside}
        for name, counts in self.deaths.items():
            part, offset = map(int, name.split(":"))
            enough = counts[0] >= traced_deaths or sum(counts) >= untraced_deaths
            if enough and (part, offset) not in known:
                return (part, offset), counts
        return None

    def is_past(self, visible: Positions) -> bool:
        """Whether everything that was suspected is in the tables."""
        return visible.covers(Positions(self.tried))

    def cleared(self) -> "Suspects":
        return Suspects(set_aside=self.set_aside)

    @classmethod
    def load(cls, path: Path) -> Self:
        """What `save` wrote; nothing is known if the file is missing or damaged. Raises OSError."""
        try:
            fields: dict[str, Any] = json.loads(path.read_bytes())
            return cls(
                tried={int(part): int(last) + 1 for part, last in fields["tried"].items()},
                piece=int(fields["piece"]),
                deaths={str(name): (int(pair[0]), int(pair[1])) for name, pair in fields["deaths"].items()},
                set_aside=tuple(SetAsideRecord(**one) for one in fields["set_aside"]),
            )
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError, IndexError):
            return cls()

    def save(self, path: Path) -> None:
        """Replace the file as a whole; it names the last records that were tried. Raises OSError."""
        temporary = path.with_suffix(".tmp")
        tried = {part: end - 1 for part, end in self.tried.items()}
        temporary.write_text(json.dumps({**asdict(self), "tried": tried}), "utf-8")
        os.replace(temporary, path)
