"""Artifacts and models of the unmodified `mlaide`: what was added is loaded, and seen by all readers."""

import asyncio
import json
import signal
import subprocess
import urllib.request
import zipfile
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from kit.foreign import KEY, READING_KEY, own
from kit.mlaide.server import ArtifactServer
from kit.ports import free_port
from kit.servers.up import running_up
from runstream_infra.rebuilding import rebuild_and_compare
from runstream_infra.settings import ServerSettings
from runstream_protocols.mlaide.keys import number_of_run, run_of_number

Kept = dict[str, Any]
#: What the steps added to the first version of `data`: the last content of each name, in the order of the names.
CONTENTS = {
    "rows.csv": "a,b\n3,4\n",
    "sub/größe ☃.txt": "deep",
    "../../data/up.csv": "up",
    "/etc/absolute": "absolute",
    'quo"te.txt': "quoted",
    "back\\slash.txt": "slash",
    "empty": "",
    "here/below.txt": "below",
}


def versions_of(server: ArtifactServer, name: str, kind: str = "dataset") -> Any:
    return server.api().artifact(name, kind, project="shelf")


def test_versions_are_counted_by_name_whatever_the_run_and_the_type(kept: Kept) -> None:
    made, following = kept["making"]["made"], kept["making"]["next"]
    assert (made["name"], made["type"], made["version"]) == ("data", "dataset", 1)
    assert (made["run_key"], made["run_name"]) == (kept["making"]["run"], "maker")
    assert (made["metadata"], made["files"], made["model"]) == ({"rows": "2", "größe": "☃"}, [], None)
    assert datetime.fromisoformat(made["created_at"]).tzinfo is not None
    assert [(one["version"], one["type"], one["run_name"]) for one in following] == [
        (2, "dataset", "second"),
        (3, "model", "maker"),
    ]


def test_an_artifact_is_got_by_number_and_the_latest_without(kept: Kept) -> None:
    first, latest = kept["getting"]
    assert (first["version"], latest["version"], latest["type"]) == (1, 3, "model")
    assert first["metadata"] == {"rows": "2", "größe": "☃"}
    assert [file["file_name"] for file in first["files"]] == list(CONTENTS)
    assert len({file["file_id"] for file in first["files"]}) == len(CONTENTS)
    assert first["updated_at"] > first["created_at"]


def test_what_was_added_last_under_a_name_is_loaded(kept: Kept) -> None:
    assert kept["loading"]["loaded"] == CONTENTS
    # Python's own zipfile leaves out what leads out of a folder.
    assert kept["loading"]["written"] == sorted(name.replace("../", "").removeprefix("/") for name in CONTENTS)
    assert kept["loading"]["outside"] == 0


def test_an_artifact_without_files_and_one_of_many_megabytes(kept: Kept) -> None:
    assert kept["empty"] == []
    stored, loaded = kept["large"]
    assert stored == loaded


def test_threads_that_create_one_name_get_versions_without_gaps(keeping: ArtifactServer, kept: Kept) -> None:
    assert kept["at_once"] == {"versions": [1, 2, 3, 4, 5, 6, 7, 8], "failed": []}
    (artifact,) = keeping.api().artifacts(project="rush")
    assert [one.ordinal for one in artifact.versions()] == [8, 7, 6, 5, 4, 3, 2, 1]
    assert sorted(item["type"] for item in keeping.aide("projects/rush/artifacts")[1]["items"]) == [
        *["dataset"] * 4,
        *["model"] * 4,
    ]


