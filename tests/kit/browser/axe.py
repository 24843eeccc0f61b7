"""axe-core over a page: what people with other eyes and hands cannot use."""

from functools import cache
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Page

ROOT: Final = Path(__file__).parents[3]
_SERIOUS: Final = ("serious", "critical")


@cache
def _source() -> str:
    path = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
    assert path.is_file(), f"{path} is not there: `.venv/bin/python infra/page_build.py --check` installs it"
    return path.read_text()


def serious_findings(page: Page) -> list[str]:
    """Return what axe finds serious or critical on a page as it is shown now: rule, elements, what to do."""
    # By the debugger, which the page's policy does not bind.
    page.evaluate(_source())
    found: dict[str, Any] = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']} ({one['impact']}): {node['html'][:200]}: {node['failureSummary']}"
        for one in found["violations"]
        if one["impact"] in _SERIOUS
        for node in one["nodes"][:5]
    ]
