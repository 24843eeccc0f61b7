"""The model registry by the unmodified `comet_ml`: every method about registered models, and what was registered."""

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from kit.comet.logged import KEY
from kit.comet.processes import steps_of
from kit.comet.registrar_told import FILES, WORKSPACE

LEAD = "MODEL_VERSION_"


@pytest.fixture(scope="module")
def results(writing: Any) -> Mapping[str, Any]:
    """What every step of registrar.py was answered."""
    return steps_of(writing, "registrar")


def test_versions_are_registered_by_live_experiments_and_later(results: Mapping[str, Any]) -> None:
    assert sorted(results["models of the experiment"]) == ["far", "linked", "net"]
    for step in ("second", "third", "preview", "far", "linked", "configured"):
        assert results[step] is None, "what the client answers when all is well"
    assert results["versions"] == ["2.0.0-rc.1", "1.10.0", "1.9.0", "1.0.0"]


@pytest.mark.parametrize(
    ("step", "error", "text"),
    [
        ("again", "CometRestApiException", "there is a version 1.9.0 of net already"),
        ("no version", "ValueError", "proper semantic version"),
        ("no model", "CometRestApiException", "has no model 'nothing'"),
        ("bad name", "CometRestApiException", "contains '/'"),
        ("unknown", "NotFound", "no registered model 'nothing'"),
        ("no such model", "NotFound", "no registered model 'nothing'"),
        ("no item", "NotFound", "no version 9.9.9"),
        ("latest of none", "NotFound", "no such version"),
        ("too long", "CometRestApiException", "description"),
        ("unknown version", "CometException", "9.9.9"),
        ("delete again", "NotFound", "no registered model 'configured'"),
    ],
)
def test_what_cannot_be_done_is_reported(results: Mapping[str, Any], step: str, error: str, text: str) -> None:
    assert results[step]["error"] == error
    assert text in results[step]["text"]


def test_models_of_a_workspace(results: Mapping[str, Any]) -> None:
    names = ["Far Model", "configured", "linked", "net"]
    assert results["names"] == [model["modelName"] for model in results["models"]] == names
    assert results["count"] == len(names)
    assert results["elsewhere"] == [[], 0]
    net = results["models"][-1]
    assert (net["description"], net["isPublic"], net["numberOfVersions"]) == ("a ☃ net", True, 4)


def test_details(results: Mapping[str, Any]) -> None:
    details = results["details"]
    assert (details["modelName"], details["description"], details["isPublic"]) == ("net", "a ☃ net", True)
    assert [one["version"] for one in details["versions"]] == results["versions"]
    first = results["details of one"]
    assert first == details["versions"][-1]
    assert results["details of none"] is None
    about = {"version": "1.0.0", "comment": "the first", "tags": ["a", "b c"], "stages": ["a", "b c"]}
    about |= {"status": "Staging", "experimentKey": results["key"]}
    assert {name: first[name] for name in about} == about
    assert {name: results["item"][name] for name in about} == about
    assert first["experimentModel"]["experimentModelName"] == "net"
    assert first["experimentModel"]["experimentKey"] == results["key"]
    now_ms = datetime.now(UTC).timestamp() * 1000
    assert now_ms - 600_000 < first["createdAt"] <= first["lastUpdated"] < now_ms
    assert results["item"]["registryModelItemId"] == first["registryModelItemId"]
    assert details["versions"][1]["comment"] == "ünï"


def test_the_latest_version_is_the_highest(results: Mapping[str, Any]) -> None:
    expected = {"latest": "2.0.0-rc.1", "latest 1": "1.10.0", "latest 1.9": "1.9.0", "latest b c": "1.9.0"}
    for step, version in expected.items():
        assert [one["version"] for one in results[step]["versions"]] == [version]
        assert results[step]["modelName"] == "net"
    assert results["assets of a stage"]["version"] == "1.0.0"
    assert {one["fileName"] for one in results["assets of a stage"]["assets"]} == set(FILES)


def test_a_model_finds_its_versions(results: Mapping[str, Any]) -> None:
    assert results["name"] == "net"
    assert results["tags"] == ["a", "b c"]
    assert results["status"] == ["Staging", "None"]
    everything = results["versions"]
    assert results["found"] == [everything, everything[1:], ["1.0.0"], ["1.10.0", "1.9.0"], ["1.9.0"]]


