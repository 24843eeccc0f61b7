"""Artifacts through `runstream.API` and the real server: versions logged, read back, changed, fetched."""

import dataclasses
import inspect
import json
import math
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import runstream
from kit.servers.embedded import Server
from runstream.api import (
    API,
    Artifact,
    ArtifactFile,
    ArtifactVersion,
    Link,
    NameTaken,
    NotFound,
    Refused,
    ServerFailed,
    VersionTaken,
)
from runstream.api.forwarding import forward
from runstream.api.parts.artifact_files import target_of
from runstream.api.parts.artifacts import ArtifactsApi
from runstream.errors import Invalid
from runstream.events import limits
from runstream_infra.cli import app

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "artifacts.md"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Server(tmp_path_factory.mktemp("artifacts")) as server:
        for run in ("run-1", "8f3c0a52"):  # the latter is the documentation's
            started = {"type": "run_started.v1", "workspace": "shown", "project": "runs"}
            API(url=server.url).runs.command(run, started)
        yield server.url


@pytest.fixture
def api(url: str) -> API:
    return runstream.API(url=url)


def test_a_version_goes_in_and_comes_out(api: API, tmp_path: Path) -> None:
    source = tmp_path / "model"
    (source / "weights").mkdir(parents=True)
    (source / "weights" / "final.bin").write_bytes(bytes(range(256)) * 5000)
    (source / "größe.json").write_text("{}")
    files: dict[str, Path | bytes | Link] = {
        "model": source,
        "note.txt": b"hello",
        "empty": b"",
        "corpus": Link("s3://bucket/corpus.tar", 7),
    }
    version = api.log_artifact_version(
        "reader",
        "model",
        files,
        comment="first",
        tags=["t"],
        aliases=["best"],
        stages=["staging"],
        status="new",
        metadata={"acc": 0.5, "nan": math.nan, "none": None},
        run="run-1",
    )
    assert (version.ordinal, version.version, version.files, version.size_bytes) == (1, "1", 5, 1_280_000 + 2 + 5 + 7)
    assert (version.comment, version.tags, version.aliases, version.stages) == (
        "first",
        ("t",),
        ("best",),
        ("staging",),
    )
    assert (version.status, version.run, version.project) == ("new", "run-1", None)
    assert list(api.run_artifacts("run-1")) == [version]
    contents = version.contents()
    assert contents.metadata == {"acc": 0.5, "nan": "NaN", "none": None}
    names = ["corpus", "empty", "model/größe.json", "model/weights/final.bin", "note.txt"]
    assert [file.name for file in contents.files] == names
    assert contents.files[0] == ArtifactFile("corpus", None, 7, "application/octet-stream", "s3://bucket/corpus.tar")
    assert [file.content_type for file in contents.files[2:]] == [
        "application/json",
        "application/octet-stream",
        "text/plain",
    ]
    out = tmp_path / "out"
    written = version.download(out)
    assert [path.relative_to(out).as_posix() for path in written] == names[1:]
    assert (out / "model" / "weights" / "final.bin").read_bytes() == bytes(range(256)) * 5000
    assert sorted(path.name for path in out.rglob("*") if path.is_file()) == sorted(
        name.split("/")[-1] for name in names[1:]
    )
    assert version.read("note.txt") == b"hello"
    with pytest.raises(Refused, match=r"s3://bucket/corpus\.tar"):
        version.read("corpus")
    with pytest.raises(NotFound, match="no file"):
        api.read_artifact_file(version, "../note.txt")


