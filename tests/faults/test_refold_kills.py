"""SIGKILL of the server at every step of building the read models anew, while trainers go on: each start has the old
generation or the new one, whole, and in the end every value is there once."""

import os
from pathlib import Path

import pytest

from kit.servers.embedded import (
    Rows,
    Server,
    Trainers,
    check,
    rebuild_is_equal,
    stored,
    wait_until_logged,
    wait_until_visible,
)
from runstream.api import API, ServerUnreachable
from runstream_processors.generations import CURRENT, Versions

#: What the process dies of, in the order of the steps, in two builds one behind the other: a switch that is recorded is
#: not done again, so the steps behind it need a build of their own. The last is a rebuild that somebody requests.
ALL_STEPS: tuple[tuple[str, ...], ...] = (
    (
        "building recorded",
        "tables made",
        "rebuilding: resumed",
        "rebuilding: after points",
        "rebuilding: before watermark_states",
        "rebuilding: after watermark_states",
        "caught up",
        "compared",
        "folding held",
        "caught up with what serves",
        "serving recorded",
        "tables dropped",
        "dropping recorded",
    ),
    ("switched",),
    ("rebuild requested", "rebuilding: after points", "compared", "serving recorded", "tables dropped"),
)
#: Those of them at which a start finds something else than it finds at the one before. `make faults` dies at all.
FEW_STEPS: tuple[tuple[str, ...], ...] = (
    (
        "building recorded",
        "rebuilding: after points",
        "caught up",
        "serving recorded",
        "tables dropped",
        "dropping recorded",
    ),
    ("switched",),
    ("rebuild requested", "rebuilding: after points", "serving recorded"),
)
STEPS = ALL_STEPS if "RUNSTREAM_KILLS" in os.environ else FEW_STEPS
SETTLED = (
    "SELECT metric, step, reinterpretAsUInt64(value) AS bits, offset FROM points WHERE run = '{run}' "
    "ORDER BY metric, offset, step, bits",
    "SELECT metric, count, nan_count, reinterpretAsUInt64(total) AS total, last_step, offset FROM summaries "
    "WHERE run = '{run}' ORDER BY metric",
    "SELECT status, offset FROM runs WHERE run = '{run}'",
)
#: The version that the first server folds.
FIRST = CURRENT["summary_states"]
#: What the server of each of STEPS folds: a rebuild that is requested is one of the same version.
VERSIONS = (FIRST + 1, FIRST + 2, FIRST + 2)
REQUESTED = "rebuild requested"
GENERATIONS = "SELECT stage, generation FROM runstream.generations ORDER BY generation, stage"


def versions_of(version: int) -> Versions:
    return {**CURRENT, "summary_states": version}


def settled(directory: Path, run: str, version: int) -> list[Rows]:
    """What a stopped server has of a run that ended long ago."""
    return stored(directory, *(text.format(run=run) for text in SETTLED), versions=versions_of(version))


def request_rebuild(server: Server) -> None:
    """Of fresh tables that take over. The server dies of it before it responds."""
    with pytest.raises(ServerUnreachable):
        API(url=server.url).server.rebuild(replace=True)


@pytest.mark.timeout(900)
def test_kills_at_every_step_leave_the_old_or_the_new_and_lose_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with Server(data) as server:
        with Trainers(tmp_path, server.url, count=1) as before:
            wait_until_logged(server.url, before.run_id(1))
            before.finish()
            wait_until_visible(server.url, before.runs())
        [ended] = before.runs()
        server.stop()
        wanted = settled(data, ended, FIRST)
        assert len(wanted[0]) > 0
        (tmp_path / "stop").unlink()
        server.start()
        with Trainers(tmp_path, server.url, count=1, burst=3, first=2) as trainers:
            for version, steps in zip(VERSIONS, STEPS, strict=True):
                for step in steps:
                    server.kill_group()
                    server.options = ("--version", str(version), "--kill-at", step)
                    server.start(must_be_ready=step == REQUESTED)
                    if step == REQUESTED:
                        request_rebuild(server)
                    assert server.wait_for_death(120.0), f"it did not come to {step!r}: {server.log()[-3000:]}"
                    assert settled(data, ended, version) == wanted, step
            server.options = ("--version", str(version))
            server.start()
            trainers.finish()
            wait_until_visible(server.url, trainers.runs())
            server.stop()
        trainers.rows |= before.rows
        points = check(data, trainers, versions_of(version))
        rebuild_is_equal(data, versions_of(version))
    [rows] = stored(data, GENERATIONS, versions=versions_of(version))
    assert [(row["generation"], row["stage"]) for row in rows if row["stage"] == "serving"] == [
        (1, "serving"),
        (2, "serving"),
        (3, "serving"),
        (4, "serving"),
    ]
    kills = sum(map(len, STEPS))
    print(f"\nkills at steps of a build: {kills}; {points} points, 0 lost, 0 doubled")
