"""Experiments of the unmodified `ubiops.Training`: what was created is what is read, by each reader."""

from pathlib import Path
from typing import Any

import pytest

import runstream
from kit.foreign import KEY, READING_KEY
from kit.ubiops.server import VERSIONS, Server

Told = dict[str, Any]


def test_an_experiment_is_as_it_was_created(told: Told) -> None:
    whole, plain = told["creating"]["value"]
    assert (whole["name"], whole["environment_name"], whole["instance_type"]) == ("resnet", "python3-8", "4096mb")
    assert (whole["labels"], whole["status"]) == ({"type": "pytorch"}, "available")
    assert whole["creation_date"]
    assert (plain["name"], plain["instance_type"], plain["labels"]) == ("plain", "2048mb", {})
    assert whole["id"] != plain["id"]
    found = told["getting"]["value"]["found"]
    assert (found["id"], found["description"], found["default_bucket"]) == (
        whole["id"],
        "A training experiment",
        "default",
    )


def test_of_several_that_create_one_name_one_succeeds(told: Told) -> None:
    *results, again = told["creating_again"]["value"]
    made = [one["value"] for one in results if "value" in one]
    refused = [one for one in results if "error" in one]
    assert [one["name"] for one in made] == ["contested"]
    assert {(one["error"], one["status"]) for one in refused} == {("ApiRequestError", 409)}
    assert again["status"] == 409
    assert "has an experiment 'resnet' already" in again["body"]


@pytest.mark.parametrize(
    ("step", "status", "words"),
    [
        ("environment", 404, "there is no environment 'python1': give one of python3-7"),
        ("bucket", 404, "has no bucket 'nowhere'"),
        ("name", 400, "has 65 characters: give 1 to 64"),
        ("description", 0, "must be less than or equal to `400`"),
        ("labels", 400, "give at most 100 labels"),
    ],
)
def test_the_client_raises_what_is_refused(told: Told, step: str, status: int, words: str) -> None:
    refused = told["creating_badly"]["value"][step]
    assert refused["status"] == status
    assert words in refused["body"] or step in ("environment", "bucket"), refused


def test_what_is_not_there_is_missing(told: Told) -> None:
    assert told["getting"]["value"]["missing"]["status"] == 404
    assert told["deleting"]["value"]["missing"]["status"] == 404


def test_lists_are_of_all_or_of_those_with_labels(told: Told) -> None:
    found = told["listing"]["value"]
    assert [one["name"] for one in found["all"]] == ["contested", "plain", "resnet"]
    assert [one["name"] for one in found["labelled"]] == ["resnet"]
    assert found["none"] == []


def test_an_update_changes_what_it_names(told: Told) -> None:
    updated, got = told["updating"]["value"]["updated"], told["updating"]["value"]["got"]
    for one in (updated, got):
        assert (one["environment_name"], one["instance_type"]) == ("python3-9", "8192mb")
        assert one["description"] == "My new description"
        assert one["labels"] == {"type": "tensorflow", "stage": "test"}
        assert one["default_bucket"] == "other"
    assert got["id"] == told["creating"]["value"][0]["id"]


def test_another_name_takes_everything_along(told: Told) -> None:
    found = told["renaming"]["value"]
    assert (found["renamed"]["name"], found["renamed"]["id"]) == ("plainer", told["creating"]["value"][1]["id"])
    assert found["gone"]["status"] == 404
    assert found["taken"]["status"] == 409
    assert [one["name"] for one in found["variables"]] == [one["name"] for one in told["copying"]["value"]]


def test_a_deleted_name_is_free_and_remembers_nothing(told: Told) -> None:
    found = told["deleting"]["value"]
    assert found["gone"]["status"] == 404
    assert found["again"]["name"] == "brief"
    own = [one for one in found["variables"] if one["inheritance_type"] is None]
    assert own == []


def test_a_new_project_has_trainings(told: Told) -> None:
    assert told["initializing"] == {"value": []}


def test_both_versions_of_the_interface_are_served(told: Told) -> None:
    assert told["old_address"]["value"]["name"] == "resnet"
    assert told["old_address"]["value"]["wrong"]["status"] == 400, "the client takes it for a project without trainings"


def test_who_has_no_key_is_told_how_to_give_one(told: Told) -> None:
    refused = told["without_key"]["value"]
    assert refused["status"] == 401
    assert "UBIOPS_API_TOKEN" in refused["body"]


def test_a_key_that_only_reads_changes_nothing(server: Server, told: Told) -> None:
    assert server.ubiops(f"{VERSIONS}/resnet", key=READING_KEY)[0] == 200
    new = {"version": "mine", "environment": "python3-8"}
    for method, path, body in (
        ("POST", VERSIONS, new),
        ("PATCH", f"{VERSIONS}/resnet", {}),
        ("DELETE", f"{VERSIONS}/resnet", None),
        ("POST", f"{VERSIONS}/resnet/environment-variables", {"name": "x", "value": "", "secret": True}),
    ):
        status, refused = server.ubiops(path, method, body, key=READING_KEY)
        assert (status, refused["title"]) == (403, "The key may not write"), (method, path)


