"""Comet's client: `python by_comet.py URL KEY log | show RUN... | delete RUN | artifact NAME`. `artifact`
downloads the newest version of an artifact and shows its files."""

import json
import sys
from pathlib import Path
from typing import Any

from comet_ml import API, APIExperiment


def log(key: str) -> str:
    experiment = APIExperiment(api_key=key, workspace="default", project_name="across")
    experiment.log_parameter("lr", 0.1)
    for step, value in enumerate((0.9, 0.5, 0.25)):
        experiment.log_metric("loss", value, step=step)
    experiment.end()
    return str(experiment.id)


def show(key: str, runs: list[str]) -> dict[str, Any]:
    api = API(api_key=key)
    found = {}
    for run in runs:
        experiment = api.get_experiment_by_key(run)
        found[run] = None if experiment is None else float(experiment.get_metrics_summary("loss")["valueMin"])
    return found


def delete(key: str, run: str) -> None:
    API(api_key=key).delete_experiment(run)


def artifact(key: str, name: str) -> dict[str, str]:
    API(api_key=key).get_artifact("default", name).download(f"got {name}")
    return {path.name: path.read_text() for path in Path(f"got {name}").rglob("*") if path.is_file()}


if __name__ == "__main__":
    _, url, key, action, *runs = sys.argv
    if action == "delete":
        delete(key, *runs)
    result: Any = log(key) if action == "log" else show(key, runs) if action == "show" else None
    if action == "artifact":
        result = artifact(key, *runs)
    print(json.dumps(result))
