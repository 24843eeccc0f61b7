"""The responses of the gateway's routes, as models: for the OpenAPI document."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from runstream.events.positions import Positions


class Acknowledges(BaseModel):
    """By which a client knows that a Runstream server acknowledges."""

    model_config = ConfigDict(frozen=True)

    protocol: int
    server: str


class _Appended(Acknowledges):
    """Something is in the log, before `position`."""

    position: str
    positions: str = Field(description="`position` as clients from before `next:` read it", deprecated=True)


def position_members(positions: Positions) -> Mapping[str, str]:
    """Return the members of a response that tell where in the log something is, in both spellings."""
    return {"position": str(positions), "positions": positions.in_old_spelling()}


class Acknowledgement(_Appended):
    """The frames are durable in the log: by writer, the next sequence number that is wanted of it. `receipt`: a hash
    over the headers of the frames that came."""

    receipt: str
    writers: dict[str, int]


class CommandResponse(_Appended):
    """`visible`: whether every read shows the commands already; `wait_for` takes the position. `commands` are their
    ids, under which /api/v1/commands says what came of each."""

    visible: bool
    commands: list[str]


class StoredAsset(Acknowledges):
    sha256: str
    size_bytes: int