def test_files_are_those_of_the_experiments_model(results: Mapping[str, Any]) -> None:
    whole = dict.fromkeys(FILES, True)
    assert results["downloaded"] == whole
    assert results["zip"] == results["zip of a stage"] == whole
    for place in ("archive", "by key", "by name", "registry"):
        assert results[place] == whole
    assets = {asset["fileName"]: asset for asset in results["assets"]}
    assert {name: asset["fileSize"] for name, asset in assets.items()} == {
        name: len(content) for name, content in FILES.items()
    }
    for asset in assets.values():
        assert json.loads(asset["metadata"]) == {"epoch": 3}
        assert (asset["type"], asset["remote"], asset["dir"]) == ("model-element", False, "models/net")
        assert asset["experimentKey"] == results["key"]


def test_files_that_are_elsewhere_stay_there(results: Mapping[str, Any]) -> None:
    (asset,) = results["far assets"]
    assert (asset["remote"], asset["link"]) == (True, "s3://bucket/dir/weights.bin")
    assert (asset["fileName"], json.loads(asset["metadata"])) == ("weights.bin", {"checksum": "☃"})
    assert results["linked downloaded"] is None


def test_metadata_and_configurations(results: Mapping[str, Any]) -> None:
    def members(step: str) -> dict[str, Any]:
        return {one["key"]: one["value"] for one in results[step]}

    assert members("metadata") == {"acc": 0.5, "data": {"rows": 7}}
    assert members("new metadata") == {"acc": 0.75, "data": {"rows": 7}, "why": "☃"}
    assert members("other metadata") == {}
    assert results["no configuration"] is None
    assert results["configuration"] == {
        "status": "Production",
        "isReviewRequired": True,
        "statusConfiguration": [{"key": "deployment", "value": "enabled"}],
        "comment": "once it is reviewed",
    }


def test_changes(results: Mapping[str, Any]) -> None:
    assert results["add tag"][-1] == ["a", "b c", "new"]
    assert results["delete tag"][-1] == ["a", "new"]
    assert results["set status"][-1] == "Production"
    assert results["own status"][-1] == "Retired"
    assert results["statuses"] == ["None", "Development", "Staging", "Production"]
    assert results["statuses in use"] == [*results["statuses"], "Retired"]
    assert (results["updated version"]["comment"], results["updated version"]["tags"]) == ("better", ["x", "y"])
    assert (results["updated"]["description"], results["updated"]["isPublic"]) == ("an old net", False)
    assert (results["no notes"], results["read notes"]) == ("", "Nötes")


def test_the_history_of_a_version(results: Mapping[str, Any]) -> None:
    """Adding a tag that is there changes nothing, and is no part of it."""
    today = datetime.now(UTC)
    (day, changes) = next(iter(results["history"].items()))
    assert day == f"{today:%B} {today.day}, {today.year}"
    told = [
        (change["actionType"].removeprefix(LEAD), change["previousValue"], change["newValue"])
        for changes in results["history"].values()
        for change in changes
    ]
    assert told[::-1] == [
        ("CREATED", {}, {}),
        ("METADATA_CHANGED", {}, {"metadata": {"acc": 0.5, "data": {"rows": 7}}}),
        ("TAG_ADDED", {}, {"tag": "new"}),
        ("TAG_REMOVED", {"tag": "b c"}, {}),
        ("TAG_ADDED", {}, {"tag": "stage"}),
        ("TAG_REMOVED", {"tag": "a"}, {}),
        ("STATUS_CHANGED", {"registryModelStatus": "Staging"}, {"registryModelStatus": "Production"}),
        ("METADATA_CHANGED", {}, {"metadata": {"acc": 0.75, "why": "☃"}}),
    ]
    assert {change["registryModelItemVersion"] for change in changes} == {"1.0.0"}


def test_deleted_is_gone(results: Mapping[str, Any]) -> None:
    assert results["left"] == ["2.0.0-rc.1", "1.9.0", "1.0.0"]
    assert results["names left"] == ["Far Model", "linked", "net"]


