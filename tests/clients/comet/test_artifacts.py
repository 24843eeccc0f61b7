"""Artifacts by the unmodified `comet_ml`: what it logs is Runstream's, what Runstream's API logs it reads."""

from collections.abc import Mapping
from typing import Any

import pytest

import runstream
from kit.comet.artifacts_told import FILES, METADATA, PLAIN, PROJECT, REMOTE, TIMES, WORKSPACE
from kit.comet.logged import KEY
from kit.comet.processes import steps_of

NAME = "digits ☃"
NATIVE = "native net"


@pytest.fixture(scope="module")
def api(writing: Any) -> runstream.API:
    return runstream.API(url=writing.url, api_key=KEY)


@pytest.fixture(scope="module")
def results(writing: Any, api: runstream.API) -> Mapping[str, Any]:
    """What every step of artifacts.py was answered."""
    for text in ("one", "two"):
        api.log_artifact_version(
            NATIVE, "weights", {"net.bin": text.encode()}, workspace=WORKSPACE, project="other", aliases=[text]
        )
    return steps_of(writing, "artifacts", NATIVE)


def test_what_was_logged_is_told_at_once(results: Mapping[str, Any]) -> None:
    about = {
        "name": NAME,
        "type": "dataset",
        "workspace": WORKSPACE,
        "source": results["producer"],
        "artifact tags": [],
    }
    first = {"version": "1.0.0", "aliases": ["Latest", "best", "raw"], "tags": ["seen"], "metadata": METADATA}
    assert results["first"] == {**about, **first, "size": 0}
    assert [results[step]["version"] for step in ("given", "next", "empty")] == ["3.1.0", "4.0.0", "1.0.0"]


@pytest.mark.parametrize(
    ("step", "error", "text"),
    [
        ("other type", "LogArtifactException", "has the type 'dataset', not 'model'"),
        ("given again", "LogArtifactException", "there is a version 3.1.0"),
        ("not final", "ArtifactNotFinalException", "not in a finalized state"),
        ("unknown", "ArtifactNotFound", "nobody's"),
        ("unknown workspace", "ArtifactNotFound", "nowhere"),
        ("unknown version", "ArtifactNotFound", "9.9.9"),
        ("unknown alias", "ArtifactNotFound", "nope"),
        ("used nothing", "ArtifactNotFound", "nobody's"),
        ("no asset", "ArtifactAssetNotFound", "nothing"),
        ("details of nobody", "CometRestApiException", "there is no artifact"),
        ("files of nobody", "CometRestApiException", "has no version '9.9.9'"),
        ("remote asset", "ArtifactDownloadException", "Cannot download Asset"),
        ("download beside", "ArtifactDownloadException", "a.txt"),
        ("wrong strategy", "ValueError", "maybe"),
        ("wrong direction", "ValueError", "sideways"),
    ],
)
def test_what_cannot_be_done_is_reported(results: Mapping[str, Any], step: str, error: str, text: str) -> None:
    assert results[step]["error"] == error
    assert text in results[step]["text"]


def test_versions_logged_at_once_have_numbers_of_their_own(results: Mapping[str, Any]) -> None:
    assert results["concurrent"] == [f"{number}.0.0" for number in range(1, TIMES + 1)]
    assert results["waited for all"] == TIMES


def test_versions_are_found_by_text_and_alias(results: Mapping[str, Any]) -> None:
    assert results["newest"] == results["by alias"]
    assert (results["newest"]["version"], results["newest"]["aliases"]) == ("4.0.0", ["Latest", "best"])
    first = results["by version"]
    assert (first["version"], first["aliases"], first["metadata"]) == ("1.0.0", ["raw"], METADATA)
    assert first["size"] == sum(map(len, FILES.values()))


def test_lists_and_details(results: Mapping[str, Any]) -> None:
    by_name = {one["name"]: one for one in results["list"]}
    assert set(by_name) >= {NAME, NATIVE, "nothing", "race"}
    assert (by_name[NAME]["latestVersion"], by_name[NAME]["project"]) == ("4.0.0", PROJECT)
    assert (results["list of a type"], results["list of nothing"]) == ([], {"artifacts": []})
    assert results["details by id"] == results["details"]
    assert [one["version"] for one in results["details"]["versions"]] == ["1.0.0", "3.1.0", "4.0.0"]
    assert {one["experimentKey"] for one in results["details"]["versions"]} == {results["producer"]}


