"""Every REST method of Comet's own client that writes (but for the model registry): rest.py RESULTS

Runs in the client's environment, writes with one API object and reads with another one that keeps nothing. What it
read, by label, stands then in the file RESULTS as JSON; what was refused is {"error": ..., "text": ..., "status": ...}.
"""

import base64
import io
import json
import os
import sys
import zipfile
from collections.abc import Callable
from typing import Any

import comet_ml

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

UNKNOWN = "u" * 32


def main() -> None:
    api = comet_ml.API()
    fresh = comet_ml.API(cache=False)
    told: dict[str, Any] = {}
    for part in (values, texts, surroundings, files, states, projects, refusals):
        told[part.__name__] = part(api, fresh)
    # Whoever waits for the file reads it as soon as it is there.
    with open(sys.argv[1] + ".new", "w") as file:
        json.dump(told, file)
    os.rename(sys.argv[1] + ".new", sys.argv[1])


def new(name: str | None = None, project: str = REST_PROJECT) -> comet_ml.APIExperiment:
    return comet_ml.APIExperiment(workspace=REST_WORKSPACE, project_name=project, experiment_name=name)


def again(fresh: comet_ml.API, experiment: comet_ml.APIExperiment) -> comet_ml.APIExperiment:
    return fresh.get_experiment_by_key(experiment.key)