def test_files_are_added_to_an_open_version_and_to_no_other(api: API, tmp_path: Path) -> None:
    version = api.artifacts.log_version("growing", "dataset", {"a": b"1"}, open=True)
    begun = str(api.position)
    (tmp_path / "b").write_bytes(b"22")
    grown = api.artifacts.add_files(version, [tmp_path / "b"])
    grown = api.artifacts.add_files(grown, {"a": b"333"})
    assert (version.open, version.files, grown.open, grown.files, grown.size_bytes) == (True, 1, True, 2, 5)
    contents = grown.contents()
    assert [(file.name, file.size_bytes) for file in contents.files] == [("a", 3), ("b", 2)]
    assert all(file.added_at is not None for file in contents.files)
    assert [path.read_bytes() for path in grown.download(tmp_path / "out")] == [b"333", b"22"]
    artifact = api.artifact("growing", "dataset")
    assert api.artifacts.version(artifact, 1, as_of=begun).files == 1
    assert [(file.name, file.size_bytes) for file in grown.contents(as_of=begun).files] == [("a", 1)]
    sealed = api.artifacts.log_version("growing", "dataset")
    assert not sealed.open
    with pytest.raises(Refused, match=r"the files of version '2' of .* never change"):
        api.artifacts.add_files(sealed, {"a": b"1"})
    many = {str(number): Link("s3://bucket/x") for number in range(limits.MAX_ARTIFACT_FILES - 1)}
    with pytest.raises(Refused, match="may have 1000 files"):
        api.artifacts.add_files(version, many)
    for nothing in ({}, {"../x": b""}):
        with pytest.raises(Invalid):
            api.artifacts.add_files(version, nothing)
    api.delete_artifact_version(version)
    with pytest.raises(NotFound, match="has no version 1"):
        api.artifacts.add_files(version, {"a": b""})


def test_what_was_used_and_made_is_a_graph(api: API) -> None:
    raw = api.artifacts.log_version("raw", "dataset", project="lineage")
    api.artifacts.mark_used(raw, "run-1")
    api.artifacts.log_version("net", "model", project="lineage", run="run-1")
    found = api.artifacts.lineage("run-1")
    wanted = {("raw", -1), ("net", 1)}
    assert {(one.name, one.distance) for one in found.versions if one.project == "lineage"} == wanted
    assert [(one.run, one.distance, one.project, one.deleted) for one in found.runs] == [("run-1", 0, "runs", False)]
    edges = {(one.kind, one.run, one.ordinal) for one in found.edges if one.artifact == raw.artifact}
    assert (edges, found.cut) == ({("used", "run-1", 1)}, ())
    assert [one.run for one in api.artifacts.lineage(raw, "down", depth=1).runs] == ["run-1"]
    assert api.artifacts.lineage(raw, "down", depth=1).cut == ("depth",)
    with pytest.raises(NotFound):
        api.artifacts.lineage("nobody")
    with pytest.raises(NotFound):
        api.artifacts.mark_used(raw, "nobody")
    with pytest.raises(Refused, match="direction"):
        api.artifacts.lineage(raw, "sideways")  # type: ignore[arg-type]


def test_a_name_that_leads_out_of_a_download_is_changed(api: API, tmp_path: Path) -> None:
    """Foreign clients name files of open versions as they like."""
    version = api.artifacts.log_version("named", "dataset", {"x": b"1"}, open=True)
    sha256 = str(version.contents().files[0].sha256)
    names = ["../../up.txt", "/etc/absolute", "a\\b", "x/../../y"]
    files = [{"name": name, "sha256": sha256, "size_bytes": 1} for name in names]
    event = {"type": "artifact_files_added.v1", **version.path, "ordinal": 1, "files": files}
    api.command("default/named", event)
    version = api.artifact("named", "dataset").version(1)
    assert [file.name for file in version.contents().files] == sorted([*names, "x"])
    out = tmp_path / "deep" / "out"
    written = version.download(out)
    assert all(path.is_relative_to(out) and path.read_bytes() == b"1" for path in written)
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(written)
    assert [version.read(name) for name in names] == [b"1"] * 4


def test_versions_are_found_by_number_text_and_alias(api: API) -> None:
    for text in ("1.0.0", None, "1.1.0"):
        api.log_artifact_version("finder", "model", version=text, aliases="newest")
    artifact = api.artifact("finder", "model")
    assert (artifact.version_count, artifact.latest_ordinal, artifact.latest_version) == (3, 3, "1.1.0")
    assert [version.version for version in artifact.versions()] == ["1.1.0", "2", "1.0.0"]
    assert [version.ordinal for version in artifact.versions(alias="newest")] == [3]
    assert [artifact.version(key).ordinal for key in (1, "1.0.0", "2", "newest", None)] == [1, 1, 2, 3, 3]
    assert api.artifact_version(artifact, "newest").artifact == artifact.artifact
    rows = api.artifact_versions(artifact, version="2").rows()
    assert [(row["ordinal"], row["aliases"], "api" in row) for row in rows] == [(2, (), False)]
    for missing in (9, "9", "nothing"):
        with pytest.raises(NotFound):
            artifact.version(missing)
    with pytest.raises(VersionTaken, match=r"'1\.0\.0' already, its number 1") as caught:
        api.log_artifact_version("finder", "model", version="1.0.0")
    assert caught.value.problem["ordinal"] == 1
    assert artifact.version().ordinal == 3


