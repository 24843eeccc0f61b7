"""A server with a key and two runs: one has all that a run's page shows, under hostile names; the other has scripts."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import BrowserContext

import page_build
import runstream as rs
from kit.servers.embedded import Server

ROOT: Final = Path(__file__).parents[3]
KEY: Final = "0123456789abcdef-rich"
WORKSPACE: Final = "team"
PROJECT: Final = "digits"
RICH, PLAIN = "r-rich", "r-plain"
HOSTILE: Final = "<img src=x onerror=alert(1)>"
LINES: Final = 1200
#: A line of the console that no other is like.
NEEDLE: Final = "needle at the 700th"
STEPS: Final = (0, 10, 20)
#: Bytes of a GIF of one pixel.
PIXEL: Final = bytes.fromhex("47494638396101000100800000ff0000ffffff2c00000000010001000002024401003b")
#: Each tries to reach the page around it, and tells in its own text what came of it.
PAGE: Final = b"""<!doctype html><title>t</title><p id="p">began</p><script>
const tries = [() => parent.document.title = "owned", () => localStorage.length, () => parent.localStorage.length];
const found = tries.map((one) => { try { one(); return "reached"; } catch (error) { return error.name; } });
fetch("/api/v1/key").then(() => "reached", () => "blocked").then((last) => {
  document.getElementById("p").textContent = [...found, last].join(" ");
});
</script>"""
PICTURE: Final = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"><rect width="40" height="40"/>'
    b'<script>parent.document.title = "owned"; alert(1)</script></svg>'
)
NOTES: Final = (
    f"# Found\n\nA **bold** thing, {HOSTILE} and [bad](javascript:alert(1)).\n\n"
    "- [x] done\n\n| a | b |\n|---|---|\n| 1 | 2 |"
)
_WAIT_S: Final = 240.0


@dataclass(frozen=True, slots=True)
class Rich:
    """A running server with the two runs, which have ended."""

    url: str
    given: dict[str, Any]

    def run(self, run: str = RICH, tab: str = "overview", **query: str) -> str:
        """Return the address of a tab of a run's page."""
        return f"{self.url}/{WORKSPACE}/{PROJECT}/{run}?" + "&".join(
            f"{name}={value}" for name, value in {"tab": tab, **query}.items()
        )

    @property
    def comparison(self) -> str:
        """The address at which both runs are compared."""
        return f"{self.url}/{WORKSPACE}/{PROJECT}/-/compare?runs={RICH},{PLAIN}"


def keep_key(context: BrowserContext) -> None:
    """Have the pages of a context know the key. Frames of users have no storage, and are left alone."""
    context.add_init_script(f"if (origin !== 'null') localStorage.setItem('runstream.key', JSON.stringify({KEY!r}))")


@contextmanager
def serving_rich(folder: Path) -> Iterator[Rich]:
    """Serve the runs until the end of the block, with the page as its sources are now."""
    page_build.ensure(ROOT)
    page_build.install_packages(ROOT)
    with Server(folder, {"RUNSTREAM_API_KEYS": KEY}) as server:
        given: dict[str, Any] = {
            "url": server.url,
            "api_key": KEY,
            "dir": folder / "spool",
            "workspace": WORKSPACE,
            "capture_console": False,
            "capture_code": False,
            "system_metrics_s": 0,
        }
        rich = _rich(given)
        plain = rs.init(PROJECT, "plain", PLAIN, config={"lr": 0.2, "opt": {"name": "adam"}}, **given)
        plain.log({"train/loss": 2.0}, step=0)
        plain.log_asset(PAGE, name="report.html")
        plain.log_asset(PICTURE, name=f"{HOSTILE}.svg")
        rich.finish("failed", timeout_s=_WAIT_S, message=f"it broke {HOSTILE}")
        plain.finish(timeout_s=_WAIT_S)
        api = rs.API(server.url, KEY)
        data = api.log_artifact_version("data", "dataset", {"a.csv": b"a\n1\n"}, workspace=WORKSPACE, project=PROJECT)
        api.artifacts.mark_used(data, RICH)
        api.log_artifact_version(HOSTILE, "model", {"m.bin": b"1"}, workspace=WORKSPACE, project=PROJECT, run=RICH)
        yield Rich(server.url, given)


def _rich(given: dict[str, Any]) -> rs.Run:
    config = {"lr": 0.1, "opt": {"name": "adam", "betas": [0.9, 0.99]}, HOSTILE: HOSTILE}
    run = rs.init(PROJECT, HOSTILE, RICH, config=config, tags=["base", HOSTILE], notes=NOTES, **given)
    run.environment("git", {"commit": "abc123", "dirty": True})
    run.environment("packages", {"numpy": "2.0", "scipy": "1.1"})
    run.log_other("verdict", "good")
    for step in STEPS:
        run.log({"train/loss": 1.0 / (step + 1), f"odd/{HOSTILE}": 1.0}, step=step)
        run.sample({"system/cpu_percent": 50.0}, step)
        run.log_asset(PIXEL, name="samples/digit.gif", kind="image", step=step)
        run.log_text("caption", f"caption of step {step}", step=step)
        run.log_histogram([0.0, 1.0, float(step)], "weights", step=step)
        run.log_table([{"label": HOSTILE, "n": step}], "confusion", step=step)
    run.log_asset(b"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new\n", name="git.diff")
    for number in range(LINES):
        run.output("stdout", f"{NEEDLE}\n" if number == 699 else f"\x1b[32mstep\x1b[0m {number + 1}\n")
    run.output("stderr", f"{HOSTILE}\n")
    return run
