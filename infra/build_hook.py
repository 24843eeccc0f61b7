"""Hatchling's hook: whoever installs from a checkout, or builds a wheel or an sdist, gets the page with it.

An sdist has the built page and needs neither Node nor a network.
"""

import os
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).parent))  # hatchling loads this file alone
import page_build


class PageHook(BuildHookInterface[Any]):  # type: ignore[misc, unused-ignore]
    """Builds the page unless it is fresh."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Return what pip installs for the build: Node, where it is needed and not there."""
        root = Path(self.root)
        needed = _wanted() and not page_build.is_fresh(root) and not page_build.has_node()
        return [page_build.NODE_PACKAGE] if needed else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Raises PageBuildError where the page cannot be built."""
        if _wanted():
            page_build.ensure(Path(self.root))


def _wanted() -> bool:
    return os.environ.get(page_build.SWITCH, "1") != "0"
