"""UbiOps' client: `python by_ubiops.py URL KEY log | show RUN... | delete RUN`. What it logs is a pending run, which
somebody may take on, in the experiment that ML Aide's client made."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import ubiops
from ubiops.exceptions import ApiException

PROJECT, EXPERIMENT = "across", "e"


def log(training: Any) -> str:
    training.experiments_get(PROJECT, EXPERIMENT)  # the one that ML Aide's client made
    with tempfile.TemporaryDirectory() as folder:
        code = Path(folder, "train.py")
        code.write_text("def train(training_data, parameters, context): pass\n")
        request = ubiops.ExperimentRunCreate(name="by-ubiops", training_code=str(code), parameters={"lr": 0.1})
        return str(training.experiment_runs_create(PROJECT, EXPERIMENT, request).id)


def show(training: Any, runs: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for run in runs:
        try:
            shown = training.experiment_runs_get(PROJECT, EXPERIMENT, run)
        except ApiException as error:
            found[run] = error.status
            continue
        found[run] = [shown.status, (shown.result or {}).get("metrics")]
    return found


def delete(training: Any, run: str) -> None:
    training.experiment_runs_delete(PROJECT, EXPERIMENT, run)


if __name__ == "__main__":
    _, url, key, action, *runs = sys.argv
    configuration = ubiops.Configuration(host=f"{url}/ubiops/v2.1")
    configuration.api_key["Authorization"] = f"Token {key}"
    made = ubiops.Training(ubiops.ApiClient(configuration))
    if action == "delete":
        delete(made, *runs)
    result: Any = log(made) if action == "log" else show(made, runs) if action == "show" else None
    made.api_client.close()
    print(json.dumps(result))
