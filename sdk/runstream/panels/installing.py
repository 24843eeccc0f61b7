"""What a panel shows in place of a line that installs packages, where the server's owner does not allow that."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Sequence
from typing import Final

_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")


def told(packages: Sequence[str]) -> None:
    """Show which of the packages are not there, and what to do about it. Nothing if all are there."""
    missing = [package for package in packages if not _is_there(package)]
    if missing:
        from runstream.panels.interface import ui

        ui.display(
            f"This panel installs {', '.join(missing)}, and this server installs nothing for panels. Whoever runs it "
            "can install the packages beside runstream, or allow panels to (RUNSTREAM_PANELS_INSTALL=1).",
            format="text",
        )


def _is_there(package: str) -> bool:
    name = _NAME.match(package)
    try:
        return name is not None and importlib.metadata.version(name[0]) != ""
    except importlib.metadata.PackageNotFoundError:
        return False
