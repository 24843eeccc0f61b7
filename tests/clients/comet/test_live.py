"""Live experiments of the unmodified `comet_ml`: what was logged is what is read, however the experiment ends."""

import base64
import io
import json
import math
import subprocess
import urllib.request
import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from kit.comet.logged import KEY
from kit.comet.processes import HERE, Told, Writing, client_environment, responses_of
from kit.comet.told import (
    CROWD,
    FIGURE,
    IMAGE,
    LINES,
    LIVE_PROJECT,
    LIVE_WORKSPACE,
    LONG_LINE,
    ODD_ASSETS,
    ODD_METRIC_NAMES,
    ODD_METRIC_VALUES,
    OFFLINE_POINTS,
    OTHERS,
    PARAMETERS,
    POINTS,
    RESUMED_POINTS,
    WEIGHTS,
    crowd_value,
    loss_value,
)

#: How the client itself cuts long names and values, before it sends.
CUT = " [truncated]"
NAME_CHARS = 100
VALUE_CHARS = 1000


@dataclass(frozen=True)
class Lived:
    """What the scenarios said of themselves, and what the client then read of the experiments."""

    results: Mapping[str, Mapping[str, Any]]
    read: Mapping[str, Any]
    warnings: str
    forgotten: Mapping[str, int]


@pytest.fixture(scope="module")
def lived(writing: Writing, told: Told) -> Lived:
    read = responses_of(writing.python, questions(told.results), client_environment(writing.home, writing.url))
    return Lived(told.results, read, told.warnings, told.forgotten)


READ = [
    "metadata",
    "state",
    "metrics",
    "parameters_summary",
    "others_summary",
    "tags",
    "html",
    "code",
    "output",
    "model_graph",
    "asset_list",
    "model_names",
    "git_metadata",
    "git_patch",
    "system_details",
]


PARTS = {
    "metadata": "get_metadata",
    "state": "get_state",
    "metrics": "get_metrics",
    "tags": "get_tags",
    "parameters": "get_parameters_summary",
    "others": "get_others_summary",
    "html": "get_html",
    "output": "get_output",
}


