"""What a server tells of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from runstream.api.values import Row, members_of


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a server takes requests, and by name the state of each of its parts: "ok", or what is wrong."""

    ready: bool
    checks: Mapping[str, str]

    @classmethod
    def of(cls, row: Row) -> Self:
        """Read a response."""
        return cls(bool(row["ready"]), dict(row["checks"]))


@dataclass(frozen=True, slots=True)
class KeyRights:
    """What the key of this API may do. `name` is what the server's logs call it, None where the server has no keys."""

    name: str | None
    may_write: bool

    @classmethod
    def of(cls, row: Row) -> Self:
        """Read a response."""
        return cls(row["name"], bool(row["may_write"]))


@dataclass(frozen=True, slots=True)
class OddClock:
    """A running run with a writer whose clock is far from the server's: `clock_ahead_s` ahead of it, or behind
    (negative)."""

    run: str
    name: str
    clock_ahead_s: float

    @classmethod
    def of(cls, row: Row) -> Self:
        """Read a row of a response."""
        return cls(**members_of(cls, row))


@dataclass(frozen=True, slots=True)
class ServerSetting:
    """A setting of the server's process. `name` is its place in a settings file, `origin` where the value came from:
    "default", "file", "environment" or "option". A secret's value says only that it is set."""

    name: str
    variable: str
    value: bool | int | float | str | Sequence[str] | None
    default: bool | int | float | str | Sequence[str] | None
    origin: str

    @classmethod
    def of(cls, row: Row) -> Self:
        """Read a row of a response."""
        return cls(**members_of(cls, row))


@dataclass(frozen=True, slots=True)
class Rebuild:
    """A rebuild of a server's read models: the generation that it builds beside the one that serves, whether that takes
    over (`replace`), and what became of it: "building", "equal", "different" or "given up". `detail`: what differs, or
    why it was given up."""

    generation: int
    replace: bool
    outcome: str
    detail: str

    @classmethod
    def of(cls, row: Row) -> Self:
        """Read a response or a part of one."""
        return cls(**members_of(cls, row))


@dataclass(frozen=True, slots=True)
class ReadModels:
    """The generations of a server's read models. `differences` are what generation `serving` has in another version
    than the server folds. While there are some, generation `building` is made beside it, with `folded` of `records`
    records of the log, or `obstacle` says why none is. `trouble` is what went wrong last, `rebuild` the last rebuild
    that was requested."""

    serving: int
    differences: Sequence[str]
    building: int | None
    doing: str | None
    folded: int
    records: int
    obstacle: str | None
    trouble: str | None
    rebuild: Rebuild | None = None

    @classmethod
    def of(cls, row: Row) -> Self:
        """Read a part of a response."""
        found = row.get("rebuild")
        return cls(**{**members_of(cls, row), "rebuild": Rebuild.of(found) if found is not None else None})


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """How a server is doing. `visible` is the position up to which every table is complete, `lag_records` how many
    records of the log are behind it. The disk is that of a server in one process; None in a cluster. `read_models` is
    None until the server has looked at them."""

    version: str
    visible: str
    lag_records: int
    quarantined_records: int
    quarantined_by_cause: Mapping[str, int]
    disk_free_bytes: int | None
    disk_total_bytes: int | None
    read_models: ReadModels | None

    @classmethod
    def of(cls, row: Row) -> Self:
        """Read a response."""
        found = row.get("read_models")
        return cls(**{**members_of(cls, row), "read_models": ReadModels.of(found) if found is not None else None})