def test_a_version_is_one_of_runstream(keeping: ArtifactServer, kept: Kept, tmp_path: Path) -> None:
    version = versions_of(keeping, "data").version(1)
    assert (version.workspace, version.project, version.run) == (
        "default",
        "shelf",
        run_of_number(str(kept["making"]["run"])),
    )
    assert (version.open, version.files) == (True, len(CONTENTS))
    assert version.size_bytes == sum(len(text.encode()) for text in CONTENTS.values())
    contents = version.contents()
    assert contents.metadata == {"rows": "2", "größe": "☃"}
    assert {file.name: version.read(file.name).decode() for file in contents.files} == CONTENTS
    written = version.download(tmp_path / "out")
    assert sorted(path.read_bytes() for path in written) == sorted(text.encode() for text in CONTENTS.values())
    assert all(path.is_relative_to(tmp_path / "out") for path in written)
    assert [one.name for one in keeping.api().run_artifacts(str(version.run))] == ["data", "data"]


def test_a_version_of_the_sdk_is_read_and_keeps_its_files(keeping: ArtifactServer, kept: Kept) -> None:
    keeping.api().log_artifact_version("sealed", "dataset", {"a": b"1"}, project="shelf", stages=["production"])
    status, shown = keeping.aide("projects/shelf/artifacts/sealed/latest?model-stage=PRODUCTION")
    assert (status, shown["version"], shown["runKey"], shown["model"]["stage"]) == (200, 1, None, "PRODUCTION")
    (file,) = shown["files"]
    path = f"mlaide/api/v1/projects/shelf/artifacts/sealed/1/files/{file['fileId']}"
    assert keeping.requested(path, {"x-api-key": KEY}) == (200, 1), "its bytes, which are JSON here"
    told = keeping.told("adding_to_a_sealed_one")["adding_to_a_sealed_one"]
    assert (told["error"], told["code"]) == ("InputError", 400)
    assert "its files never change" in told["message"]


def test_models_are_loaded_by_version_and_by_stage(keeping: ArtifactServer, kept: Kept) -> None:
    second = kept["modelling"]
    assert (second["version"], second["type"], second["metadata"]) == (2, "model", {"slope": "2.0"})
    assert second["model"]["stage"] == "NONE"
    assert [file["file_name"] for file in second["files"]] == ["model.pkl"]
    path = "projects/shelf/artifacts/net"
    assert keeping.aide(f"{path}/latest")[1]["model"] is None, "its third version was never registered"
    assert keeping.aide(f"{path}/latest?model-stage=NONE")[1]["version"] == 2
    changes = [(1, "STAGING", None), (1, "PRODUCTION", "good"), (2, "STAGING", ""), (1, None, None)]
    for version, stage, note in changes:
        body = {name: value for name, value in (("stage", stage), ("note", note)) if value is not None}
        assert keeping.aide(f"{path}/{version}/model", "PUT", body)[0] == 200
    loaded = {"version 1": 1.0, "version 2": 2.0, "PRODUCTION": 1.0, "STAGING": 2.0}
    assert keeping.told("models")["models"] == {"value": loaded}
    _, first = keeping.aide(f"{path}/1")
    assert first["model"]["stage"] == "PRODUCTION"
    revisions = [[one[name] for name in ("oldStage", "newStage", "note")] for one in first["model"]["modelRevisions"]]
    assert revisions == [["NONE", "STAGING", None], ["STAGING", "PRODUCTION", "good"]]
    native = versions_of(keeping, "net", "model")
    assert [one.stages for one in native.versions()] == [(), ("STAGING",), ("PRODUCTION",)]
    found = keeping.aide("projects/shelf/artifacts?isModel=true")[1]["items"]
    assert [(one["name"], one["version"]) for one in found if one["name"] == "net"] == [("net", 1), ("net", 2)]
    assert keeping.aide(f"{path}/1/model", "PUT", {"stage": "BEST"})[0] == 400


def test_what_a_run_used_and_made_is_known(keeping: ArtifactServer, kept: Kept) -> None:
    _, shown = keeping.aide(f"projects/shelf/runs/{kept['using']}")
    assert shown["usedArtifacts"] == [
        {"name": "data", "version": 1},
        {"name": "data", "version": 3},
        {"name": "net", "version": 3},
    ]
    assert shown["artifacts"] == [{"name": "report", "version": 1}]
    items = keeping.aide(f"projects/shelf/artifacts?runKeys={kept['using']},7")[1]["items"]
    assert [(one["name"], one["runName"]) for one in items] == [("report", "user")]


