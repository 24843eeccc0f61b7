"""What is told of a run that somebody deleted: what becomes of what is written to it, and the way back."""

import contextlib
import os
from pathlib import Path
from typing import Final

from runstream.private import write_own

#: What to do with a deleted run that is wanted after all, by its id.
WAY_BACK: Final = "bring it back (`runstream restore {}`)"
#: A file in a writer's folder, there while the server says that its run is deleted.
_MARK: Final = "deleted"


def kept_unseen(run_id: str) -> str:
    """Return what is true of a deleted run that is still written."""
    return (
        f"run {run_id} was deleted: what it logs is kept, but no list shows it until somebody restores it; "
        f"{WAY_BACK.format(run_id)}"
    )


def mark_deleted(folder: Path, deleted: bool) -> None:
    """Note in a writer's folder whether its run is deleted. Never raises."""
    with contextlib.suppress(OSError):  # the writer ended, and its folder went
        if not deleted:
            (folder / _MARK).unlink(missing_ok=True)
        elif not is_marked_deleted(folder):
            write_own(folder / _MARK, b"")


def is_marked_deleted(folder: Path) -> bool:
    """Whether the sender found that the run of a writer's folder is deleted."""
    return os.path.lexists(folder / _MARK)
