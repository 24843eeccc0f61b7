"""`comet_ml.API` and `APIExperiment`, unmodified, over runs that our SDK logged: every value as it was logged."""

import base64
import io
import json
import math
import subprocess
import zipfile
from typing import Any

import pytest

from kit.comet.logged import (
    ARCHIVED,
    CURVE,
    IMAGE,
    LONG_STEPS,
    ODD_NAME,
    ODD_PARAMETERS,
    ODD_RUN,
    ODD_VALUES,
    PROJECT,
    SWEEP,
    WEIGHTS,
    WORKSPACE,
    long_value,
)
from kit.comet.processes import Ask, Logged


@pytest.fixture(scope="module")
def tree(ask: Ask, logged: Logged) -> dict[str, Any]:
    """Answers about names and the runs behind them."""
    odd, archived = logged.runs[ODD_RUN], logged.runs[ARCHIVED]
    return ask(
        {
            "get": "api.get()",
            "workspaces": "api.get_workspaces()",
            "default": "api.get_default_workspace()",
            "projects": f"api.get_projects({WORKSPACE!r})",
            "projects_of_nobody": "api.get_projects('nobody')",
            "get_projects": f"api.get({WORKSPACE!r})",
            "project": f"api.get_project({WORKSPACE!r}, 'sweep')",
            "project_by_id": f"api.get_project_by_id(api.get_project({WORKSPACE!r}, 'sweep')['projectId'])",
            "no_project": f"[api.get_project({WORKSPACE!r}, 'none'), api.get_project_by_id('0' * 32)]",
            "notes": f"api.get_project_notes({WORKSPACE!r}, 'sweep')",
            "raw_projects": f"api._client.get_project_jsons({WORKSPACE!r})['projects']",
            "get_experiments": f"api.get({WORKSPACE!r}, 'sweep')",
            "by_slashes": f"api.get({f'{WORKSPACE}/{PROJECT}/{odd}'!r})",
            "by_name": f"api.get_experiment({WORKSPACE!r}, {PROJECT!r}, {ODD_RUN!r})",
            "by_key": f"api.get_experiment({WORKSPACE!r}, {PROJECT!r}, {odd!r})",
            "by_wrong_name": f"api.get_experiment({WORKSPACE!r}, {PROJECT!r}, 'nobody')",
            "by_wrong_key": "api.get_experiment_by_key('0' * 32)",
            "in_no_project": f"api.get_experiment({WORKSPACE!r}, 'none', 'x')",
            "of_workspace": f"api.get_experiments({WORKSPACE!r})",
            "by_pattern": f"api.get_experiments({WORKSPACE!r}, 'sweep', 'mlp-[12]')",
            "archived": f"api.get_archived_experiments({WORKSPACE!r}, 'sweep')",
            "paged": f"api.get_experiments({WORKSPACE!r}, 'sweep', page=2, page_size=2, sort_by='startTime',"
            " sort_order='desc')",
            "metadata": f"exp({odd!r}).get_metadata()",
            "archived_metadata": f"exp({archived!r}).get_metadata()",
            "urls": f"[exp({odd!r}).url, exp({archived!r}).url]",
            "state": f"[exp({odd!r}).get_state(), exp({logged.runs['mlp-0']!r}).get_state()]",
            "name": f"exp({odd!r}).get_name()",
            "tags": f"[exp({odd!r}).get_tags(), exp({logged.runs['cnn-4']!r}).get_tags()]",
            "variables": f"sorted(map(repr, api.get_query_variables({WORKSPACE!r}, 'sweep')))",
            "columns": f"api._client.get_project_columns({WORKSPACE!r}, 'sweep')['columns']",
        }
    )


def test_the_tree_of_names(tree: dict[str, Any], logged: Logged) -> None:
    assert tree["get"] == tree["workspaces"] == [WORKSPACE]
    assert tree["default"] == "default"
    assert tree["projects"] == tree["get_projects"] == [PROJECT, "sweep"]
    assert tree["projects_of_nobody"] == []
    project = tree["project"]
    assert project == tree["project_by_id"]
    assert project in tree["raw_projects"]
    assert len(project["projectId"]) == 32
    wanted = {"projectName": "sweep", "workspaceName": WORKSPACE, "projectDescription": "A ☃ sweep"}
    assert wanted.items() <= project.items()
    assert project["numberOfExperiments"] == len(SWEEP) + 1
    assert project["lastUpdated"] > 1_700_000_000_000
    assert tree["no_project"] == [None, None]
    assert tree["notes"] == "Nötes\nof it"


