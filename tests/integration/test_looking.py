"""What people look at from the terminal and by `API` beside lists: ranks, what differs, output, files, projects."""

import hashlib
import json
import os
import random
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstream as rs
from kit.commands import done, told
from kit.servers.embedded import Server
from runstream.api import API, NotFound, UnknownName
from runstream.errors import Invalid

WAIT_S = 240.0
QUIET: dict[str, Any] = {"capture_console": False, "capture_code": False, "system_metrics_s": 0}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("looking")
    with Server(folder) as server:
        given: dict[str, Any] = {"url": server.url, "dir": folder / "spool", **QUIET}
        first = rs.init("p", "wide", "wide-1", config={"lr": 0.1, "width": 64, "seed": 1}, tags=["sweep"], **given)
        first.log({"val/loss": 0.5, "val/acc": 0.9, "other": 1, "a*": 7}, step=3)
        first.sample({"system/cpu_percent": 3.0}, 0)
        first.output("stdout", "first line\nsecond \x1b[31mline\n")
        first.output("stderr", "a warning\n")
        for step in (1, 2):
            first.log_text("notes.txt", f"at {step}", step=step)
        first.log_asset(b"weights", "model/w.pt")
        first.finish(timeout_s=WAIT_S)
        second = rs.init("p", "narrow", "narrow-1", config={"lr": 0.1, "width": 8}, tags=["sweep"], **given)
        second.log({"val/loss": float("nan"), "val/acc": 0.9})
        second.finish(timeout_s=WAIT_S)
        ranks = [rs.init("q", None, "ranked", rank=rank, **given) for rank in (0, 1)]
        for step in range(4):
            for rank, run in enumerate(ranks):
                run.log({"loss": step * 10 + rank}, step=step)
        ranks[0].output("stdout", "größe\n")
        for run in ranks:
            run.finish(timeout_s=WAIT_S)
        rs.init("r", **given).finish(timeout_s=WAIT_S)
        yield server.url


@pytest.fixture
def api(url: str, monkeypatch: pytest.MonkeyPatch) -> API:
    monkeypatch.setenv("RUNSTREAM_URL", url)
    return API(url)


def test_only_what_differs_is_compared(api: API, capfd: pytest.CaptureFixture[str]) -> None:
    found = told(capfd, "compare", "wide", "narrow")
    assert found["runs"] == ["wide-1", "narrow-1"]
    assert found["compared"]["Parameters"] == {"seed": [1, None], "width": [64, 8]}
    assert found["compared"]["Metrics, last value"] == {
        '"a*"': [7.0, None],
        "other": [1.0, None],
        "val/loss": [0.5, "NaN"],
    }
    everything = told(capfd, "compare", "--filter", 'tag = "sweep"', "--all", "--system")["compared"]
    assert everything["Parameters"]["lr"] == [0.1, 0.1]
    assert sorted(everything["Metrics, last value"]["system/cpu_percent"], key=str) == [3.0, None]
    shown = done(capfd, "compare", "wide", "narrow")
    assert "width" in shown
    assert "lr" not in [line.split()[0] for line in shown.splitlines() if line.strip()]


def test_a_run_alone_is_not_compared(api: API, capfd: pytest.CaptureFixture[str]) -> None:
    assert "1 runs cannot be compared: give 2 to 50" in done(capfd, "compare", "wide", "wide-1", code=2)
    assert "say which runs" in done(capfd, "compare", code=2)


def test_output(api: API, capfd: pytest.CaptureFixture[str]) -> None:
    assert done(capfd, "output", "wide", "--stream", "stdout") == "first line\nsecond \x1b[31mline\n"
    assert "a warning" in done(capfd, "output", "wide")
    assert told(capfd, "output", "narrow") == {"run": "narrow-1", "output": ""}