def test_artifacts_are_listed_created_changed_and_deleted(api: API) -> None:
    panel = api.create_artifact("loss", "panel", project="digits", description="d", tags=["t"])
    api.create_artifact("loss", "panel", project="letters", public=True)
    assert (panel.project, panel.description, panel.version_count, panel.latest_version) == ("digits", "d", 0, None)
    with pytest.raises(NameTaken, match="'loss'"):
        api.create_artifact("loss", "panel", project="digits")
    assert api.create_artifact("loss", "panel", project="digits", description="x", exist_ok=True) == panel
    with pytest.raises(NotFound, match="has no version"):
        panel.version()
    assert [found.project for found in api.artifacts("panel")] == ["digits", "letters"]
    assert [found.public for found in api.artifacts(project="letters")] == [True]
    assert [found.project for found in runstream.API(url=api.url, project="digits").artifacts("panel")] == ["digits"]
    assert api.artifacts("panel", project="", name="loss").rows() == []
    changed = panel.update(notes="n", tags=[])
    assert (changed.description, changed.notes, changed.tags) == ("d", "n", ())
    assert api.update_artifact(changed, public=True).public
    version = api.log_artifact_version("loss", "panel", {"panel.py": b"x"}, project="digits", aliases=["a"])
    version = version.update(comment="c", add_aliases=["b"], add_tags=["t", "u"], status="s", stages=["x"])
    assert (version.comment, version.aliases, version.tags, version.stages) == ("c", ("a", "b"), ("t", "u"), ("x",))
    version = api.update_artifact_version(version, tags=["v"], remove_aliases=["a"], remove_tags=["v"], aliases=None)
    assert (version.tags, version.aliases, version.comment) == ((), ("b",), "c")
    api.delete_artifact_version(version)
    with pytest.raises(NotFound):
        api.artifact_contents(version)
    with pytest.raises(NotFound, match="no version 1"):
        version.update(comment="late")
    assert api.log_artifact_version("loss", "panel", project="digits").ordinal == 2
    api.delete_artifact(panel)
    with pytest.raises(NotFound):
        api.artifact("loss", "panel", project="digits")
    with pytest.raises(NotFound, match="there is no panel 'loss'"):
        api.delete_artifact(panel)
    assert api.log_artifact_version("loss", "panel", project="digits").ordinal == 3


def test_remarks_stand_behind_each_other_and_change_nothing_of_a_version(api: API) -> None:
    version = api.log_artifact_version("remarked", "model", comment="c")
    written: list[dict[str, Any]] = [{"checked": True}, {"loss": math.nan, "by": ["ada"]}, {"checked": True}]
    for remark in written:
        api.artifacts.remark(version, remark)
    found = api.artifacts.remarks(version)
    assert [one.remark for one in found] == [written[0], {"loss": "NaN", "by": ["ada"]}, written[2]]
    assert [one.at for one in found] == sorted(one.at for one in found)
    first = api.artifacts.remarks(version, limit=1)
    assert ([one.remark for one in first], first.more) == ([written[0]], True)
    artifact = api.artifact("remarked", "model")
    assert dataclasses.replace(artifact.version(1), remarks=0) == version
    assert artifact.version(1).remarks == 3
    api.delete_artifact_version(version)
    with pytest.raises(NotFound, match="has no version 1"):
        api.artifacts.remark(version, {})
    with pytest.raises(NotFound):
        api.artifacts.remarks(version)