def test_it_is_an_experiment_of_runstream(server: Server, told: Told) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    _, listed = server.requested("api/v1/experiments?project=roads", headers)
    found = {one["experiment"]: one for one in listed["experiments"]}
    assert found["resnet"]["description"] == "My new description"
    assert "plain" not in found


def test_an_experiment_of_the_sdk_is_seen_and_changed(server: Server, tmp_path: Path) -> None:
    quiet: dict[str, Any] = {"capture_console": False, "capture_code": False, "system_metrics_s": 0}
    run = runstream.init("sdk", "ours", experiment="theirs", url=server.url, api_key=KEY, dir=tmp_path, **quiet)
    run.log({"loss": 0.5})
    assert run.finish()
    path = VERSIONS.replace("roads", "sdk")
    status, found = server.ubiops(path)
    assert (status, [one["version"] for one in found]) == (200, ["theirs"])
    assert found[0]["environment_name"] is None
    assert server.ubiops(path, "POST", {"version": "theirs", "environment": "python3-8"})[0] == 409
    status, changed = server.ubiops(f"{path}/theirs", "PATCH", {"environment": "python3-8", "version": "mine"})
    assert (status, changed["version"], changed["environment_name"]) == (200, "mine", "python3-8")
    assert server.api().run(run.run_id).experiment == "mine"
    assert server.ubiops(f"{path}/mine", "DELETE")[0] == 200
    assert server.ubiops(f"{path}/mine")[0] == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", VERSIONS, b"[1]", 400, "the body is list: send a JSON object"),
        ("POST", VERSIONS, b"{", 400, "the body is no JSON"),
        ("POST", VERSIONS, {}, 400, "version is None: give a text"),
        ("POST", VERSIONS, {"version": "x"}, 400, "environment_name is missing"),
        ("POST", VERSIONS, {"version": "x" * 65, "environment": "python3-8"}, 400, "has 65 characters: give 1 to 64"),
        (
            "POST",
            VERSIONS,
            {"version": "x", "environment": "python3-8", "description": "d" * 401},
            400,
            "give at most 400",
        ),
        ("POST", VERSIONS, {"version": "a/b", "environment": "python3-8"}, 400, "experiment"),
        ("POST", VERSIONS, {"version": "x", "environment": "python3-8", "labels": {"a": 1}}, 400, "an object of texts"),
        (
            "POST",
            VERSIONS,
            {"version": "x", "environment": "python3-8", "request_retention_time": 0},
            400,
            "give a whole number of 1 to",
        ),
        ("PATCH", f"{VERSIONS}/resnet", {"request_retention_mode": "some"}, 400, "give one of full, metadata, none"),
        ("PATCH", f"{VERSIONS}/nobody", {}, 404, "has no experiment 'nobody'"),
        ("GET", f"{VERSIONS}?labels=x", None, 400, "give KEY:VALUE"),
        ("GET", f"{VERSIONS}/{'x' * 65}", None, 400, "has 65 characters"),
        ("GET", f"{VERSIONS}/resnet/revisions/x", None, 404, "has no revision 'x'"),
        ("GET", "projects/roads/deployments/other", None, 404, "this server has training-base-deployment alone"),
        ("GET", "projects/nobody", None, 404, "there is no project default/nobody"),
        ("GET", "projects/roads/environments/python3-8/tags/old", None, 404, "it has latest alone"),
        ("POST", "projects/roads/buckets", {"name": "b", "credentials": {"k": "v"}}, 400, "leave provider and"),
        ("POST", "projects/roads/buckets", {"name": "default"}, 409, "has a bucket 'default' already"),
        ("POST", "projects", {"name": "roads"}, 409, "there is a project default/roads already"),
    ],
)
def test_wrong_requests_are_told_what_is_wrong(
    server: Server, told: Told, method: str, path: str, body: Any, status: int, words: str
) -> None:
    found, refused = server.ubiops(path, method, body)
    assert found == status
    assert words in refused["error"]


def test_projects_and_what_they_have_are_listed(server: Server, told: Told) -> None:
    assert server.ubiops("projects", "POST", {"name": "team:new"})[1]["name"] == "team:new"
    assert {"roads", "team:new"} <= {one["name"] for one in server.ubiops("projects")[1]}
    assert server.ubiops("projects/team:new")[1]["name"] == "team:new"
    names = [one["name"] for one in server.ubiops("projects/roads/environments")[1]]
    assert {"python3-7", "python3-8"} <= set(names)
    assert [one["name"] for one in server.ubiops("projects/roads/buckets")[1]] == ["default", "other"]
    assert server.ubiops("projects/roads/buckets/other")[1]["project"] == "roads"