def test_experiments_by_key_name_pattern_and_page(tree: dict[str, Any], logged: Logged) -> None:
    sweep = [logged.runs[name] for name in SWEEP]
    assert tree["get_experiments"] == sweep
    assert tree["by_slashes"] == tree["by_name"] == tree["by_key"] == logged.runs[ODD_RUN]
    assert tree["by_wrong_name"] is None
    assert tree["by_wrong_key"] is None
    assert tree["in_no_project"] is None
    assert tree["of_workspace"] == [logged.runs[ODD_RUN], logged.runs["long"], *sweep]
    assert tree["by_pattern"] == sweep[1:3]
    assert tree["archived"] == [logged.runs[ARCHIVED]]
    assert tree["paged"] == [sweep[2], sweep[1]]


def test_metadata_of_experiments(tree: dict[str, Any], logged: Logged) -> None:
    odd = tree["metadata"]
    assert odd["experimentName"] == tree["name"] == ODD_RUN
    assert (odd["workspaceName"], odd["projectName"]) == (WORKSPACE, PROJECT)
    assert (odd["archived"], odd["running"], odd["hasCrashed"], odd["throttle"]) == (False, False, False, False)
    assert odd["durationMillis"] == pytest.approx(odd["endTimeMillis"] - odd["startTimeMillis"], abs=1)
    assert odd["fileName"] == "trainer.py"
    assert odd["optimizationId"] is None
    assert tree["archived_metadata"]["archived"] is True
    assert tree["archived_metadata"]["projectId"] == tree["project"]["projectId"]
    assert tree["urls"] == [
        f"{logged.url}/{WORKSPACE}/{PROJECT}/{logged.runs[ODD_RUN]}",
        f"{logged.url}/{WORKSPACE}/sweep/archive/{logged.runs[ARCHIVED]}",
    ]
    assert tree["state"] == ["finished", "crashed"]
    assert [sorted(tags) for tags in tree["tags"]] == [["t/a g", "☃"], []]


def test_what_can_be_queried_comes_with_types(tree: dict[str, Any]) -> None:
    types = {(column["source"], column["name"]): column["type"] for column in tree["columns"]}
    assert len(types) == len(tree["columns"]), "each name once a source"
    for name in ("acc", "loss"):
        assert types["metrics", name] == "double"
    wanted = {"lr": "double", "opt": "string", "flag": "boolean", "seed": "string", "acc": "string"}
    assert {name: kind for (source, name), kind in types.items() if source == "params"} == wanted
    assert {name for source, name in types if source == "log_other"} == {"Name", "note"}
    assert {name for source, name in types if source == "tag"} == {"a", "b", "x y/z ü"}
    assert types["metadata", "duration"] == "timenumber"
    assert types["metadata", "start_server_timestamp"] == types["metadata", "end_server_timestamp"] == "datetime"
    assert types["metadata", "user_name"] == types["env_details", "os"] == types["env_details", "hostname"] == "string"
    assert {"Metric('acc')", "Parameter('lr')", "Other('note')", "Environment('os')", "Tag('a')"} <= set(
        tree["variables"]
    )


@pytest.fixture(scope="module")
def details(ask: Ask, logged: Logged) -> dict[str, Any]:
    """Answers about one experiment with odd values."""
    odd, long = logged.runs[ODD_RUN], logged.runs["long"]
    e = f"exp({odd!r})"
    return ask(
        {
            "odd": f"{e}.get_metrics({ODD_NAME!r})",
            "all": f"{e}.get_metrics()",
            "none": f"{e}.get_metrics('none')",
            "wave": f"exp({long!r}).get_metrics('wave')",
            "metrics": f"{e}.get_metrics_summary()",
            "metric": f"{e}.get_metrics_summary({ODD_NAME!r})",
            "parameters": f"{e}.get_parameters_summary()",
            "others": f"{e}.get_others_summary()",
            "other": f"{e}.get_others_summary('note')",
            "system": f"{e}.get_system_details()",
            "packages": f"{e}.get_installed_packages()",
            "os": f"[{e}.get_os(), {e}.get_hostname(), {e}.get_python_version(), {e}.get_command(), {e}.get_pid()]",
            "system_metrics": f"{e}.get_system_metric_names()",
            "git": f"{e}.get_git_metadata()",
            "patch": f"{e}.get_git_patch()",
            "no_patch": f"exp({long!r}).get_git_patch()",
            "no_git": f"exp({long!r}).get_git_metadata()",
            "output": f"{e}.get_output()",
            "nothing": f"[{e}.get_html(), {e}.get_code(), {e}.get_model_graph()]",
            "json": f"{e}.to_json(full=True)",
        }
    )


