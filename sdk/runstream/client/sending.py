"""A sender for what a run writes: somebody has to carry the spool to the server."""

from pathlib import Path

from runstream.notices import Notices
from runstream.sender.start import ensure_sender


def keep_sender(spool: Path, notices: Notices) -> None:
    """Start a sender for `spool` unless one lives. Says once if that cannot be done; never raises."""
    try:
        ensure_sender(spool)
    except Exception as error:
        notices.once(
            "sender",
            f"no sender can be started ({error}): what is logged stays in {spool} until another run starts one, or "
            "`runstream sync` sends it",
        )
