"""Files of runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from runstream.api.values import Logged, Row, members_of


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of a run: `API.download(asset)` gets its bytes."""

    run: str
    asset: str
    name: str
    kind: str
    sha256: str
    size_bytes: int
    content_type: str
    step: int | None
    metadata: Mapping[str, Logged]
    at: datetime
    #: The part of the run that logged it (such as `train`), if its client tells them apart.
    context: str | None = None
    #: What it is to the run (`code`, `graph`, `patch` or `page`), where it is more than a file.
    role: str | None = None
    #: Where it is, if it is elsewhere: the bytes at the server are this address then.
    location: str | None = None
    #: The model that it is a file of, where that is not the folder in its name.
    model: str | None = None

    @classmethod
    def of(cls, row: Row) -> Self:
        """Read a row of a response."""
        return cls(**members_of(cls, row))