def test_a_stdout_that_cannot_show_all_of_it(api: API) -> None:
    def shown(*arguments: str) -> bytes:
        command = [sys.executable, "-m", "runstream_infra.cli", *arguments]
        environment = os.environ | {"PYTHONIOENCODING": "ascii", "RUNSTREAM_URL": api.url}
        return subprocess.run(command, env=environment, capture_output=True, check=True).stdout

    assert shown("output", "ranked") == b"gr\\xf6\\xdfe\n"
    assert json.loads(shown("output", "ranked", "--json"))["output"] == "größe\n"


def test_a_file_that_is_elsewhere(api: API, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    place = "s3://bucket/far.bin"
    stored = {"sha256": hashlib.sha256(b"weights").hexdigest(), "size_bytes": 7}
    logged = {"type": "asset_logged.v1", "asset_id": "far", "name": "far.bin", "location": place, **stored}
    api.command("narrow-1", logged)
    with pytest.raises(Invalid, match=r"asset 'far\.bin' of run narrow-1 is elsewhere, at s3://bucket/far.bin"):
        api.download(api.assets("narrow-1")[0], tmp_path)
    with pytest.raises(Invalid, match=r"'far\.bin' of run narrow-1 is elsewhere"):
        api.download_all([*api.assets("wide-1"), *api.assets("narrow-1")], tmp_path)
    found = told(capfd, "download", "narrow-1", "--to", str(tmp_path))
    assert found == {"run": "narrow-1", "files": [], "elsewhere": [{"name": "far.bin", "location": place}]}
    shown = done(capfd, "download", "narrow-1", "far.bin", "--to", str(tmp_path))
    assert f"far.bin is elsewhere, at {place}: get it from there" in shown
    assert "0 files (0 B)" in shown
    assert list(tmp_path.iterdir()) == []


def test_files(api: API, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    found = told(capfd, "download", "wide", "--to", str(tmp_path / "all"))
    written = {str(Path(path).relative_to(tmp_path / "all")): Path(path).read_text() for path in found["files"]}
    assert written == {"notes.txt": "at 2", "notes.1.txt": "at 1", "model/w.pt": "weights"}
    assert "1 file (7 B)" in done(capfd, "download", "wide", "model/w.pt", "--to", str(tmp_path / "one"))
    assert "run wide-1 has no file 'nope'" in done(capfd, "download", "wide", "nope", code=2)
    (tmp_path / "all" / "notes.txt").write_text("mine")
    assert "w.pt is there already" in done(capfd, "download", "wide", "--to", str(tmp_path / "all"), code=2)
    assert (tmp_path / "all" / "notes.txt").read_text() == "mine"
    told(capfd, "download", "wide", "--to", str(tmp_path / "all"), "--overwrite")
    assert (tmp_path / "all" / "notes.txt").read_text() == "at 2"
    assert [path.name for path in api.download_all(api.assets("wide-1", kind="model"), tmp_path)] == ["w.pt"]


def test_no_file_leaves_the_folder_by_a_link(api: API, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "model").symlink_to(tmp_path)
    with pytest.raises(Invalid, match="symbolic link"):
        api.download_all(api.assets("wide-1"), tmp_path / "out")
    assert not (tmp_path / "w.pt").exists()


def test_projects(api: API, capfd: pytest.CaptureFixture[str]) -> None:
    assert [(one["project"], one["runs"]) for one in told(capfd, "projects")["projects"]] == [
        ("p", 2),
        ("q", 1),
        ("r", 1),
    ]
    assert "updated" in done(capfd, "projects")


def test_columns_of_a_kind(api: API, capfd: pytest.CaptureFixture[str]) -> None:
    runs = api.runs(columns="param.*, metric.val/*.min", project="p", sort="created")
    assert runs[0].columns == {
        "param.lr": 0.1,
        "param.seed": 1,
        "param.width": 64,
        "metric.val/acc.min": 0.9,
        "metric.val/loss.min": 0.5,
    }
    assert runs[1].columns.keys() == runs[0].columns.keys() - {"param.seed"}
    (wide,) = api.runs('name = "wide"', columns=["metric.val/*", "param.w?dth", 'metric."a*"', "metric.val/acc"])
    assert wide.columns == {
        "metric.val/acc": 0.9,
        "metric.val/loss": 0.5,
        "param.width": 64,
        'metric."a*"': 7.0,
    }
    (title, *_) = done(capfd, "runs", "-p", "p", "-c", "name,param.*,metric.val/*").splitlines()
    assert title.split() == [
        "name",
        *(f"param.{name}" for name in ("lr", "seed", "width")),
        "metric.val/acc",
        "metric.val/loss",
    ]


def test_lists_are_lists(api: API) -> None:
    runs = api.runs('project != "r"', sort="created")
    assert isinstance(runs, list)
    shuffled = runs + api.runs(limit=0)
    random.Random(1).shuffle(shuffled)
    shuffled.sort(key=lambda run: run.created_at)
    assert [run.run for run in shuffled] == [run.run for run in runs] == ["wide-1", "narrow-1", "ranked"]
    assert runs.to_pandas()["run"].tolist() == ["wide-1", "narrow-1", "ranked"]


def test_a_run_that_is_not_there_has_no_summaries(api: API) -> None:
    for read in (api.summaries, api.series):
        with pytest.raises(NotFound, match="no run has the id 'nobody'"):
            list(read(["wide-1", "nobody"]))
    assert len(api.summaries("wide-1", "nope")) == 0


def test_a_run_without_a_name_is_found_by_the_one_that_is_shown(api: API, capfd: pytest.CaptureFixture[str]) -> None:
    (run,) = api.runs(project="r")
    assert run.name == run.run, "nobody named it"
    assert run.display_name in done(capfd, "runs", "-p", "r")
    assert told(capfd, "show", run.display_name)["run"]["id"] == run.run
    assert done(capfd, "show", run.run).splitlines()[0] == run.display_name


def test_ranks(api: API, capfd: pytest.CaptureFixture[str]) -> None:
    writers = api.writers("ranked")
    assert sorted(one.rank for one in writers if one.rank is not None) == [0, 1]
    assert {one.rank for one in api.writers("wide-1")} == {None}
    past = api.writers("ranked", as_of=api.server.status().visible)
    assert {one.writer: one.rank for one in past} == {one.writer: one.rank for one in writers}
    curves = list(api.series("ranked", "loss", by="writer"))
    assert [(curve.rank, curve.values) for curve in curves] == [(0, [0, 10, 20, 30]), (1, [1, 11, 21, 31])]
    assert {curve.rank: curve.writer for curve in curves} == {one.rank: one.writer for one in writers}
    assert [len(curve) for curve in api.series("ranked", "loss")] == [8]
    with pytest.raises(Invalid, match="divides no buckets"):
        api.series("ranked", "loss", 10, by="writer")
    shown = done(capfd, "show", "ranked")
    lines = [line.split() for line in shown.splitlines()]
    assert ["rank", "writers", "open", "last", "seen"] in lines
    assert [line[:3] for line in lines if line[:1] in (["0"], ["1"])] == [["0", "1", "0"], ["1", "1", "0"]]


def test_metrics_of_the_system_are_one_line(api: API, capfd: pytest.CaptureFixture[str]) -> None:
    assert "system/cpu_percent" not in done(capfd, "show", "wide")
    assert "system/cpu_percent" in done(capfd, "show", "wide", "--system")
    assert "system/cpu_percent" in [one["metric"] for one in told(capfd, "show", "wide")["summaries"]]


def test_what_is_not_known_is_told_of_tables_and_of_live_changes(api: API) -> None:
    with pytest.warns(UnknownName, match="'val/los'; did you mean val/loss"):
        assert api.series("wide-1", "val/los").to_arrow().num_rows == 0
    with pytest.warns(UnknownName, match="there is no project 'nope'"):
        api.runs('project = "nope"')
    with pytest.warns(UnknownName, match="there is no workspace 'nope'"):
        api.projects("nope")


def test_a_program_at_the_address_of_a_run_gets_its_json(api: API) -> None:
    with urllib.request.urlopen(api.run("wide-1").url) as response:
        assert json.load(response)["run"]["run"] == "wide-1"
