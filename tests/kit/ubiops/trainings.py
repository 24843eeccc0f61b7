"""Trainings of a program that uses UbiOps' own client: `python trainings.py URL KEY DOING < JSON`.

It runs in the client's environment, without anything of Runstream, and prints JSON on the last line. DOING: `create` an
experiment with variables and runs, `wait` until runs have ended, `cancel` one.
"""

import json
import os
import sys
import tempfile
import time
from typing import Any

import ubiops

WAIT_S = 240.0
ENDED = ("completed", "failed", "cancelled")


def create(training: Any, given: dict[str, Any]) -> dict[str, str]:
    """The ids of the runs, by their names. The code of a run is a file, or a folder of several."""
    project, experiment = given["project"], given["experiment"]
    if given.get("environment"):
        data = ubiops.ExperimentCreate(
            name=experiment, environment=given["environment"], instance_type=given.get("instance_type", "2048mb")
        )
        training.experiments_create(project, data)
        for name, value, secret in given.get("variables", ()):
            variable = ubiops.EnvironmentVariableCreate(name=name, value=value, secret=secret)
            training.experiment_environment_variables_create(project, experiment, variable)
    made = {}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for run in given["runs"]:
            os.makedirs(run["name"])
            for path, content in run["code"].items():
                target = os.path.join(run["name"], path)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                with open(target, "wb") as file:
                    file.write(bytes.fromhex(content["hex"]) if isinstance(content, dict) else content.encode())
            code = run["name"] if len(run["code"]) > 1 else os.path.join(run["name"], next(iter(run["code"])))
            data_path = None
            if run.get("data") is not None:
                data_path = f"{run['name']}.csv"
                with open(data_path, "w") as file:
                    file.write(run["data"])
            wanted = ubiops.ExperimentRunCreate(
                name=run["name"], training_code=code, training_data=data_path, parameters=run.get("parameters") or {}
            )
            created = training.experiment_runs_create(project, experiment, wanted, timeout=run.get("timeout", 600))
            made[run["name"]] = created.id
    return made


def wait(training: Any, given: dict[str, Any]) -> dict[str, Any]:
    """What the client reads of each run when it has ended, and the contents of the files of its result."""
    found = {}
    until_s = time.monotonic() + WAIT_S
    for run in given["runs"]:
        while True:
            detail = training.experiment_runs_get(given["project"], given["experiment"], run)
            if detail.status in ENDED:
                break
            assert time.monotonic() < until_s, f"the run {run} is {detail.status}"
            time.sleep(0.2)
        result = detail.result or {}
        uris = [uri for uri in (result.get("artifact"), *(result.get("additional_output_files") or ())) if uri]
        found[run] = {
            "status": detail.status,
            "error": detail.error_message,
            "result": result,
            "files": {uri: content_of(training, given["project"], uri) for uri in uris},
        }
    return found


def content_of(training: Any, project: str, uri: str) -> str:
    bucket, _, name = uri[len("ubiops-file://") :].partition("/")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "file")
        ubiops.utils.download_file(training.api_client, project, bucket, name, output_path=path, _progress_bar=False)
        with open(path) as file:
            return file.read()


def cancel(training: Any, given: dict[str, Any]) -> None:
    update = ubiops.ExperimentRunUpdate(status="cancelled")
    training.experiment_runs_update(given["project"], given["experiment"], given["run"], update)


def main() -> None:
    """Do what is named, with what stands on stdin."""
    url, key, doing = sys.argv[1:]
    configuration = ubiops.Configuration(host=f"{url}/ubiops/v2.1")
    configuration.api_key["Authorization"] = f"Token {key}"
    training = ubiops.Training(ubiops.ApiClient(configuration))
    does: dict[str, Any] = {"create": create, "wait": wait, "cancel": cancel}
    print("\n" + json.dumps(does[doing](training, json.load(sys.stdin))))


if __name__ == "__main__":
    main()