def test_points_are_those_that_were_logged(details: dict[str, Any]) -> None:
    found = details["odd"]
    assert [point["metricName"] for point in found] == [ODD_NAME] * len(ODD_VALUES)
    assert [point["step"] for point in found] == [3 * n for n in range(len(ODD_VALUES))]
    assert [same(float(point["metricValue"])) for point in found] == [same(value) for value in ODD_VALUES]
    assert all(isinstance(point["metricValue"], str) for point in found)
    assert all(point["epoch"] is None and point["runContext"] is None for point in found)
    times = [point["timestamp"] for point in found]
    assert times == sorted(times)
    assert details["none"] == []
    assert [point for point in details["all"] if point["metricName"] == ODD_NAME] == found
    every = [point["metricValue"] for point in details["all"] if point["metricName"] == "every"]
    assert every == [str(10 * n) for n in range(len(ODD_VALUES))], "integers have no point"
    wave = [(point["step"], float(point["metricValue"])) for point in details["wave"]]
    assert wave == [(step, long_value(step)) for step in range(LONG_STEPS)]


def same(value: float) -> str:
    """What tells values apart that are equal, and NaN from nothing."""
    return "nan" if math.isnan(value) else value.hex()


def test_summaries_of_metrics(details: dict[str, Any]) -> None:
    found = {value["name"]: value for value in details["metrics"]}
    assert details["metric"] == found[ODD_NAME]
    odd = found[ODD_NAME]
    assert (odd["valueMax"], odd["valueMin"], odd["stepMax"], odd["stepMin"]) == ("Infinity", "-Infinity", 3, 6)
    assert (float(odd["valueCurrent"]), odd["stepCurrent"]) == (ODD_VALUES[-1], 3 * (len(ODD_VALUES) - 1))
    every = found["every"]
    assert (every["valueMin"], every["valueMax"], every["valueCurrent"]) == ("0", "110", "110")
    assert (every["stepMin"], every["stepMax"]) == (0, 33), "0 is a step"
    assert odd["timestampMin"] <= odd["timestampCurrent"]


def test_parameters_and_others_are_texts_that_lose_nothing(details: dict[str, Any]) -> None:
    found = {value["name"]: value for value in details["parameters"]}
    assert {name: value["valueCurrent"] for name, value in found.items()} == {
        name: text for name, (_, text) in ODD_PARAMETERS.items()
    }
    for value in found.values():
        assert value["valueCurrent"] == value["valueMin"] == value["valueMax"]
        assert value["timestampCurrent"] > 1_700_000_000_000
    others = {value["name"]: value["valueCurrent"] for value in details["others"]}
    assert others == {"Name": ODD_RUN, "note": "été", "score": "0.5", "flag": "true", "gone": "null"}
    assert details["other"] == ["été"]


def test_system_details_have_every_key(details: dict[str, Any], logged: Logged) -> None:
    system = details["system"]
    assert system["os"] == system["osType"] == "Linux"
    assert "comet_ml" not in " ".join(details["packages"]), "those of the trainer, not of the reader"
    assert any(package.startswith("numpy==") for package in details["packages"])
    os, host, python, command, pid = details["os"]
    assert (os, pid) == ("Linux", None)
    assert host == system["hostname"]
    assert python.startswith("3.")
    assert command[0].endswith("trainer.py")
    assert "system/cpu_percent" in details["system_metrics"]
    assert system["totalRam"] == system["maxTotalMemory"] > 2**20
    # Before it stands what the run itself told on stderr, if the machine was slow.
    lines = details["output"].splitlines(keepends=True)
    assert "".join(line for line in lines if not line.startswith("runstream: ")).startswith("one line ☃\nanother\n")
    assert details["nothing"] == [None, None, None]
    assert details["json"]["id"] == logged.runs[ODD_RUN]