def test_versions_of_a_deleted_run_stay(keeping: ArtifactServer, kept: Kept) -> None:
    api = keeping.api()
    _, run = keeping.aide("projects/keeping/runs", "POST", {"name": "gone"})
    body = {"name": "outliving", "type": "t", "runKey": run["key"]}
    assert keeping.aide("projects/keeping/artifacts", "POST", body)[1]["runName"] == "gone"
    gone = str(run_of_number(str(run["key"])))
    api.delete(gone)
    status, shown = keeping.aide("projects/keeping/artifacts/outliving/1")
    assert (status, shown["runKey"]) == (200, run["key"])
    api.restore(gone)
    assert keeping.aide("projects/keeping/artifacts", "POST", body)[1]["version"] == 2


@pytest.mark.parametrize(
    ("step", "error", "words"),
    [
        ("without_artifact", "NotFoundError", "has no artifact 'nowhere': create it"),
        ("without_version", "NotFoundError", "the artifact 'data' has no version '99'"),
        ("without_stage", "NotFoundError", "no version 'latest' in the stage DEPRECATED"),
        ("without_models", "NotFoundError", "no version 'latest' in the stage NONE"),
        ("of_a_bad_name", "InputError", "begins or ends with white space"),
        ("of_a_bad_type", "InputError", "type is '': give a text"),
        ("of_reserved_metadata", "InputError", "give names that do not begin with '@'"),
        ("using_nothing", "InputError", "usedArtifacts: default/shelf has no artifact 'nowhere'"),
        ("using_no_version", "InputError", "usedArtifacts: the artifact 'data' has no version '99'"),
        ("adding_to_nothing", "NotFoundError", "the artifact 'lost' has no version '99'"),
        ("adding_a_folder", "InputError", "give its part a filename that is no folder"),
    ],
)
def test_the_client_raises_what_the_server_refuses(
    keeping: ArtifactServer, kept: Kept, wrong: Kept, step: str, error: str, words: str
) -> None:
    told = wrong[step]
    assert told["error"] == error
    assert told["code"] == {"InputError": 400, "NotFoundError": 404}[error]
    assert words in told["message"]


def test_what_the_client_itself_cannot_do_leaves_no_half_of_a_file(keeping: ArtifactServer, kept: Kept) -> None:
    told = {name: one["value"] for name, one in keeping.told("with_both", "a_directory", "any_model").items()}
    assert told == {"with_both": "ValueError", "a_directory": "AttributeError", "any_model": "AttributeError"}
    for name in ("folders", "anything"):
        status, shown = keeping.aide(f"projects/shelf/artifacts/{name}/latest")
        assert (status, shown["version"], shown["files"], shown["model"]) == (200, 1, [], None)


@pytest.fixture(scope="module")
def wrong(keeping: ArtifactServer, kept: Kept) -> Kept:
    """What came of the steps that the server refuses."""
    cases = next(mark for mark in test_the_client_raises_what_the_server_refuses.pytestmark)  # type: ignore[attr-defined]
    return keeping.told(*(case[0] for case in cases.args[1]))


