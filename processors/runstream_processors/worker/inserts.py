"""What the folding hands over to be written: blocks for the tables, and the order of the tables."""

from collections.abc import Mapping
from dataclasses import dataclass

from runstream_model import artifact_rows, entities
from runstream_service.store import Block

#: Tables of rows that are added once, tables of newest states, and the one that commits. Everything up to the commit
#: row's offset is in all tables, so it goes last; points go first, batch by batch, because they are the bulk.
POINTS = "points"
SUMMARIES = "summary_states"
COMMIT = "watermark_states"
APPENDED = (
    "events",
    "output",
    "quarantine",
    artifact_rows.OUTCOMES,
    artifact_rows.CONTENTS,
    artifact_rows.FILES,
    artifact_rows.REMARKS,
    entities.OUTCOMES,
)
STATES = (
    "attribute_states",
    "asset_states",
    "project_states",
    "experiment_states",
    "run_states",
    artifact_rows.VERSIONS,
    artifact_rows.ARTIFACTS,
    entities.ENTITIES,
)
RESUMING = (POINTS, SUMMARIES, *APPENDED, *STATES)
#: Written in this order behind all others, also where those are written beside each other.
LAST = (artifact_rows.ARTIFACTS, entities.ENTITIES, COMMIT)


@dataclass(frozen=True, slots=True)
class SetAside:
    """Something in a record that could not be folded: where it is, under which key, and why it is in quarantine."""

    part: int
    offset: int
    key: str
    cause: str
    detail: str


@dataclass(frozen=True, slots=True)
class Insert:
    """One block for one table: exactly one part, all of it or nothing.

    Its rows of a partition stand behind the record `after[partition]` (absent: they are the first), which is the last
    that has rows in the table so far, and `last[partition]` is the last that has some in the block. `set_aside`: what
    it puts into quarantine. `optional`: the optional columns of the table that the block has.
    """

    table: str
    block: Block
    rows: int
    after: Mapping[int, int]
    last: Mapping[int, int]
    set_aside: tuple[SetAside, ...] = ()
    optional: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Flush:
    """Inserts in the order in which they must be written, and the next offsets once the last one is."""

    inserts: tuple[Insert, ...]
    next_offsets: Mapping[int, int]
