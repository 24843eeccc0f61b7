"""What the gateway's routes answer, as models: for the OpenAPI document."""

from pydantic import BaseModel, ConfigDict


class Acknowledges(BaseModel):
    """By which a client knows that a Runstream server acknowledges."""

    model_config = ConfigDict(frozen=True)

    protocol: int
    server: str


class Acknowledgement(Acknowledges):
    """The frames are durable in the log: by writer, the next sequence number that is wanted of it. `receipt`: a hash
    over the headers of the frames that came."""

    receipt: str
    positions: str
    writers: dict[str, int]


class CommandAnswer(Acknowledges):
    """`visible`: whether every read shows the commands already; `wait_for` takes the positions. `commands` are their
    ids, under which /api/v1/commands says what came of each."""

    positions: str
    visible: bool
    commands: list[str]


class StoredAsset(Acknowledges):
    sha256: str
    size_bytes: int
