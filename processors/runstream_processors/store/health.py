"""How the store itself is doing: whether it answers, and how much room it has."""

from dataclasses import dataclass
from typing import Final

from runstream_service.store import QueryClass, StoreReader

#: Object stores say that they have no end.
_ENDLESS_BYTES: Final = 1 << 60
_DISKS: Final = (
    "SELECT hostName() AS host, name, free_space, total_space FROM system.disks "
    f"WHERE total_space BETWEEN 1 AND {_ENDLESS_BYTES} ORDER BY name"
)


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk of the server that answers."""

    host: str
    name: str
    free_bytes: int
    total_bytes: int


async def probe(store: StoreReader) -> None:
    """Ask the store for nothing. Raises StoreError if it does not answer."""
    await store.query("SELECT 1 AS one", of=QueryClass.PROBE)


async def disks_of(store: StoreReader) -> tuple[Disk, ...]:
    """Return the disks with an end, by name. Raises StoreError."""
    rows = (await store.query(_DISKS, of=QueryClass.PROBE)).to_pylist()
    return tuple(Disk(row["host"], row["name"], row["free_space"], row["total_space"]) for row in rows)