def questions(results: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    key = results["everything"]["key"]
    requested = {name: f"exp({key!r}).get_{name}()" for name in READ}
    requested["additional"] = f"exp({key!r}).get_additional_system_info()"
    requested["contents"] = (
        f"(lambda e: {{one['fileName']: e.get_asset(one['assetId']) for one in e.get_asset_list()}})(exp({key!r}))"
    )
    requested["of_model"] = f"[one['fileName'] for one in exp({key!r}).get_model_asset_list('my model')]"
    for label, other in {
        "failing": results["failing"]["key"],
        "killed": results["killed"]["key"],
        "quiet": results["otherwise"]["quiet"],
        "offline": results["otherwise"]["offline"],
        "created": results["otherwise"]["started"][0],
        "another": results["otherwise"]["started"][-1],
        "unlucky": results["unlucky"]["key"],
    }.items():
        parts = {part: f"e.{method}()" for part, method in PARTS.items()}
        parts["assets"] = "[[a['fileName'], e.get_asset(a['assetId'])] for a in e.get_asset_list()]"
        members = ", ".join(f"{part!r}: {expression}" for part, expression in parts.items())
        requested[label] = f"(lambda e: {{{members}}})(exp({other!r}))"
    return requested


def points(metrics: list[dict[str, Any]], name: str) -> list[tuple[int | None, float, int | None]]:
    """Step, value and epoch of each point of a metric, in the order of the response."""
    return [(one["step"], float(one["metricValue"]), one["epoch"]) for one in metrics if one["metricName"] == name]


def values(summaries: list[dict[str, Any]]) -> dict[str, str]:
    return {one["name"]: one["valueCurrent"] for one in summaries}


def same(left: float, right: float) -> bool:
    return left == right or (math.isnan(left) and math.isnan(right))


def test_every_point_is_the_one_that_was_logged(lived: Lived) -> None:
    metrics = lived.read["metrics"]
    wanted = [(step, loss_value(step), step // 1000) for step in range(POINTS + RESUMED_POINTS)]
    assert points(metrics, "loss") == wanted
    assert [(step, value) for step, value, _ in points(metrics, "acc")] == [
        (step, step / POINTS) for step in range(0, POINTS, 2)
    ]
    assert [(step, value) for step, value, _ in points(metrics, "sl/ash and space")] == [
        (step, float(-step)) for step in range(0, POINTS, 2)
    ]
    for name in ("loss", "acc"):
        times = [one["timestamp"] for one in metrics if one["metricName"] == name]
        assert times == sorted(times)


def test_points_of_one_millisecond_keep_their_order(lived: Lived) -> None:
    crowd = [one for one in lived.read["metrics"] if one["metricName"] == "crowd"]
    assert [float(one["metricValue"]) for one in crowd] == [crowd_value(number) for number in range(CROWD)]
    assert [one["offset"] for one in crowd] == list(range(CROWD))
    assert len({one["timestamp"] for one in crowd}) < CROWD / 3


def test_contexts_are_the_beginnings_of_names(lived: Lived) -> None:
    metrics = lived.read["metrics"]
    assert points(metrics, "train_loss") == [(step, step * 10.0, 0) for step in range(5)]
    assert [value for _, value, _ in points(metrics, "test_loss")] == [0.25]
    assert points(metrics, "validate_loss") == [(0, 0.5, 0)]
    found = {one["metricName"]: one["runContext"] for one in metrics if one["metricName"].endswith("_loss")}
    assert found == {"train_loss": "train", "test_loss": "test", "validate_loss": "validate"}
    assert values(lived.read["parameters_summary"])["train_depth"] == "3"


def test_odd_values_cost_nothing_else_of_their_batch(lived: Lived) -> None:
    metrics = lived.read["metrics"]
    odd = {step: value for step, value, _ in points(metrics, "odd")}
    numbers = {0: math.nan, 1: math.inf, 2: -math.inf, 3: 2.0**53, 4: 1e308, 5: 5e-324, 6: 1.0, 7: 0.0, 8: math.inf}
    numbers |= {10: 0.5, 14: 7.0}
    assert odd.keys() == numbers.keys()
    assert all(same(odd[step], number) for step, number in numbers.items())
    count = len(ODD_METRIC_VALUES)
    assert [(step, value) for step, value, _ in points(metrics, "beside")] == [(n, float(n)) for n in range(count)]
    assert values(lived.read["others_summary"])["odd"] == cut("x" * 10_000, VALUE_CHARS), (
        "what is no number is kept beside"
    )


def test_odd_names_cost_nothing_else_of_their_batch(lived: Lived) -> None:
    found = Counter(one["metricName"] for one in lived.read["metrics"])
    names = [cut(name, NAME_CHARS) for name in ODD_METRIC_NAMES]
    shown = {name: name for name in names} | {names[5]: "con trol [31m name", names[6]: "outer"}
    for name in names:
        assert found[shown[name]] == names.count(name)
    count = len(ODD_METRIC_NAMES)
    beside = points(lived.read["metrics"], "beside names")
    assert [(step, value) for step, value, _ in beside] == [(n, float(n)) for n in range(count)]


def cut(text: str, size: int) -> str:
    return text if len(text) <= size else text[: size - len(CUT)] + CUT


PARAMETERS_READ = {
    "opt|lr": "0.1",
    "opt|inner|deep": "null",
    "opt|inner|list": '[1,"a",null]',
    "flag": "true",
    "big": "9007199254740993",
    "huge": "1" + "0" * 30,
    "nan": "NaN",
    "inf": "-Infinity",
    "empty": "",
    "long": cut(str(PARAMETERS["long"]), VALUE_CHARS),
    "sl/a sh ☃": "va/l ue",
    "con trol": "con\x00trol\nvalue",
}


def test_parameters_and_others(lived: Lived) -> None:
    parameters = values(lived.read["parameters_summary"])
    assert {name: parameters.get(name) for name in PARAMETERS_READ} == PARAMETERS_READ
    assert parameters["second"] == "true", "of the second attempt"
    assert parameters["run_arg_0"] == "everything"
    others = values(lived.read["others_summary"])
    assert {name: others[name] for name in OTHERS} == {
        "note": "été ☃",
        "score": "0.5",
        "yes": "true",
        "gone": "null",
        "list": "[1, 'a']",
    }
    assert others["Name"] == lived.read["metadata"]["experimentName"] == "live ☃ / 1"
    tags = lived.read["tags"]
    assert tags[:2] + tags[3:] == ["a tag", "☃/t", "one more"]
    assert tags[2].startswith("x" * 190)


def test_what_was_printed_stands_in_its_order_and_the_second_attempt_behind(lived: Lived) -> None:
    lines = lived.read["output"].splitlines()
    assert [line for line in lines if line in LINES] == LINES
    assert LONG_LINE in lines
    assert "on standard error ☃" in lines
    assert lines[-1] == "printed by the second attempt"
    assert Counter(lines).most_common(1)[0][1] == 1, "once each"


def test_page_graph_and_surroundings(lived: Lived) -> None:
    read = lived.read
    assert read["html"] == "<b>one</b><i>two ☃</i>"
    assert json.loads(read["model_graph"]) == {"layers": ["dense ☃"]}
    system = read["system_details"]
    assert system["command"][1:2] == ["everything"]
    assert "comet_ml==3.58.8" in system["installedPackages"]
    for name in ("user", "hostname", "osType", "pid", "executable"):
        assert system[name], name
    assert system["pythonVersion"].count(".") == 2
    assert any(name.startswith("sys.") for name in system["systemMetricNames"])
    assert {one["key"]: one["value"] for one in read["additional"]} == {"rack": "7b"}
    assert read["metadata"]["fileName"] == "live.py"


def test_the_commit_and_what_was_changed_since(lived: Lived, writing: Writing) -> None:
    commit = subprocess.run(
        ["git", "-C", str(writing.code), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    git = lived.read["git_metadata"]
    assert (git["parent"], git["branch"], git["origin"]) == (
        commit,
        "refs/heads/trunk",
        "https://example.org/it.git",
    )
    with zipfile.ZipFile(io.BytesIO(bytes_of(lived.read["git_patch"]))) as archive:
        assert b"+lr = 0.2" in archive.read("git_diff.patch")


def bytes_of(found: Mapping[str, str]) -> bytes:
    return base64.b64decode(found["base64"])


def test_files_have_their_bytes_names_and_metadata(lived: Lived) -> None:
    contents = {name: bytes_of(found) for name, found in lived.read["contents"].items()}
    listed = {one["fileName"]: one for one in lived.read["asset_list"]}
    for name, content in ODD_ASSETS.items():
        assert contents[name] == content
        assert (listed[name]["step"], listed[name]["fileSize"]) == (4, len(content))
        assert json.loads(listed[name]["metadata"]) == {"of": "ü", "n": 1}
    assert contents["large file.bin"] == WEIGHTS
    assert json.loads(contents["data.json"]) == {"x": [1, None]}
    assert json.loads(listed["data.json"]["metadata"])["epoch"] == 2
    assert contents["pictures/one ☃"] == IMAGE
    assert contents["figure 1"] == FIGURE
    assert contents["by hand.py"] == b"print('logged by hand')"
    assert contents["rows.csv"].split() == [b"n,letter", b"1,a", b"2,b"]
    assert lived.read["code"] == (HERE / "live.py").read_text()
    (sample,) = (name for name, one in listed.items() if one["type"] == "text-sample")
    assert contents[sample].decode() == "a sample ☃"
    remote = listed["remote.bin"]
    assert (remote["remote"], remote["link"]) == (True, "s3://bucket/some/file.bin")


def test_files_of_every_type(lived: Lived) -> None:
    contents = {name: bytes_of(found) for name, found in lived.read["contents"].items()}
    listed = {one["fileName"]: one for one in lived.read["asset_list"]}
    types = {name: one["type"] for name, one in listed.items()}
    assert types["pictures/one ☃"] == types["figure 1"] == "image"
    assert listed["pictures/one ☃"]["image"]
    assert types["confusion-matrix.json"] == "confusion-matrix"
    matrix = json.loads(contents["confusion-matrix.json"])
    assert (matrix["title"], matrix["matrix"], matrix["labels"]) == ("Of two", [[1, 0], [1, 1]], ["no", "yes"])
    assert (types["weights"], listed["weights"]["histogram"]) == ("histogram_combined_3d", True)
    ((step, histogram),) = ((one["step"], one["histogram"]) for one in json.loads(contents["weights"])["histograms"])
    assert (step, [count for _, count in histogram["index_values"]]) == (1, [1, 1, 1])
    assert listed["weights"]["fileSize"] == len(contents["weights"])
    assert (types["a sound.wav"], listed["a sound.wav"]["audio"]) == ("audio", True)
    assert contents["a sound.wav"][:4] == b"RIFF"
    assert types["roc"] == "curve"
    assert json.loads(contents["roc"])["y"] == [0.0, 0.75, 1.0]
    assert types["by hand.py"] == "source_code"


def test_models_are_called_as_they_were_logged(lived: Lived) -> None:
    assert sorted(lived.read["model_names"]) == ["deep/model ☃", "my model"]
    (name,) = lived.read["of_model"]
    assert name.endswith("weights.bin")
    assert bytes_of(lived.read["contents"][name]) == WEIGHTS
    dirs = {one["dir"] for one in lived.read["asset_list"] if one["type"] == "model-element"}
    assert dirs == {"models/my model", "models/deep/model ☃"}


def test_the_client_complains_of_nothing_but_what_it_was_told(lived: Lived) -> None:
    """Its log has warnings, and errors where something was not taken."""
    own = ("esulting string might be invalid", "string value as a metric", "was None", "will be truncated", "Pillow")
    lines = [line for line in lived.warnings.splitlines() if " COMET " in line]
    assert lines
    assert [line[:300] for line in lines if not any(words in line for words in own)] == []


def test_it_finished_and_is_where_it_was_told(lived: Lived) -> None:
    metadata = lived.read["metadata"]
    assert (metadata["workspaceName"], metadata["projectName"]) == (LIVE_WORKSPACE, LIVE_PROJECT)
    assert (metadata["running"], metadata["hasCrashed"], lived.read["state"]) == (False, False, "finished")
    assert metadata["startTimeMillis"] < metadata["endTimeMillis"]
    quiet = lived.read["quiet"]["metadata"]
    assert (quiet["workspaceName"], quiet["projectName"]) == ("default", "general")


def native(writing: Writing, path: str) -> Any:
    """A response of Runstream's own interface: it tells what Comet's has no member for."""
    requested = urllib.request.Request(f"{writing.url}/api/v1/{path}", headers={"Authorization": KEY})
    with urllib.request.urlopen(requested, timeout=120) as response:
        return json.load(response)


def test_an_exception_is_a_crash_with_its_words(lived: Lived, writing: Writing) -> None:
    failing = lived.read["failing"]
    assert (failing["state"], failing["metadata"]["hasCrashed"]) == ("crashed", True)
    assert points(failing["metrics"], "x") == [(1, 1.5, None)]
    run = native(writing, f"runs/{lived.results['failing']['key']}")["run"]
    assert run["status"] == "failed"
    assert "the GPU is on fire ☃" in run["message"]


def test_a_killed_client_never_recorded_that_it_ended(lived: Lived, writing: Writing) -> None:
    """That such a run is crashed after 30 s of silence is tested with a clock, in tests/integration/query_api."""
    killed = lived.read["killed"]
    assert [(step, value) for step, value, _ in points(killed["metrics"], "x")] == [(n, float(n)) for n in range(10)]
    assert killed["state"] in ("running", "crashed")
    events = native(writing, f"runs/{lived.results['killed']['key']}/history")["events"]
    types = [event["type"] for event in events]
    assert "run_started.v1" in types
    assert "run_finished.v1" not in types


def test_going_on_behind_the_end_is_a_new_attempt(lived: Lived, writing: Writing) -> None:
    """Also within the 30 s in which what was written last counts as a sign of life."""
    events = native(writing, f"runs/{lived.results['everything']['key']}/history")["events"]
    attempts = [event["event"]["resumed"] for event in events if event["type"] == "run_started.v1"]
    assert attempts == [False, True]
    assert len([event for event in events if event["type"] == "run_finished.v1"]) == 2


def test_start_in_its_modes(lived: Lived) -> None:
    otherwise = lived.results["otherwise"]
    first, second, third, another = otherwise["started"]
    assert first == second == third == "startedbykey" + "0" * 28
    assert another not in (first, second)
    assert points(lived.read["created"]["metrics"], "x") == [(n, float(n), None) for n in range(3)]
    assert points(lived.read["another"]["metrics"], "x") == [(3, 3.0, None)]
    assert lived.read["created"]["state"] == lived.read["another"]["state"] == "finished"
    assert otherwise["create_again"]["error"] == "InvalidExperimentMode"
    assert "already exists" in otherwise["create_again"]["text"]
    assert otherwise["get_unknown"]["error"] == "ExperimentNotFound"


def test_an_uploaded_offline_experiment(lived: Lived) -> None:
    offline = lived.read["offline"]
    wanted = [(step, loss_value(step), step // 1000) for step in range(OFFLINE_POINTS)]
    assert points(offline["metrics"], "loss") == wanted
    parameters = values(offline["parameters"])
    assert {name: parameters.get(name) for name in PARAMETERS_READ} == PARAMETERS_READ
    assert offline["tags"] == ["off"]
    assert values(offline["others"])["how"] == "offline ☃"
    assert values(offline["others"])["offline_experiment"] == "true"
    files = {name: bytes_of(content) for name, content in offline["assets"]}
    assert files["off line.txt"] == b"from offline"
    assert offline["state"] == "finished"
    metadata = offline["metadata"]
    times = [one["timestamp"] for one in offline["metrics"]]
    assert metadata["startTimeMillis"] <= min(times)
    assert max(times) <= metadata["endTimeMillis"], "when it ran, not when it was uploaded"


def test_who_may_not_write_is_told_so(lived: Lived) -> None:
    """The client does not raise: it says so on its console and logs nothing."""
    otherwise = lived.results["otherwise"]
    for name in ("unknown", "bad_key", "bad_start"):
        assert otherwise[name]["alive"] is False
    assert "The given API key 'a-wrong-key-of-some-length' is invalid" in otherwise["bad_key"]["log"]
    assert "Run will not be logged" in otherwise["unknown"]["log"]


def test_what_was_sent_twice_because_nobody_answered_counts_once(lived: Lived) -> None:
    """Each request was done and then not answered, so that the client sent it again."""
    unlucky = lived.read["unlucky"]
    assert points(unlucky["metrics"], "x") == [(step, step * 0.5, None) for step in range(100)]
    lines = [line for line in unlucky["output"].splitlines() if line.startswith("line ")]
    assert lines == [f"line {step}" for step in range(100)]
    parameters = values(unlucky["parameters"])
    assert (parameters["lr"], parameters["deep|er"]) == ("0.1", "2")
    assert unlucky["tags"] == ["lucky"]
    assert values(unlucky["others"])["note"] == "once"
    assert unlucky["html"] == "<p>once</p>"
    assert [(name, bytes_of(content)) for name, content in unlucky["assets"]] == [("once.txt", b"once")]
    assert unlucky["state"] == "finished"
    for path in (
        "logger/add/run",
        "status-report/update",
        "batch/logger/experiment/metric",
        "batch/logger/experiment/parameter",
        "rest/v2/write/experiment/output",
        "tags/add-tags-to-experiment",
        "asset/upload",
    ):
        assert lived.forgotten[f"/clientlib/{path}"] >= 1, path
    assert lived.forgotten["/clientlib/batch/logger/experiment/metric"] >= 2
