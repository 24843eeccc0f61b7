"""Measures how fast the page draws curves, in a headless Chromium: python web/bench/curves.py [SCREENSHOTS]

A server of synthetic curves (no store) feeds the page of `web/bench`. Printed as JSON lines: the time to the first
chart, frames and JavaScript of the main thread while zooming, panning and appending, and memory with 24 charts; beside
them the same curves as paths of a 2D canvas.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pyarrow as pa
from playwright.sync_api import CDPSession, Page, sync_playwright

HERE: Final = Path(__file__).resolve().parent
#: Debian's browser itself; the wrapper on PATH adds flags for a graphics card.
CHROMIUM: Final = os.environ.get("RUNSTREAM_CHROMIUM", "/usr/lib/chromium/chromium")
_HTML: Final = b"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>bench</title>
<link rel="stylesheet" href="/bench.css"></head><body><script type="module" src="/bench.js"></script></body></html>"""
#: What is measured: its name, charts, curves of each, buckets of each curve.
_PAGES: Final = (("one chart", 1, 100, 1_000), ("many curves", 1, 1_000, 500), ("a page", 24, 100, 1_000))
_FIRST: Final = """
[...document.querySelectorAll(".chart-fineness")].some((one) => one.textContent.includes("bucket"))
"""
#: Of every curve.
_STEPS: Final = 1_024_000
_TYPES: Final = {".js": "text/javascript", ".css": "text/css"}
#: Frames of the browser: when each came, and how long scripts of the main thread ran in it.
_FRAMES: Final = """
async ([steps, kind]) => {
  const { view, append, paths } = globalThis.bench;
  const times = [];
  const script = [];
  const total = 1024 * 1000;
  let before = await new Promise(requestAnimationFrame);
  for (let step = 0; step < steps; step++) {
    const began = performance.now();
    const share = step / steps;
    if (kind === "zoom") view.range.value = { from: total * 0.4 * share, to: total * (1 - 0.4 * share) };
    if (kind === "pan") view.range.value = { from: total * 0.5 * share, to: total * (0.5 + 0.5 * share) };
    if (kind === "append" && step % 15 === 0) append(2);
    if (kind === "paths") paths.draw(0.4 * share, 1 - 0.4 * share);
    script.push(performance.now() - began);
    const now = await new Promise(requestAnimationFrame);
    times.push(now - before);
    before = now;
  }
  view.range.value = null;
  return times;
}
"""


@lru_cache(maxsize=64)
def stream(series: int, buckets: int, metric: str, low: int, high: int) -> bytes:
    """Return curves of `series` runs over the steps [low, high] as `POST /api/v1/charts` packs them."""
    width = 1 << max(0, (high - low) // buckets - 1).bit_length()
    rows = (high - low) // width
    random = np.random.default_rng(abs(hash(metric)) % 2**32)
    place = np.tile(np.arange(rows, dtype=np.uint32) * width, series)
    level = np.repeat(random.random(series) * 0.5, rows)
    mean = (
        level
        + 0.5 * np.exp(-np.tile(np.linspace(low / 1e6, high / 1e6, rows), series) * 4)
        + random.normal(0, 0.01, rows * series)
    )
    spread = np.abs(random.normal(0.02, 0.01, rows * series))
    described = [
        {"run": f"r{at}", "metric": metric, "rows": rows, "origin": low // width * width, "unit": 1, "width": width}
        | {"points": rows * width, "largest": width, "total": rows * width}
        for at in range(series)
    ]
    singles = (pa.array(values.astype(np.float32)) for values in (mean - spread, mean + spread, mean))
    columns = dict(zip(("min", "max", "mean"), singles, strict=True))
    table = pa.table({"x": place, **columns, "flags": np.zeros(rows * series, np.uint8)})
    table = table.replace_schema_metadata({b"runstream.series": json.dumps(described).encode()})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=65_536)
    return sink.getvalue().to_pybytes()


def serve(built: Path) -> ThreadingHTTPServer:
    """Serve what was built and curves, on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urlsplit(self.path)
            if address.path == "/arrow":
                given = {name: values[0] for name, values in parse_qs(address.query).items()}
                low, high = int(float(given.get("from", 0))), int(float(given.get("to", 1_024_000)))
                content = stream(
                    int(given["series"]), int(given["buckets"]), given["metric"], max(0, low), min(1_024_000, high)
                )
                kind = "application/vnd.apache.arrow.stream"
            elif (built / address.path[1:]).suffix in _TYPES:
                content, kind = (built / address.path[1:]).read_bytes(), _TYPES[Path(address.path).suffix]
            else:
                content, kind = _HTML, "text/html"
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Requests are not logged: their output would stand between the figures."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def percentiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {"p50": round(ordered[len(ordered) // 2], 1), "p95": round(ordered[int(len(ordered) * 0.95)], 1)}


def script_ms(client: CDPSession) -> float:
    """Return how long JavaScript of the main thread has run so far."""
    found = {one["name"]: one["value"] for one in client.send("Performance.getMetrics")["metrics"]}
    return float(found["ScriptDuration"]) * 1_000


def frames(page: Page, client: CDPSession, kind: str, steps: int = 90) -> dict[str, Any]:
    before = script_ms(client)
    times = page.evaluate(_FRAMES, [steps, kind])
    spent = script_ms(client) - before
    page.wait_for_timeout(700)
    return {"frame_ms": percentiles(times), "script_ms_a_frame": round(spent / steps, 2)}


def first_ms(page: Page) -> float:
    """Return how long after the page's script began the first chart had a picture."""
    page.wait_for_function(_FIRST)
    return float(page.evaluate("performance.now() - bench.began"))


def measure(address: str, screenshots: Path | None) -> None:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        client = page.context.new_cdp_session(page)
        client.send("Performance.enable")
        page.on("pageerror", lambda error: print(error, file=sys.stderr))
        for name, charts, series, buckets in _PAGES:
            page.goto(f"{address}/?charts={charts}&series={series}&buckets={buckets}")
            found: dict[str, Any] = {
                "what": name,
                "charts": charts,
                "series": series,
                "first_ms": round(first_ms(page)),
            }
            page.wait_for_timeout(1_000)
            if screenshots is not None:
                page.screenshot(path=screenshots / f"{name.replace(' ', '-')}.png")
            found |= {kind: frames(page, client, kind) for kind in ("zoom", "pan", "append")}
            found["heap_mb"] = round(page.evaluate("performance.memory.usedJSHeapSize") / 1e6, 1)
            print(json.dumps(found), flush=True)
        page.goto(f"{address}/?series=100&buckets=1000&kind=paths")
        page.wait_for_function("globalThis.bench?.paths")
        print(json.dumps({"what": "paths of a 2D canvas", "zoom": frames(page, client, "paths", 40)}), flush=True)
        browser.close()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["node", str(HERE / "build.mjs"), folder], check=True)
        server = serve(Path(folder))
        screenshots = Path(sys.argv[1]) if len(sys.argv) > 1 else None
        measure(f"http://127.0.0.1:{server.server_port}", screenshots)
        server.shutdown()


if __name__ == "__main__":
    main()
