"""The REST methods of the unmodified `comet_ml` that write: what was said is what another client reads at once."""

import base64
import json
import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import pytest

from kit.comet.processes import Told
from kit.comet.told import (
    IMAGE,
    ODD_ASSETS,
    REST_PARAMETERS,
    REST_PROJECT,
    REST_VALUES,
    REST_WORKSPACE,
    START_MS,
    WEIGHTS,
)

Part = Mapping[str, Any]


@pytest.fixture(scope="module")
def rest(told: Told) -> Mapping[str, Part]:
    return told.results["rest"]


def points(part: Part, name: str) -> list[tuple[int | None, float, int | None]]:
    found = [one for one in part["metrics"] if one["metricName"] == name]
    return [(one["step"], float(one["metricValue"]), one["epoch"]) for one in found]


def current(summaries: list[dict[str, Any]]) -> dict[str, str]:
    return {one["name"]: one["valueCurrent"] for one in summaries}


def test_values_of_metrics(rest: Mapping[str, Part]) -> None:
    part = rest["values"]
    odd = points(part, "odd")
    assert [(step, epoch) for step, _, epoch in odd] == [(step, step // 2) for step in range(len(REST_VALUES))]
    for (_, found, _), logged in zip(odd, REST_VALUES, strict=True):
        assert found == float(logged) or (math.isnan(found) and math.isnan(logged))
    assert points(part, "nest/a") == [(4, 1.0, None)]
    assert points(part, "nest/b/c") == [(4, 2.0, None)]
    assert points(part, "sl/ash ☃") == [(4, 3.0, None)]
    assert points(part, "twice") == [(None, 1.0, None)] * 2
    times = [one["timestamp"] for one in part["metrics"] if one["metricName"] == "timed"]
    assert times == [START_MS, START_MS + 1_000]
    summary = {one["name"]: one for one in part["summary"]}
    assert (summary["odd"]["valueMax"], summary["odd"]["valueMin"]) == ("Infinity", "-Infinity")


def test_use_of_the_machine_has_the_names_of_live_experiments(rest: Mapping[str, Part]) -> None:
    part = rest["values"]
    wanted = {
        "sys.cpu.percent.01": 10.0,
        "sys.cpu.percent.02": 20.5,
        "sys.gpu.0.free_memory": 1.0,
        "sys.gpu.0.used_memory": 2.0,
        "sys.gpu.0.gpu_utilization": 3.0,
        "sys.gpu.0.total_memory": 4.0,
        "sys.ram.total": 100.0,
        "sys.ram.used": 50.0,
        "sys.load.avg": 0.25,
    }
    assert set(part["system metrics"]) == set(wanted)
    assert {name: points(part, name)[0][1] for name in wanted} == wanted


def test_parameters_and_deleted_ones(rest: Mapping[str, Part]) -> None:
    assert current(rest["values"]["parameters"]) == {
        "lr": "0.1",
        "big": "9007199254740993",
        "flag": "false",
        "none": "null",
        "list": '[1,"a",null]',
        "nan": "NaN",
        "long": REST_PARAMETERS["long"],
        "opt|name": "adam",
        "opt|deep|er": "1",
        "sl/a sh ☃": "va/l ue",
        "con trol": "con\x00trol\nvalue",
    }


def test_others_names_and_tags(rest: Mapping[str, Part]) -> None:
    part = rest["values"]
    assert current(part["others"]) == {
        "Name": "by REST ☃",
        "score": "0.5",
        "note": "été",
        "yes": "true",
        "none": "null",
        "list": '[1,"a"]',
        "hasNestedParams": "true",
    }
    assert part["tags"] == ["a", "b ☃", "d"]
    assert part["named"] == ["another ☃"] * 2


def test_what_was_written_can_be_read_at_once(rest: Mapping[str, Part]) -> None:
    """The object that wrote keeps for good what it reads then."""
    part = rest["values"]
    metadata = part["at once"]
    assert (metadata["workspaceName"], metadata["projectName"]) == (REST_WORKSPACE, REST_PROJECT)
    assert metadata["experimentName"] == "by REST ☃"
    tags, parameter, twice = part["own"]
    assert (tags, parameter["valueCurrent"], len(twice)) == (["a", "b ☃", "d"], "0.1", 2)


def test_page_output_code_and_graph(rest: Mapping[str, Part]) -> None:
    part = rest["texts"]
    assert part["html"] == "<b>one</b><i>☃</i>", "cleared by the second"
    assert part["output"] == "first\nsecond ☃\nthird\nfirst\nsecond ☃\n"
    assert part["graph"] == '{"a": "☃"}'
    assert part["code"] == "print('☃')\n" * 3, "the last one"
    assert (part["metadata"]["filePath"], part["metadata"]["fileName"]) == ("dir/train ☃.py", "train ☃.py")
    assert part["assets"] == [], "none of these is an asset to Comet"


def test_system_details_are_merged(rest: Mapping[str, Part]) -> None:
    part = rest["surroundings"]
    wanted = {
        "user": "me ☃",
        "pid": 4711,
        "ip": "10.0.0.1",
        "os": "Linux-6.1-x86_64",
        "osType": "Linux",
        "osRelease": "6.1",
        "hostname": "a-host",
        "machine": "x86_64",
        "processor": "a processor",
        "command": ["train.py", "--lr", "0.1 ☃"],
        "executable": "/usr/bin/python",
        "pythonVersion": "3.11.7",
        "pythonVersionVerbose": "3.11.7 (main)",
        "osPackages": ["libc6=2.36", "vim=9"],
        "networkInterfaceIps": ["10.0.0.1", "::1"],
        "gpuStaticInfoList": [{"gpuIndex": 0, "name": "H200", "totalMemory": 5, "powerLimit": 6, "uuid": "u"}],
    }
    assert {name: part["system"][name] for name in wanted} == wanted
    assert part["packages"] == ["lonely", "numpy==2.0", "torch==2.4+cu121"]
    assert {one["key"]: one["value"] for one in part["additional"]} == {"rack": "7b", "cool": True}


def test_the_commit_and_its_patch(rest: Mapping[str, Part]) -> None:
    part = rest["surroundings"]
    assert part["git"] == {"user": "me", "root": "/r", "branch": "main", "parent": "abc", "origin": "git@x:y.git"}
    assert part["patch"] == "+one ☃"


def test_files_of_every_type(rest: Mapping[str, Part]) -> None:
    part = rest["files"]
    listed = {one["fileName"]: one for one in part["listed"]}
    contents = {name: base64.b64decode(content) for name, content in part["contents"].items()}
    for name, content in ODD_ASSETS.items():
        assert contents[name] == content
        assert (listed[name]["step"], listed[name]["runContext"]) == (4, "train")
        assert json.loads(listed[name]["metadata"]) == {"of": "ü"}
    assert listed["weights.bin"]["fileSize"] == len(WEIGHTS), "3 MB"
    (long,) = (name for name in listed if name.startswith("nnn"))
    assert 900 < len(long) <= 1000
    assert (contents["a picture ☃"], listed["a picture ☃"]["image"]) == (IMAGE, True)
    assert (contents["a video.mp4"], listed["a video.mp4"]["video"]) == (b"moving", True)
    assert [(one["name"], one["x"], one["y"], one["step"]) for one in part["curves"]] == [("roc", [0, 1], [0, 1], 1)]
    assert contents["rows.csv"].split() == [b"n,letter", b"1,a"]


def test_overwritten_and_deleted_files(rest: Mapping[str, Part]) -> None:
    part = rest["files"]
    assert part["before"] == 2
    (twice,) = (one for one in part["listed"] if one["fileName"] == "twice")
    assert twice["assetId"] == part["told"]["assetId"]
    assert part["told"]["link"].endswith(f"assetId={twice['assetId']}")
    assert base64.b64decode(part["contents"]["twice"]) == list(ODD_ASSETS.values())[2]
    assert "gone" not in part["contents"]
    assert part["gone"]["status"] == 404


def test_states_and_times(rest: Mapping[str, Part]) -> None:
    part = rest["states"]
    names = ("created", "running", "crashed", "finished", "alive")
    states = ["running", "running", "crashed", "finished", "running"]
    assert [part[name][0] for name in names] == states
    assert part["running"][3] is None
    assert part["beat"]["isAliveBeatDurationMillis"] >= 1_000
    assert part["timed"] == ["finished", False, START_MS, START_MS + 5_000]
    assert part["archived"][1] is True
    assert part["listed as archived"] is part["both"] is True
    assert part["restored"] == part["timed"]
    assert part["stopped"][0] != "running"
    assert part["deleted"] is None
    assert part["back"] == part["stopped"]
    assert part["both deleted"] == [None, None]


def test_projects(rest: Mapping[str, Part]) -> None:
    part = rest["projects"]
    assert part["read"]["projectId"] == part["created"]["projectId"]
    assert part["read"]["projectDescription"] == "first ☃"
    assert "already" in part["again"]["text"]
    assert part["notes"] == part["its notes"] == "Nötes\nof it"
    assert part["described"]["projectDescription"] == "second"
    assert part["renamed"][0] is None
    assert (part["renamed"][1]["projectDescription"], part["renamed"][1]["numberOfExperiments"]) == ("second", 1)
    assert part["its experiment"] == "renamed"
    assert part["by id"]["projectDescription"] == "third"
    for refused in ("taken", "not empty"):
        assert part[refused]["status"] == 400
    assert part["moved"] == [REST_WORKSPACE, "elsewhere ☃"]
    assert part["deleted"] is None
    assert part["deleted with it"] == [None, None]
    assert part["unknown"]["status"] == 404


def test_a_linked_experiment_is_shown_in_both_projects(rest: Mapping[str, Part]) -> None:
    part = rest["projects"]
    assert part["linked"] == [[True], [True], [True]]
    assert unquote(part["link"]).endswith(f"/{REST_WORKSPACE}/linked too/{part['key']}")
    assert "experiment_key" in part["linked columns"]


def test_refusals_say_why(rest: Mapping[str, Part]) -> None:
    unknown = dict.fromkeys(("metric", "parameter", "archive", "move"), "no experiment has the key")
    for label, words in (unknown | {"place": "'a/b'"}).items():
        refused = rest["refusals"][label]
        assert (refused["error"], refused["status"]) == ("CometRestApiException", 400)
        assert words in refused["text"]


def test_a_wrong_key_writes_nothing(rest: Mapping[str, Part]) -> None:
    assert rest["refusals"]["key"]["status"] == 401
