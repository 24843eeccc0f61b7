"""`runstream export` of a real server: odd names as they were logged, equal times in all files, files downloaded."""

import csv
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import runstream as rs
from kit.servers.embedded import Server
from runstream.api import API, exact
from runstream_infra.cli import app
from runstream_infra.cli.export_files import places_of

QUIET: dict[str, Any] = {"capture_code": False, "capture_console": True, "system_metrics_s": 0, "project": "odd"}
#: Signs of globs and of the filter language.
NAMES = ("*", "m*", "a[b]", '"quoted"', "plain", "is.null and x", "ä/ö ü")
#: As it was logged, and below the run's folder.
FILES = {
    "../up.txt": "up.txt",
    "/etc/passwd": "etc/passwd",
    "a/b.txt": "a/b.txt",
    "same.txt": "same.txt",
    "CON": "_CON",
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("exporting")
    with Server(folder) as server:
        config = {name: f"value of {name}" for name in NAMES}
        with rs.init(run_id="odd-1", url=server.url, dir=folder / "spool", config=config, **QUIET) as run:
            run.log_others(dict.fromkeys(NAMES, 3))
            run.notes("two\nlines, with a comma")
            for step in range(3):
                run.log({name: step + number / 10 for number, name in enumerate(NAMES)}, step=step)
            for name in FILES:
                run.log_asset(name.encode() * 100, name=name)
            run.log_asset(b"another", name="same.txt", step=7)
            print("printed, and kept")
        with rs.init(run_id="odd-2", url=server.url, dir=folder / "spool", **QUIET) as run:
            run.log_params({"big": 2**60 + 1})
        yield server.url


def exported(capfd: pytest.CaptureFixture[str], url: str, out: Path, *options: str) -> dict[str, int]:
    capfd.readouterr()
    assert app.run(["export", "--project", "odd", "--url", url, "--out", str(out), "--json", *options]) == 0
    sys.stdout.flush()
    found: dict[str, int] = json.loads(capfd.readouterr().out)["rows"]
    return found


def rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        table: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return table
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_everything_that_a_run_has_is_there_under_its_name(
    url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], form: str
) -> None:
    out = tmp_path / "out"
    counts = exported(capfd, url, out, "--format", form, "--with-files")
    assert counts["points"] == 3 * len(NAMES)
    points = rows(out / f"points.{form}")
    for number, name in enumerate(NAMES):
        values = [float(row["value"]) for row in points if row["metric"] == name]
        assert values == [step + number / 10 for step in range(3)], name
    assert {row["metric"] for row in rows(out / f"summaries.{form}")} == set(NAMES)
    parameters = {row["name"]: row["value"] for row in rows(out / f"parameters.{form}") if row["run"] == "odd-1"}
    assert parameters == {name: f"value of {name}" for name in NAMES}
    assert {row["name"] for row in rows(out / f"others.{form}") if row["run"] == "odd-1"} >= set(NAMES)
    (run,) = (row for row in rows(out / f"runs.{form}") if row["id"] == "odd-1")
    assert run["notes"] == "two\nlines, with a comma"
    assert "printed, and kept\n" in [row["text"] for row in rows(out / f"output.{form}")]
    files = {row["path"]: row["name"] for row in rows(out / f"files.{form}")}
    assert files == {f"assets/odd-1/{place}": name for name, place in (FILES | {"same.txt": "same.txt"}).items()} | {
        next(path for path in files if "same~" in path): "same.txt"
    }
    for path, name in files.items():
        assert (out / path).read_bytes() in (name.encode() * 100, b"another")
    assert not list(tmp_path.glob("*.txt")), "nothing is written outside"


def test_times_are_the_same_texts_in_all_csv_files(url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    exported(capfd, url, tmp_path / "out", "--format", "csv")
    points = [row for row in rows(tmp_path / "out" / "points.csv") if row["metric"] == "plain"]
    (summary,) = (row for row in rows(tmp_path / "out" / "summaries.csv") if row["metric"] == "plain")
    assert (summary["first_at"], summary["last_at"]) == (points[0]["at"], points[-1]["at"])


def test_tables_keep_integers_beside_missing_ones(url: str) -> None:
    table = API(url).runs(project="odd", columns=["param.big"]).to_pandas()
    column = next(name for name in table.columns if "big" in name)
    assert sorted(table[column].dropna().tolist()) == [2**60 + 1]
    assert table[column].isna().sum() == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_series_is_read_by_its_exact_name(url: str, name: str) -> None:
    (curve,) = API(url).series("odd-1", exact(name))
    assert (curve.metric, len(curve)) == (name, 3)


def test_runs_with_odd_ids_have_folders_of_their_own(url: str) -> None:
    (asset, *_) = API(url).assets("odd-1")
    odd = [replace(asset, run=run, name="x") for run in ("..", "a/b", "a_b", "CON")]
    places = places_of([*odd, replace(asset, location="s3://elsewhere")])
    made = [place for place in places if place is not None]
    assert len(set(made)) == 4
    assert places[4] is None
    assert all(place.startswith("assets/") and ".." not in place.split("/") for place in made)