def test_files_of_a_version(results: Mapping[str, Any]) -> None:
    assets = {one["path"]: one for one in results["assets"]}
    assert sorted(assets) == sorted([*FILES, "far.bin", "near.csv"])
    for name, content in FILES.items():
        assert (assets[name]["size"], assets[name]["remote"], assets[name]["link"]) == (len(content), False, None)
    assert assets["a.txt"]["metadata"] == {"of": "a.txt"}
    assert (assets["far.bin"]["link"], assets["far.bin"]["metadata"]) == (REMOTE, {"rows": 5})
    assert results["remote"] == [assets["far.bin"], assets["near.csv"]]
    assert assets["near.csv"]["link"] == PLAIN
    assert results["asset"] == assets["sub/b.bin"]
    assert [one["fileName"] for one in results["files"]] == sorted(assets)
    assert results["files by alias"] == ["a.txt"]


def test_downloads(results: Mapping[str, Any]) -> None:
    files = {name: content.decode("latin-1") for name, content in FILES.items()}
    for step in ("download", "download without sync", "download again"):
        assert results[step]["files"] == files
        assert ["far.bin", True, REMOTE] in results[step]["assets"]
    assert (results["download over"], results["download kept"], results["one asset"]) == ("one", "changed", "one")


def test_what_the_native_api_logged_is_read(results: Mapping[str, Any]) -> None:
    native = results["native"]
    assert (native["version"], native["type"], native["source"]) == ("2.0.0", "weights", None)
    assert native["aliases"] == ["Latest", "two"]
    assert results["native files"]["files"] == {"net.bin": "one"}


def test_the_native_api_reads_what_the_client_logged(results: Mapping[str, Any], api: runstream.API) -> None:
    artifact = api.artifact(NAME, "dataset", workspace=WORKSPACE, project=PROJECT)
    version = artifact.version("1.0.0")
    assert (version.ordinal, version.run, version.comment) == (1, results["producer"], "")
    contents = version.contents()
    assert {name: contents.metadata[name] for name in METADATA} == METADATA
    assert {file.name: file.size_bytes for file in contents.files if file.link is None} == {
        name: len(content) for name, content in FILES.items()
    }
    assert {file.name: file.link for file in contents.files if file.link} == {
        "far.bin": REMOTE,
        "near.csv": "file:/data/near%20file.csv",
    }
    assert list(api.assets(results["producer"])) == [], (
        "files that were on their way to a version are no longer the run's"
    )


def test_who_made_and_who_used_a_version(results: Mapping[str, Any], api: runstream.API) -> None:
    made = [["output", NAME, version] for version in ("1.0.0", "3.1.0", "4.0.0")] + [["output", "nothing", "1.0.0"]]
    assert results["lineage of the producer"] == results["outputs"] == made
    assert results["inputs of the producer"] == []
    assert results["lineage of the consumer"] == [
        ["input", NAME, "1.0.0"],
        ["input", NATIVE, "2.0.0"],
        ["output", "edited", "1.0.0"],
    ]
    assert results["source"] == results["producer"]
    version = api.artifact(NAME, "dataset", workspace=WORKSPACE, project=PROJECT).version("1.0.0")
    assert [one.remark for one in api.artifacts.remarks(version)] == [{"used_by": results["consumer"]}]


def test_labels_can_be_changed(results: Mapping[str, Any]) -> None:
    assert results["changed"] is None
    relabelled = results["relabelled"]
    assert (relabelled["aliases"], relabelled["tags"]) == (["best", "old"], ["checked"])
    assert relabelled["artifact tags"] == results["alias moved"]["artifact tags"] == ["numbers"]
    assert results["alias moved"]["aliases"] == ["Latest"]


def test_files_of_artifacts_are_no_assets_of_the_experiment(results: Mapping[str, Any]) -> None:
    assert results["assets of the experiment"] == []