def test_git_is_told_and_the_patch_is_an_archive(details: dict[str, Any], logged: Logged) -> None:
    commit = subprocess.run(
        ["git", "-C", str(logged.code), "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    git = details["git"]
    assert (git["branch"], git["parent"], git["origin"]) == ("trunk", commit, "https://example.org/it.git")
    assert git["root"] == str(logged.code)
    with zipfile.ZipFile(io.BytesIO(bytes_of(details["patch"]))) as archive:
        assert archive.namelist() == ["git_diff.patch"]
        assert b"+lr = 0.2" in archive.read("git_diff.patch")
    assert details["no_patch"] is None
    assert set(details["no_git"].values()) == {None}


def bytes_of(value: dict[str, str]) -> bytes:
    return base64.b64decode(value["base64"])


@pytest.fixture(scope="module")
def files(ask: Ask, logged: Logged) -> dict[str, Any]:
    odd = logged.runs[ODD_RUN]
    e = f"exp({odd!r})"
    first = f"{e}.get_asset_list({{!r}})[0]['assetId']"
    return ask(
        {
            "all": f"{e}.get_asset_list()",
            "types": f"{{kind: [a['fileName'] for a in {e}.get_asset_list(kind)] for kind in "
            "['image', 'video', 'audio', 'curve', 'model-element', 'text-sample', 'table', 'histogram_combined_3d']}",
            "image": f"{e}.get_asset({first.format('image')})",
            "text": f"{e}.get_asset({first.format('text-sample')}, return_type='text')",
            "by_name": f"{e}.get_asset_by_name('models/best.bin')",
            "by_model_name": f"{e}.get_asset_by_name('best.bin')",
            "by_odd_names": f"[{e}.get_asset_by_name('plots/ünï ☃.png'), {e}.get_asset_by_name('/abs/ta ble.csv')]",
            "no_name": f"{e}.get_asset_by_name('none')",
            "curves": f"{e}.get_curves()",
            "curve": f"{e}.get_curve({first.format('curve')})",
            "downloaded": f"downloaded({odd!r}, {first.format('model-element')})",
            "unknown": f"{e}.get_asset('0' * 32)",
            "models": f"{e}.get_model_names()",
            "model_files": f"{e}.get_model_asset_list('models')",
            "unknown_model": f"{e}.get_model_asset_list('none')",
        }
    )


def test_assets_by_type_and_name(files: dict[str, Any], logged: Logged) -> None:
    found = {asset["fileName"]: asset for asset in files["all"]}
    assert set(found) == {
        "plots/ünï ☃.png",
        "roc.json",
        "best.bin",
        "/abs/ta ble.csv",
        "remarks.txt",
        "git.diff",
    }
    image = found["plots/ünï ☃.png"]
    assert (image["type"], image["image"], image["step"], image["fileSize"]) == ("image", True, 3, len(IMAGE))
    assert image["experimentKey"] == logged.runs[ODD_RUN]
    assert image["link"].startswith(f"{logged.url}/api/rest/v2/experiment/asset/get-asset?")
    best = found["best.bin"]
    assert (best["type"], best["dir"], best["step"], best["image"]) == ("model-element", "models/models", None, False)
    assert json.loads(best["metadata"]) == {"epoch": 3, "name": "ü"}
    assert files["types"] == {
        "image": ["plots/ünï ☃.png"],
        "video": [],
        "audio": [],
        "curve": ["roc.json"],
        "model-element": ["best.bin"],
        "text-sample": ["git.diff", "remarks.txt"],
        "table": ["/abs/ta ble.csv"],
        "histogram_combined_3d": [],
    }


def test_assets_have_the_bytes_that_were_logged(files: dict[str, Any], logged: Logged) -> None:
    assert bytes_of(files["image"]) == IMAGE
    assert "+lr = 0.2" in files["text"]
    assert bytes_of(files["by_name"]) == bytes_of(files["by_model_name"]) == bytes_of(files["downloaded"]) == WEIGHTS
    assert [bytes_of(value) for value in files["by_odd_names"]] == [IMAGE, b"a,b\n1,2\n"]
    assert files["no_name"] is None
    curve = CURVE | {"step": 7}
    assert [{key: value for key, value in one.items() if key != "assetId"} for one in files["curves"]] == [curve]
    assert files["curve"] == files["curves"][0]
    assert (files["unknown"]["error"], files["unknown"]["status"]) == ("NotFound", 404)
    assert "has no asset" in files["unknown"]["text"]
    assert files["models"] == ["models"]
    assert [one["fileName"] for one in files["model_files"]] == ["best.bin"]
    assert files["unknown_model"] == []
