"""sender.json: what the sender says of itself, for `finish()`, `runstream sync` and `runstream doctor`."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from runstream.private import read_own
from runstream.spool.format import write_private_json

#: Some 300 bytes for each writer that has something to tell: 100,000 writers.
_MAX_STATUS_BYTES: Final = 32_000_000


@dataclass(frozen=True, slots=True)
class WriterStatus:
    """A writer with something to tell: it waits, or it cannot go on."""

    writer_id: str
    run_id: str
    next_seq: int
    rows_waiting: int
    bytes_waiting: int
    set_aside: int = 0
    #: Why it does not go on; None if it just waits its turn.
    problem: str | None = None
    #: Its spool is damaged: what is left of it is not sent.
    corrupt: bool = False


@dataclass(frozen=True, slots=True)
class ChannelStatus:
    """One gateway and key: `state` is idle, sending, retrying (it passes) or stuck (a person has to change it)."""

    url: str
    state: str = "idle"
    last_error: str | None = None
    #: Microseconds since 1970 UTC of the next attempt, while retrying or stuck.
    next_try_us: int | None = None
    writers: int = 0
    rows_waiting: int = 0
    bytes_waiting: int = 0
    uploads_waiting: int = 0
    requests: int = 0
    records_sent: int = 0
    bytes_sent: int = 0
    telling: tuple[WriterStatus, ...] = ()


@dataclass(frozen=True, slots=True)
class SenderStatus:
    """The whole file. `state` is running or stopped."""

    pid: int
    version: str
    state: str
    started_us: int
    updated_us: int
    targets: tuple[ChannelStatus, ...] = ()
    #: Folders that cannot be used at all, and why.
    unusable: dict[str, str] = field(default_factory=dict)
    offline_writers: int = 0

    def write(self, spool_dir: Path) -> None:
        """Replace sender.json. Raises OSError."""
        write_private_json(spool_dir / "sender.json", asdict(self))


#: Worst first: what a person has to know of several connections to one gateway.
_STATES: Final = ("stuck", "retrying", "sending", "idle")


def merged(channels: Sequence[ChannelStatus]) -> ChannelStatus:
    """The channels to one gateway with one key, as one."""
    worst = min(channels, key=lambda channel: _STATES.index(channel.state))
    return replace(
        worst,
        last_error=next((channel.last_error for channel in (worst, *channels) if channel.last_error), None),
        writers=sum(channel.writers for channel in channels),
        rows_waiting=sum(channel.rows_waiting for channel in channels),
        bytes_waiting=sum(channel.bytes_waiting for channel in channels),
        requests=sum(channel.requests for channel in channels),
        records_sent=sum(channel.records_sent for channel in channels),
        bytes_sent=sum(channel.bytes_sent for channel in channels),
        telling=tuple(one for channel in channels for one in channel.telling),
    )


def read_status(spool_dir: Path) -> SenderStatus | None:
    """What the sender last said; None if none ever did, or if it cannot be read."""
    try:
        fields = json.loads(read_own(spool_dir / "sender.json", _MAX_STATUS_BYTES))
        targets = tuple(_target(target) for target in fields.pop("targets"))
        status = SenderStatus(
            targets=targets, **{name: fields[name] for name in SenderStatus.__slots__ if name in fields}
        )
        return status if _is_sound(status) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _is_sound(status: SenderStatus) -> bool:
    """Whether its members are of the kinds on which others rely: a pid of -1 would be every process of a user."""
    numbers = (status.pid, status.started_us, status.updated_us, status.offline_writers)
    return (
        all(type(number) is int for number in numbers)
        and status.pid > 0
        and isinstance(status.state, str)
        and isinstance(status.unusable, dict)
    )


def _target(fields: dict[str, Any]) -> ChannelStatus:
    writers: Sequence[dict[str, Any]] = fields.pop("telling", ())
    known = {name: fields[name] for name in ChannelStatus.__slots__ if name in fields}
    telling = (WriterStatus(**{name: one[name] for name in WriterStatus.__slots__ if name in one}) for one in writers)
    return ChannelStatus(**known, telling=tuple(telling))
