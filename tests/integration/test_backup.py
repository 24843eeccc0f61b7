"""docs/backup.md, done as it says: copies that are made while the server writes, restored and compared by value."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import runstream as rs
from kit.waiting import wait_until
from runstream import API
from runstream_ingest.log.embedded import EmbeddedLog

PAGE = (Path(__file__).parents[2] / "docs" / "backup.md").read_text()
QUIET: dict[str, Any] = {"capture_console": False, "capture_code": False, "system_metrics_s": 0, "project": "kept"}
COPIES = 3


def commands(section: str) -> str:
    """The commands of a section of the page."""
    body = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return "\n".join(re.findall(r"^    (.*)$", body, re.M))


def do(script: str, data: Path, backup: Path) -> None:
    environment = {**os.environ, "DATA": str(data), "BACKUP": str(backup)}
    subprocess.run(["bash", "-euc", script], env=environment, check=True, timeout=240)


def _ours(line: str) -> str:
    """The command of this checkout."""
    return re.sub(r"^runstream ", f"{sys.executable} -m runstream_infra.cli ", line.strip())


@contextmanager
def serving(data: Path, script: str = 'runstream up --data-dir "$DATA"') -> Iterator[str]:
    """What `runstream up` of the page starts, on a free port; its address."""
    command = _ours(script).replace('"$DATA"', str(data)).split()
    with subprocess.Popen([*command, "--port", "0"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = re.search(r"ready at (\S+) ", process.stdout.readline())
            assert ready
            yield ready[1]
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(240) == 0


def contents(url: str, folder: Path) -> dict[str, Any]:
    """Everything that reads give of the project's runs, by name."""
    api = API(url=url)
    found = {}
    for run in api.runs(project="kept"):
        files = {one.name: api.download(one, folder / f"{run.run}-{one.asset}").read_bytes() for one in api.assets(run)}
        points = {curve.metric: list(curve) for curve in api.series(run, "*")}
        found[run.name] = {"points": points, "files": files, "status": run.status}
    return found


def records(backup: Path) -> int:
    """How many records the log of a copy has. Opening it refuses one that is damaged."""

    async def count() -> int:
        log = await asyncio.to_thread(EmbeddedLog.open, backup / "log")
        try:
            return sum((await log.next_offsets()).values())
        finally:
            await log.close()

    return asyncio.run(count())


def written(url: str, spool: Path, stop: threading.Event) -> Iterator[int]:
    """Log runs of points and files until `stop`; yields how many there are."""
    number = 0
    while not stop.is_set():
        run = rs.init(name=f"run-{number}", url=url, dir=spool, **QUIET)
        for step in range(50):
            run.log({"loss": step / 7, "accuracy": -step}, step=step)
        run.log_asset(f"file {number}".encode() * 2_000, name="file.bin")
        assert run.finish()
        number += 1
        yield number


def test_copies_of_a_server_that_writes_hold_what_was_acknowledged(tmp_path: Path) -> None:
    data, stop, done = tmp_path / "data", threading.Event(), [0]
    copies = [tmp_path / f"copy-{number}" for number in range(COPIES)]
    before = []
    with serving(data) as url:

        def write() -> None:
            for number in written(url, tmp_path / "spool", stop):
                done[0] = number

        thread = threading.Thread(target=write)
        thread.start()
        try:
            for copy in copies:
                wanted = done[0] + 1
                wait_until(lambda wanted=wanted: done[0] >= wanted)  # type: ignore[misc]
                before.append(done[0])
                do(commands("Copy"), data, copy)
        finally:
            stop.set()
            thread.join()
        original = contents(url, tmp_path)
        last = tmp_path / "last"
        do(commands("Copy"), data, last)
    assert len(original) == done[0]
    restore, _, start = commands("Restore").partition("runstream up")
    start, _, rebuild = f"runstream up{start}".partition("\n")
    sizes = [records(copy) for copy in copies]
    assert sizes == sorted(sizes)
    for copy, complete in ((copies[0], False), (last, True)):
        restored = tmp_path / f"restored-{copy.name}"
        do(restore, restored, copy)
        with serving(restored, start) as url:
            wait_until(lambda url=url: API(url=url).server.status().lag_records == 0)  # type: ignore[misc]
            found = contents(url, tmp_path)
        assert complete is (found == original)
        least = {f"run-{number}" for number in range(before[0])}
        assert least <= found.keys(), "what was acknowledged before the copy"
        assert {name: found[name] for name in least} == {name: original[name] for name in least}
        for name, run in found.items():
            assert run["files"].items() <= original[name]["files"].items()
            for metric, kept in run["points"].items():
                assert kept == original[name]["points"][metric][: len(kept)]
    do(_ours(rebuild), restored, last)
