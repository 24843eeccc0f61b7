"""Which experiment, workspace and project a request is about."""

import reprlib
from typing import Any

from runstream.events.names import RUN_ID, InvalidName, check_path_part
from runstream_protocols.comet.errors import CUSTOM, NAME_TOO_LONG, no_experiment, refused
from runstream_protocols.kit.payloads import Payload
from runstream_protocols.kit.recorder import Recorder

_BRIEF = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxother = 100


def checked_key(key: Any) -> str:
    """Return an experiment's key. Raises Problem."""
    if not isinstance(key, str) or not RUN_ID.match(key):
        raise refused(f"experimentKey is {_BRIEF.repr(key)}: give letters and digits, 32 to 50 of them")
    return key


def key_of(payload: Payload) -> str:
    """Return the key of the experiment that a request is about. Raises Problem."""
    return checked_key(payload.fields.get("experimentKey") or payload.fields.get("experimentId"))


async def existing(recorder: Recorder, key: str) -> str:
    """Return the key of an experiment, which has to be there, and in reach of the request. Raises Problem."""
    if not await recorder.known_runs.exists(key):
        raise no_experiment(key)
    await recorder.require(key)
    return key


async def experiment_of(recorder: Recorder, payload: Payload) -> str:
    """Return the key of the experiment that a request is about, which has to be there. Raises Problem."""
    return await existing(recorder, key_of(payload))


def place(kind: str, name: str) -> str:
    """Return the name of a workspace or project. Raises Problem."""
    try:
        return check_path_part(kind, name)
    except InvalidName as error:
        raise refused(str(error)[:500], code=NAME_TOO_LONG if len(name) > 100 else CUSTOM) from None