def test_versions_that_are_logged_at_once_get_numbers_of_their_own(api: API) -> None:
    def log(number: int) -> int:
        content = {"model.bin": f"{number % 2}".encode()}
        return api.log_artifact_version("raced", "model", content, metadata={"number": number}).ordinal

    with ThreadPoolExecutor(8) as threads:
        ordinals = list(threads.map(log, range(8)))
    assert sorted(ordinals) == list(range(1, 9))
    artifact = api.artifact("raced", "model")
    found = {version.ordinal: version.contents().metadata["number"] for version in artifact.versions()}
    assert found == {ordinal: number for number, ordinal in enumerate(ordinals)}

    def named(_: int) -> int:
        try:
            return api.log_artifact_version("raced", "model", version="2.0.0").ordinal
        except VersionTaken as error:
            return -int(error.problem["ordinal"])

    with ThreadPoolExecutor(4) as threads:
        outcomes = sorted(threads.map(named, range(4)))
    assert outcomes == [-9, -9, -9, 9]


def test_what_cannot_be_logged_is_reported_before_anything_is_sent(api: API, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a").write_bytes(b"2")
    before = api.artifacts().rows()
    many = {f"{number}.bin": b"" for number in range(limits.MAX_ARTIFACT_FILES + 1)}
    for files, message in (
        (many, "1001 files, at most 1000 are allowed: pack them"),
        ({"../x": b""}, r"'\.\.'"),
        ({"a/b": b"", "a": b""}, "would have to be a directory"),
        ([tmp_path / "a", tmp_path / "d" / "a"], "two files are called 'a'"),
        ([tmp_path / "a", tmp_path / "d"], "two files are called 'a'"),
        ({"x": Link("no address")}, "no address"),
    ):
        with pytest.raises(Invalid, match=message):
            api.log_artifact_version("wrong", "model", files)
    with pytest.raises(FileNotFoundError):
        api.log_artifact_version("wrong", "model", tmp_path / "missing")
    with pytest.raises(Invalid, match="metadata"):
        api.log_artifact_version("wrong", "model", metadata={"x": object()})
    with pytest.raises(Invalid, match="bytes, at most 256000"):
        api.log_artifact_version("wrong", "model", metadata={"x": "y" * 300_000})
    with pytest.raises(Invalid, match="artifact 'a/b' contains '/'"):
        api.create_artifact("a/b", "model")
    assert api.artifacts().rows() == before


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/passwd", "a//b", ".", "a\\..\\b", "nul\0"])
def test_no_name_leads_out_of_the_directory(tmp_path: Path, name: str) -> None:
    with pytest.raises(Invalid, match=r"cannot be written|leads out"):
        target_of(tmp_path, name)


def test_no_link_leads_out_of_the_directory(api: API, tmp_path: Path) -> None:
    version = api.log_artifact_version("linked", "model", {"a/b.bin": b"1", "z": b"2"})
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (inside / "a").symlink_to(outside)
    with pytest.raises(Invalid, match="symbolic link"):
        version.download(inside)
    assert list(outside.iterdir()) == []
    assert [path.name for path in inside.iterdir()] == ["a"]
    (inside / "a").unlink()
    (outside / "kept").write_bytes(b"kept")
    (inside / "z").symlink_to(outside / "kept")
    version.download(inside)
    assert ((inside / "z").read_bytes(), (outside / "kept").read_bytes()) == (b"2", b"kept")


def test_bytes_that_are_not_those_that_were_logged_do_not_appear(
    api: API, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = api.log_artifact_version("damaged", "model", {"a": b"1", "b": b"2"})
    contents = version.contents()
    swapped = dataclasses.replace(contents, files=(dataclasses.replace(contents.files[0], sha256="0" * 64),))
    monkeypatch.setattr(ArtifactsApi, "contents", lambda self, of: swapped)
    with pytest.raises(ServerFailed, match="not those that were logged"):
        api.download_artifact(version, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_the_past_of_an_artifact(api: API) -> None:
    api.log_artifact_version("past", "model", aliases=["best"])
    before = api.server.status().visible
    api.log_artifact_version("past", "model", aliases=["best"])
    artifact = api.artifact("past", "model")
    assert api.artifact("past", "model", as_of=before).version_count == 1
    assert [version.ordinal for version in api.artifact_versions(artifact, alias="best", as_of=before)] == [1]
    assert api.artifact_version(artifact, as_of=before).aliases == ("best",)


def test_what_the_documentation_shows_runs_as_it_stands(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [snippet] = re.findall(r"^```python\n(.*?)^```", DOCUMENTATION.read_text(), re.DOTALL | re.MULTILINE)
    monkeypatch.setenv("RUNSTREAM_URL", url)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out" / "model").mkdir(parents=True)
    (tmp_path / "out" / "model" / "final.bin").write_bytes(b"weights")
    exec(snippet, {})
    assert capsys.readouterr().out.startswith("1 1\n")
    assert (tmp_path / "serving" / "model" / "final.bin").read_bytes() == b"weights"
    version = runstream.API(url=url).artifact("digit reader", "model").version("production")
    assert (version.aliases, version.comment, version.run) == (("best", "production"), "trained longer", "8f3c0a52")


def test_the_command_line_shows_the_lineage_of_a_version(api: API, capsys: pytest.CaptureFixture[str]) -> None:
    raw = api.artifacts.log_version("scans", "dataset", project="drawn", aliases=["best"], stages=["staging"])
    api.artifacts.mark_used(raw, "8f3c0a52")
    api.artifacts.log_version("judge", "model", project="drawn", run="8f3c0a52")
    command = ["artifacts", "scans", "--url", api.url, "--lineage"]
    assert app.run(command[:-1]) == 0
    assert "staging" in capsys.readouterr().out
    assert app.run([*command, "best"]) == 0
    lines = [line.split()[:4] for line in capsys.readouterr().out.splitlines()]
    assert ["0", "dataset", "scans", "1"] in lines
    assert ["2", "model", "judge", "1"] in lines
    assert app.run([*command, "1", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert {(edge["kind"], edge["run"]) for edge in shown["edges"]} == {("made", "8f3c0a52"), ("used", "8f3c0a52")}
    assert app.run([*command, "1", "--limit", "1"]) == 0
    assert "cut by nodes" in capsys.readouterr().err
    assert app.run(["artifacts", "--url", api.url, "--lineage", "1"]) == 2
    assert "give its NAME" in capsys.readouterr().err


def test_the_command_line_lists_them_and_shows_one(api: API, capsys: pytest.CaptureFixture[str]) -> None:
    api.create_artifact("reader", "panel", workspace="shown", project="digits", description="two curves")
    version = api.log_artifact_version(
        "reader", "model", {"a": b"12"}, workspace="shown", aliases=["best"], run="run-1"
    )
    ask = ["artifacts", "--url", api.url, "--workspace", "shown"]

    def output_of(*more: str, status: int = 0) -> str:
        assert app.run([*ask, *more]) == status
        done = capsys.readouterr()
        return done.err if status else done.out

    listed = json.loads(output_of("--json"))
    assert [(row["artifact_type"], row["project"]) for row in listed["artifacts"]] == [
        ("panel", "digits"),
        ("model", None),
    ]
    assert json.loads(output_of("--json", "--limit", "1"))["more"] is True
    assert [row["artifact_type"] for row in json.loads(output_of("--json", "-p", "digits"))["artifacts"]] == ["panel"]
    assert "two curves" in output_of()
    api.artifacts.remark(version, {"checked": "by ada"})
    shown = output_of("reader", "--type", "model")
    assert "best" in shown
    assert "checked=by ada" in shown
    assert version.artifact in shown
    found = json.loads(output_of("reader", "-t", "model", "--json"))
    assert [(row["ordinal"], row["run"], row["size_bytes"]) for row in found["versions"]] == [(1, "run-1", 2)]
    assert [(row["version"], row["remark"]) for row in found["remarks"]] == [("1", {"checked": "by ada"})]
    assert "2 artifacts are called 'reader' (panel in shown/digits, model in shown)" in output_of("reader", status=2)
    assert "there is no artifact 'writer'" in output_of("writer", status=2)


def test_no_public_method_is_left_out() -> None:
    public = {name for name, value in vars(API).items() if isinstance(value, forward) and value.part == "artifacts"}
    text = Path(__file__).read_text()
    assert public <= set(re.findall(r"\bapi\.(\w+)", text))
    for view in (Artifact, ArtifactVersion):
        methods = {name for name, value in vars(view).items() if inspect.isfunction(value) and name[0] != "_"}
        assert methods <= set(re.findall(r"\.(\w+)\(", text))
