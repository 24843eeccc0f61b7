"""What the client does not show: headers, statuses, keys, and both places of the routes."""

import base64
import json
import urllib.error
import urllib.parse
import urllib.request
from email.message import Message

import pytest

from kit.comet.logged import KEY, ODD_RUN, WORKSPACE
from kit.comet.processes import Ask, Logged


def get(url: str, path: str, key: str | None = KEY, **query: str) -> tuple[int, Message, bytes]:
    requested = f"{url}/{path}?{urllib.parse.urlencode(query)}"
    request = urllib.request.Request(requested, headers={} if key is None else {"Authorization": key})
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            return response.status, response.headers, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


@pytest.mark.parametrize("root", ["api/rest/v2", "clientlib/rest/v2"])
def test_json_has_exactly_the_type_that_the_client_takes(logged: Logged, root: str) -> None:
    run = {"experimentKey": logged.runs[ODD_RUN]}
    for path, query in [
        ("workspaces", {}),
        ("projects", {"workspaceName": WORKSPACE}),
        ("experiment/metadata", run),
        ("experiment/metrics/get-all", run),
        ("experiment/asset/list", run),
        ("experiment/git/metadata", run),
    ]:
        status, headers, body = get(logged.url, f"{root}/{path}", **query)
        assert (status, headers["Content-Type"]) == (200, "application/json")
        assert isinstance(json.loads(body, parse_constant=pytest.fail), dict), "no bare NaN"


def test_the_version_is_told_to_everybody_and_nothing_else_is(logged: Logged) -> None:
    for key in (KEY, "a-wrong-key-of-some-length", None):
        status, headers, body = get(logged.url, "clientlib/isAlive/ver", key)
        assert (status, headers["Content-Type"]) == (200, "application/json")
        assert tuple(map(int, json.loads(body)["version"].split("."))) >= (4, 35, 0)
    for key in ("a-wrong-key-of-some-length", None, "*" + KEY, f"wrong-key-of-length*{KEY}"):
        for path in ("api/rest/v2/workspaces", "clientlib/rest/v2/workspaces", "clientlib/isAlive"):
            assert get(logged.url, path, key)[0] == 401


def test_unknown_things_are_404_with_a_message(logged: Logged) -> None:
    for path, query in [
        ("experiment/metadata", {"experimentKey": "0" * 32}),
        ("experiment/metadata", {"experimentKey": "a name / that is no key ☃"}),
        ("experiment/metrics/get-metric", {"experimentKey": "nobody", "metricName": "x"}),
        ("project", {"workspaceName": WORKSPACE, "projectName": "none"}),
        ("project", {"projectId": "0" * 32}),
        ("experiments", {"workspaceName": "none", "projectName": "none"}),
    ]:
        status, _, body = get(logged.url, f"api/rest/v2/{path}", **query)
        assert status == 404
        assert json.loads(body)["msg"]
    status, _, body = get(logged.url, "api/rest/v2/project")
    assert status == 400
    assert "projectName" in json.loads(body)["msg"]


@pytest.mark.parametrize("key", [None, KEY])
def test_whether_it_is_worth_sending_needs_no_key(logged: Logged, key: str | None) -> None:
    """A ping that fails makes the live client write into a file what it should have sent."""
    for path in ("clientlib/health/ping", "health/ping"):
        status, headers, _ = get(logged.url, path, key)
        assert (status, headers["Content-Type"]) == (200, "application/json")


def test_keys_that_carry_the_address(ask: Ask, logged: Logged) -> None:
    packed = base64.b64encode(json.dumps({"baseUrl": logged.url}).encode()).decode()
    responses = ask(
        {"get": "api.get()", "account": "api.get_account_details()"}, f"{KEY}*{packed}", COMET_URL_OVERRIDE=""
    )
    assert responses["get"] == [WORKSPACE]
    assert responses["account"]["defaultWorkspaceName"] == "default"
    assert KEY not in responses["account"]["userName"]


def test_a_bad_key_is_refused_at_once(ask: Ask) -> None:
    responses = ask({"get": "api.get()", "query": "api.query('w', 'p', Metric('x') > 1)"}, "a-wrong-key-of-some-length")
    for response in responses.values():
        assert (response["error"], response["status"]) == ("Unauthorized", 401)


def test_panels_outside_of_a_page(ask: Ask, logged: Logged) -> None:
    responses = ask(
        {
            "keys": "api.get_panel_experiment_keys()",
            "experiments": "api.get_panel_experiments()",
            "metrics": "api.get_panel_metrics_names()",
            "id": "api.get_panel_project_id()",
            "names": "[api.get_panel_workspace(), api.get_panel_project_name(), api.get_panel_options()]",
            "project": "api.get_project('Wörk space', 'sweep')",
        },
        COMET_WORKSPACE=WORKSPACE,
        COMET_PROJECT_NAME="sweep",
    )
    assert responses["keys"] == responses["experiments"]
    assert logged.runs["mlp-0"] in responses["keys"]
    assert responses["metrics"] == ["acc", "loss"]
    assert responses["id"] == responses["project"]["projectId"]
    assert responses["names"] == [WORKSPACE, "sweep", {}]