def test_a_key_that_only_reads_loads_and_adds_nothing(keeping: ArtifactServer, kept: Kept) -> None:
    told = keeping.told("reading_only", "adding_to_data", "promoting", key=READING_KEY)
    assert told["reading_only"] == {"value": CONTENTS["rows.csv"]}
    assert [told[step]["error"] for step in ("adding_to_data", "promoting")] == ["NotAuthorizedError"] * 2


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", "", {"name": "x", "type": "t", "runKey": "x"}, 400, "runKey is 'x': give the key of a run"),
        ("POST", "", {"name": "x", "type": "t", "runKey": 12}, 404, "has no run with the key '12'"),
        ("POST", "", {"name": "x", "type": "t", "metadata": [1]}, 400, "metadata is [1]: give an object"),
        ("POST", "", {"name": "x", "type": "t", "metadata": {"a": "x" * 300_000}}, 400, "at most 256000 are kept"),
        ("POST", "", {"name": "a/b", "type": "t"}, 400, "'a/b'"),
        ("POST", "", [], 400, "the body is list: send a JSON object"),
        ("POST", "/data/1/files", {}, 400, "send multipart/form-data with a part `file`"),
        ("PUT", "/data/99/model", None, 404, "has no version '99'"),
        ("PUT", "/nowhere/1/model", None, 404, "has no artifact 'nowhere'"),
        ("GET", "/data/0", None, 404, "has no version '0'"),
        ("GET", "/data/99999999999999999999", None, 404, "has no version"),
        ("GET", "/data/latest?model-stage=BEST", None, 400, "give one of NONE, STAGING"),
        ("GET", "/data/1/files/nothing", None, 404, "has no file with the id 'nothing'"),
        ("GET", "/nowhere/1/files", None, 404, "has no artifact 'nowhere'"),
    ],
)
def test_wrong_requests_are_told_what_is_wrong(
    keeping: ArtifactServer, kept: Kept, method: str, path: str, body: Any, status: int, words: str
) -> None:
    found, told = keeping.aide(f"projects/shelf/artifacts{path}", method, body)
    assert (found, told["code"]) == (status, status)
    assert words in told["message"]


@pytest.mark.parametrize("name", [b'"', b"a" * 501, b"\xff", b"a\0b", b""])
def test_names_that_nothing_can_carry(keeping: ArtifactServer, kept: Kept, name: bytes) -> None:
    """Invalid UTF-8 is replaced, as everywhere; the others are refused."""
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="%b"\r\n\r\nx\r\n--b--\r\n' % name
    headers = {"x-api-key": KEY, "Content-Type": "multipart/form-data; boundary=b"}
    path = "mlaide/api/v1/projects/shelf/artifacts/data/2/files"
    status, _ = keeping.requested(path, headers, "POST", body)
    assert status == (200 if name == b"\xff" else 400)


def test_a_version_goes_on_behind_a_kill_and_a_rebuild_is_equal(keeping: ArtifactServer, tmp_path: Path) -> None:
    environment = own() | {"RUNSTREAM_API_KEYS": KEY}
    data, errors = tmp_path / "data", tmp_path / "server.log"
    killed: dict[str, Any] = {"environment": environment, "errors": errors, "end_by": signal.SIGKILL}
    with running_up(data, "--port", str(free_port()), **killed) as url:
        server = ArtifactServer(url, keeping.python, home=tmp_path)
        program = subprocess.Popen(
            server.command("half_made"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=server.environment(),
        )
        assert program.stdout is not None
        key = int(program.stdout.readline())
    with running_up(data, "--port", url.rpartition(":")[2], environment=environment, errors=errors) as url:
        told, _ = program.communicate("go on\n", timeout=120)
        assert json.loads(told) == {"half_made": {"value": ["before", "behind"]}}
        assert number_of_run(str(server.api().artifact("kept", "dataset", project="patient").version(1).run)) == key
    assert asyncio.run(rebuild_and_compare(ServerSettings(data_dir=data))).equal


def test_an_archive_says_how_it_is_called(keeping: ArtifactServer, kept: Kept) -> None:
    """The client fails without the header."""
    url = f"{keeping.url}/mlaide/api/v1/projects/shelf/artifacts/data/1/files"
    request = urllib.request.Request(url, headers={"x-api-key": KEY})
    with urllib.request.urlopen(request, timeout=60) as response:
        assert 'filename="data-1.zip"' in response.headers["Content-Disposition"]
        assert response.headers["Content-Type"] == "application/zip"
        with zipfile.ZipFile(BytesIO(response.read())) as archive:
            assert archive.testzip() is None
            assert archive.namelist() == list(CONTENTS)