def test_a_model_gets_another_name(results: Mapping[str, Any]) -> None:
    renamed = results["renamed"]
    assert (renamed["modelName"], renamed["description"]) == ("nearer", "moved")
    (version,) = renamed["versions"]
    (asset,) = version["assets"]
    assert (version["version"], version["experimentKey"]) == ("1.0.0", results["key"])
    assert (asset["link"], json.loads(asset["metadata"])) == ("s3://bucket/dir/weights.bin", {"checksum": "☃"})
    far = next(model for model in results["models"] if model["modelName"] == "Far Model")
    assert (version["createdAt"], renamed["registryModelId"] != far["registryModelId"]) == (far["createdAt"], True)
    assert results["rename"] == {"registryModelId": renamed["registryModelId"]}
    assert "there is a registered model nearer already" in results["rename to a name that is taken"]["text"]
    assert results["names in the end"] == ["linked", "nearer", "net"]


def call(writing: Any, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
    headers = {"Authorization": KEY, "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{writing.url}/api/rest/v2/{path}", data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def item_of(results: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    return {"experimentKey": results["key"], "experimentModelName": "net", **fields}


def versions_of(writing: Any, name: str) -> list[str]:
    where = f"workspaceName={quote(WORKSPACE)}&modelName={quote(name)}"
    status, found = call(writing, "GET", f"registry-model/items?{where}")
    return [one["version"] for one in found["items"]] if status == 200 else []


def test_what_was_not_heard_can_be_sent_again(writing: Any, results: Mapping[str, Any]) -> None:
    """The client goes away before it is answered, and sends the same again: one version, and it is told so."""
    body = item_of(results, registryModelName="retried", version="1.0.0")
    address = urlsplit(writing.url)
    text = json.dumps(body).encode()
    head = (
        f"POST /api/rest/v2/write/registry-model/item/create HTTP/1.1\r\nHost: {address.netloc}\r\n"
        f"Authorization: {KEY}\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
    )
    with socket.create_connection((address.hostname or "", address.port or 0)) as connection:
        connection.sendall(head.encode() + text)
    status, response = call(writing, "POST", "write/registry-model/item/create", body)
    assert (status, response["registryModelItemId"].rpartition("-")[2]) == (200, "1")
    assert versions_of(writing, "retried") == ["1.0.0"]
    status, response = call(writing, "POST", "write/registry-model/item/create", body)
    assert (status, response["msg"][:44]) == (400, "there is a version 1.0.0 of retried already:")


def test_clients_from_before_name_the_experiments_model_by_its_id(writing: Any, results: Mapping[str, Any]) -> None:
    model_id = results["details of one"]["experimentModel"]["experimentModelId"]
    body = {"experimentModelId": model_id, "registryModelName": "old", "version": "1.0.0", "isPublic": True}
    status, response = call(writing, "POST", "write/registry-model", body | {"stages": ["s"], "description": "d"})
    assert (status, response["registryModelId"]) == (200, response["registryModelItemId"].partition("-")[0])
    assert call(writing, "POST", "write/registry-model/item", body | {"version": "1.1.0"})[0] == 200
    assert versions_of(writing, "old") == ["1.1.0", "1.0.0"]
    status, response = call(writing, "POST", "write/registry-model", body | {"experimentModelId": "0" * 32})
    assert (status, "no experiment has a model" in response["msg"]) == (400, True)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "write/registry-model/item/stage?modelItemId=nothing&stage=a", None, 404),
        ("GET", f"write/registry-model/item/delete?modelItemId={'0' * 32}-1", None, 404),
        ("POST", "write/registry-model/item/status", {"modelItemId": "0" * 32, "status": "x"}, 404),
        ("POST", "write/registry-model/update", {"registryModelId": "0" * 32}, 404),
        ("POST", f"write/registry-model/item/{'0' * 32}-1/metadata", {"metadata": []}, 404),
        ("GET", f"registry-model/item/{'0' * 32}-1/metadata", None, 404),
        ("POST", "registry-model/history/item", {"registryModelItemId": "x"}, 404),
        ("GET", f"experiment/asset/get-asset?experimentKey=&assetId={'0' * 32}-1-0", None, 404),
        ("GET", "registry-model/details", None, 400),
    ],
)
def test_ids_that_mean_nothing(
    writing: Any, method: str, path: str, body: Mapping[str, Any] | None, status: int
) -> None:
    answered, response = call(writing, method, path, body)
    assert (answered, bool(response["msg"])) == (status, True)
