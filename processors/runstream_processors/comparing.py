"""Comparing two generations of the read models in one store, by value, while both go on being folded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from runstream.events.positions import Positions
from runstream_model.projections import PROJECTIONS, Projection
from runstream_processors.generations import Versions
from runstream_service.store import StoreReader

#: So many keys of a table are named.
_NAMED: Final = 3
#: So many columns of the key tell apart what is compared of rows that are added.
_ADDED_KEY: Final = 2


@dataclass(frozen=True, slots=True)
class KeyDifference:
    """A key whose rows differ, and how many each side has of it."""

    table: str
    key: str
    live: int
    fresh: int

    def __str__(self) -> str:
        return f"{self.table} at {self.key} ({self.live} rows, rebuilt {self.fresh})"


def compared_name(projection: Projection) -> str:
    """The table or view whose rows are compared: where a row is the newest state of its key, the view of those. That of
    watermarks leaves commit rows out, because where a batch ended is no fact about runs."""
    return projection.view or projection.name


def same_in_both(live: Versions, fresh: Versions) -> tuple[Projection, ...]:
    """The projections that both generations fold alike, so that their rows have to be equal."""
    return tuple(one for name, one in PROJECTIONS.items() if live.get(name) == fresh.get(name))


async def key_differences(
    store: StoreReader, live: str, fresh: str, projections: Sequence[Projection], upto: Positions
) -> list[KeyDifference]:
    """Keys of `projections` whose rows differ between the databases `live` and `fresh`, some of each.

    Both must cover `upto`; what is newer is not looked at, so both may be folded meanwhile: of rows
    that are added those that are newer, of newest rows each key that changed since. Reads all of it. Raises
    StoreUnavailable, QueryLimitExceeded.
    """
    found: list[KeyDifference] = []
    for projection in projections:
        statement, parameters = _statement(projection, live, fresh, upto)
        rows = await store.query(statement, parameters)
        found += [
            KeyDifference(compared_name(projection), row["row_key"], row["live"], row["fresh"])
            for row in rows.to_pylist()
        ]
    return found


def _statement(projection: Projection, live: str, fresh: str, upto: Positions) -> tuple[str, Mapping[str, Any]]:
    parameters: dict[str, Any] = {}
    places = ["false"]
    for i, (part, offset) in enumerate(upto):
        parameters |= {f"part_{i}": part, f"offset_{i}": offset}
        places.append(f"(part = {{part_{i}:UInt16}} AND offset < {{offset_{i}:UInt64}})")
    is_settled = " OR ".join(places)
    # Of rows that are added, the beginning of the key says enough: it names the curve, not each point.
    columns = projection.key if projection.view else projection.key[:_ADDED_KEY]
    key = ", ".join(columns)
    # A sum of 128-bit hashes counts a doubled row, which an exclusive or would cancel.
    sides = " UNION ALL ".join(
        f"SELECT {number} AS side, {key}, ({is_settled}) AS settled, "
        f"reinterpretAsUInt128(sipHash128(tuple(*))) AS digest FROM {database}.{compared_name(projection)} "
        + ("" if projection.view else f"WHERE {is_settled}")
        for number, database in enumerate((live, fresh))
    )
    named = " || ' ' || ".join(f"toString({column})" for column in columns)
    return (
        f"SELECT {named} AS row_key, countIf(side = 0) AS live, countIf(side = 1) AS fresh FROM ({sides}) "
        f"GROUP BY {key} HAVING min(settled) AND sumIf(digest, side = 0) != sumIf(digest, side = 1) "
        f"ORDER BY {key} LIMIT {_NAMED}",
        parameters,
    )