def values(api: comet_ml.API, fresh: comet_ml.API) -> dict[str, Any]:
    experiment = new("by REST ☃")
    told: dict[str, Any] = {"at once": experiment.get_metadata()}
    for step, value in enumerate(REST_VALUES):
        experiment.log_metric("odd", value, step=step, epoch=step // 2)
    experiment.log_metric("timed", 2.5, step=1, timestamp=START_MS / 1000)
    experiment.log_metric("timed", 3.5, step=2, timestamp=START_MS / 1000 + 1)
    experiment.log_metrics({"nest": {"a": 1, "b": {"c": 2}}, "sl/ash ☃": 3}, step=4)
    for _ in range(2):
        experiment.log_metric("twice", 1)
    experiment.log_parameters(REST_PARAMETERS)
    experiment.log_parameter("gone", 1)
    experiment.log_parameter("gone too", 2)
    experiment.log_parameter("gone as well", 3)
    experiment.delete_parameters(["gone", "gone too"])
    api._client.delete_experiment_parameter(experiment.key, "gone as well")
    others: dict[str, object] = {"score": 0.5, "note": "été", "yes": True, "none": None, "list": [1, "a"]}
    for key, other in others.items():
        experiment.log_other(key, other)
    experiment.add_tags(["a", "b ☃", "c", "a"])
    experiment.add_tag("d")
    experiment.delete_tags(["c", "not there"])
    experiment.log_cpu_metrics([10, 20.5], step=1)
    experiment.log_gpu_metrics(
        [
            {
                "gpuId": 0,
                "freeMemory": 1,
                "usedMemory": 2,
                "gpuUtilization": 3,
                "totalMemory": 4,
            }
        ]
    )
    experiment.log_ram_metrics(100, 50, step=1)
    experiment.log_load_metrics(0.25, step=1)
    read = again(fresh, experiment)
    told |= {
        "metrics": read.get_metrics(),
        "summary": read.get_metrics_summary(),
        "parameters": read.get_parameters_summary(),
        "others": read.get_others_summary(),
        "tags": read.get_tags(),
        "system metrics": read.get_system_metric_names(),
        # The object that wrote keeps what it reads: what it reads at once has to be there.
        "own": [experiment.get_tags(), experiment.get_parameters_summary("lr"), experiment.get_metrics("twice")],
    }
    experiment.set_name("another ☃")
    told["named"] = [again(fresh, experiment).get_name(), again(fresh, experiment).get_metadata()["experimentName"]]
    return told


def texts(api: comet_ml.API, fresh: comet_ml.API) -> dict[str, Any]:
    experiment = new()
    experiment.log_html("<p>gone</p>")
    experiment.log_html("<b>one</b>", clear=True)
    experiment.log_html("<i>☃</i>")
    experiment.log_output("first\nsecond ☃\n")
    experiment.log_output("third\n", stderr=True)
    experiment.log_output("first\nsecond ☃\n")
    experiment.set_model_graph('{"a": "☃"}')
    experiment.set_code("old")
    experiment.set_code("print('☃')\n" * 3)
    experiment.set_filename("dir/train ☃.py")
    read = again(fresh, experiment)
    return {
        "html": read.get_html(),
        "output": read.get_output(),
        "graph": read.get_model_graph(),
        "code": read.get_code(),
        "metadata": read.get_metadata(),
        "assets": read.get_asset_list(),
    }


def surroundings(api: comet_ml.API, fresh: comet_ml.API) -> dict[str, Any]:
    experiment = new()
    experiment.set_installed_packages(["numpy==2.0", "lonely", "torch==2.4+cu121"])
    experiment.set_os_packages(["libc6=2.36", "vim=9"])
    experiment.set_os("Linux-6.1-x86_64")
    experiment.set_os_type("Linux")
    experiment.set_os_release("6.1")
    experiment.set_user("me ☃")
    experiment.set_hostname("a-host")
    experiment.set_ip("10.0.0.1")
    experiment.set_pid(4711)
    experiment.set_python_version("3.11.7")
    experiment.set_python_version_verbose("3.11.7 (main)")
    experiment.set_command(["train.py", "--lr", "0.1 ☃"])
    experiment.set_executable("/usr/bin/python")
    experiment.set_machine("x86_64")
    experiment.set_processor("a processor")
    experiment.set_network_interface_ips(["10.0.0.1", "::1"])
    experiment.set_gpu_static_info([{"gpuIndex": 0, "name": "H200", "totalMemory": 5, "powerLimit": 6, "uuid": "u"}])
    experiment.log_additional_system_info("rack", "7b")
    experiment.log_additional_system_info("cool", True)
    experiment.set_git_metadata(user="me", root="/r", branch="main", parent="abc", origin="git@x:y.git")
    with open("a.patch", "w") as file:
        file.write("+one ☃")
    experiment.set_git_patch("a.patch")
    read = again(fresh, experiment)
    return {
        "system": read.get_system_details(),
        "packages": read.get_installed_packages(),
        "additional": read.get_additional_system_info(),
        "git": read.get_git_metadata(),
        "patch": zipfile.ZipFile(io.BytesIO(read.get_git_patch())).read("git_diff.patch").decode(),
    }


def files(api: comet_ml.API, fresh: comet_ml.API) -> dict[str, Any]:
    experiment = new()
    for number, (name, content) in enumerate(ODD_ASSETS.items()):
        with open(f"file{number}", "wb") as file:
            file.write(content)
        experiment.log_asset(f"file{number}", name=name, step=4, metadata={"of": "ü"}, context="train")
    with open("weights.bin", "wb") as file:
        file.write(WEIGHTS)
    experiment.log_asset("weights.bin", name="weights.bin")
    experiment.log_asset("weights.bin", name="n" * 2_000)
    with open("picture.png", "wb") as file:
        file.write(IMAGE)
    experiment.log_image("picture.png", image_name="a picture ☃", step=2)
    with open("video.mp4", "wb") as file:
        file.write(b"moving")
    experiment.log_video("video.mp4", name="a video.mp4", step=3)
    experiment.log_curve("roc", x=[0, 1], y=[0, 1], step=1)
    experiment.log_table("rows.csv", [[1, "a"]], headers=["n", "letter"])
    experiment.log_asset("file0", name="twice", ftype="own type ☃")
    experiment.log_asset("file1", name="twice")
    before = [one["fileName"] for one in again(fresh, experiment).get_asset_list()].count("twice")
    told = experiment.log_asset("file2", name="twice", overwrite=True)
    gone = experiment.log_asset("file0", name="gone")["assetId"]
    experiment.delete_asset(gone)
    read = again(fresh, experiment)
    listed = read.get_asset_list()
    return {
        "before": before,
        "told": told,
        "listed": listed,
        "contents": {
            one["fileName"]: base64.b64encode(read.get_asset(one["assetId"])).decode()
            for one in listed
            if one["fileSize"] < 1_000_000
        },
        "curves": read.get_curves(),
        "gone": failure(lambda: read.get_asset(gone)),
    }


def states(api: comet_ml.API, fresh: comet_ml.API) -> dict[str, Any]:
    experiment = new()
    told: dict[str, Any] = {}

    def state(label: str) -> None:
        read = again(fresh, experiment)
        metadata = read.get_metadata()
        told[label] = [read.get_state(), metadata["archived"], metadata["startTimeMillis"], metadata["endTimeMillis"]]

    state("created")
    for wanted in ("running", "crashed", "finished"):
        experiment.set_state(wanted)
        state(wanted)
    told["beat"] = experiment.update_status()
    state("alive")
    experiment.set_state("finished")
    experiment.set_start_time(START_MS)
    experiment.set_end_time(START_MS + 5_000)
    state("timed")
    experiment.archive()
    state("archived")
    told["listed as archived"] = fresh.get_archived_experiments(REST_WORKSPACE, REST_PROJECT)[0].key == experiment.key
    api.restore_experiment(experiment.key)
    state("restored")
    other = new()
    api.archive_experiments([experiment.key, other.key])
    told["both"] = sorted(e.key for e in fresh.get_archived_experiments(REST_WORKSPACE, REST_PROJECT)) == sorted(
        [experiment.key, other.key]
    )
    api.restore_experiment(experiment.key)
    api.stop_experiment(experiment.key)
    state("stopped")
    api.delete_experiment(experiment.key)
    told["deleted"] = fresh.get_experiment_by_key(experiment.key)
    api.restore_experiment(experiment.key)
    state("back")
    api.delete_experiments([experiment.key, other.key])
    told["both deleted"] = [fresh.get_experiment_by_key(one.key) for one in (experiment, other)]
    return told


def projects(api: comet_ml.API, fresh: comet_ml.API) -> dict[str, Any]:
    told: dict[str, Any] = {}
    place = REST_WORKSPACE, "made ☃"
    told["created"] = api.create_project(*place, project_description="first ☃")
    told["read"] = fresh.get_project(*place)
    told["again"] = failure(lambda: api.create_project(*place))
    api.set_project_notes(*place, "Nötes\nof it")
    told["notes"] = fresh.get_project_notes(*place)
    api.update_project(*place, description="second")
    told["described"] = fresh.get_project(*place)
    key = told["key"] = new(project=place[1]).key
    api.update_project(*place, new_project_name="renamed")
    told["renamed"] = [fresh.get_project(*place), fresh.get_project(REST_WORKSPACE, "renamed")]
    told["its notes"] = fresh.get_project_notes(REST_WORKSPACE, "renamed")
    told["its experiment"] = fresh.get_experiment_by_key(key).get_metadata()["projectName"]
    api.update_project_by_id(told["renamed"][1]["projectId"], new_project_name="renamed 2", description="third")
    told["by id"] = fresh.get_project(REST_WORKSPACE, "renamed 2")
    told["taken"] = failure(lambda: api.update_project(REST_WORKSPACE, "renamed 2", new_project_name=REST_PROJECT))
    told["not empty"] = failure(lambda: api.delete_project(REST_WORKSPACE, "renamed 2"))
    api.move_experiments([key], REST_WORKSPACE, "elsewhere ☃")
    moved = fresh.get_experiment_by_key(key).get_metadata()
    told["moved"] = [moved["workspaceName"], moved["projectName"]]
    api.move_experiments([key], REST_WORKSPACE, "linked", symlink=True)
    told["link"] = fresh.get_experiment_by_key(key).create_symlink("linked too")
    told["linked"] = [
        [one.key == key for one in fresh.get_experiments(REST_WORKSPACE, project)]
        for project in ("linked", "linked too", "elsewhere ☃")
    ]
    told["linked columns"] = [
        column["name"] for column in fresh._client.get_project_columns(REST_WORKSPACE, "linked")["columns"]
    ]
    api.delete_project(REST_WORKSPACE, "renamed 2")
    told["deleted"] = fresh.get_project(REST_WORKSPACE, "renamed 2")
    api.delete_project(REST_WORKSPACE, "elsewhere ☃", delete_experiments=True)
    told["deleted with it"] = [fresh.get_project(REST_WORKSPACE, "elsewhere ☃"), fresh.get_experiment_by_key(key)]
    told["unknown"] = failure(lambda: api.delete_project(REST_WORKSPACE, "never"))
    return told


def refusals(api: comet_ml.API, fresh: comet_ml.API) -> dict[str, Any]:
    client = api._client
    wrong = comet_ml.API(api_key="a-wrong-key-of-some-length")._client
    return {
        "metric": failure(lambda: client.log_experiment_metric(UNKNOWN, "x", 1)),
        "parameter": failure(lambda: client.log_experiment_parameter(UNKNOWN, "x", 1)),
        "archive": failure(lambda: api.archive_experiment(UNKNOWN)),
        "move": failure(lambda: api.move_experiments([UNKNOWN], REST_WORKSPACE, REST_PROJECT)),
        "place": failure(lambda: new(project="a/b")),
        "key": failure(lambda: wrong.add_experiment_tags(UNKNOWN, ["a"])),
    }


def failure(action: Callable[[], object]) -> dict[str, Any]:
    try:
        made = action()
    except Exception as error:
        response = getattr(error, "response", None)
        return {
            "error": type(error).__name__,
            "text": str(error),
            "status": getattr(response, "status_code", None),
        }
    return {"made": repr(made)}


if __name__ == "__main__":
    os.chdir(os.path.dirname(sys.argv[1]))
    main()
