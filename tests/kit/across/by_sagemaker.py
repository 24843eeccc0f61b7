"""SageMaker Experiments' client: `python by_sagemaker.py URL KEY log | show RUN... | delete RUN`."""

import json
import sys
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.exceptions import ClientError
from smexperiments.tracker import Tracker
from smexperiments.trial_component import TrialComponent

Clients = tuple[Any, Any]


def log(clients: Clients) -> str:
    client, metrics = clients
    with Tracker.create("by-sagemaker", sagemaker_boto_client=client) as tracker:
        tracker.log_parameter("lr", 0.1)
    name = str(tracker.trial_component.trial_component_name)
    points = [
        {"MetricName": "loss", "Value": value, "Step": step, "Timestamp": datetime.now(UTC)}
        for step, value in enumerate((0.9, 0.5, 0.25))
    ]
    metrics.batch_put_metrics(TrialComponentName=name, MetricData=points)
    return name


def show(clients: Clients, runs: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for run in runs:
        try:
            component = TrialComponent.load(run, sagemaker_boto_client=clients[0])
        except ClientError as error:
            found[run] = error.response["Error"]["Code"]
            continue
        summaries = {one.metric_name: one.min for one in component.metrics or []}
        found[run] = summaries.get("loss")
    return found


def delete(clients: Clients, run: str) -> None:
    TrialComponent.load(run, sagemaker_boto_client=clients[0]).delete()


if __name__ == "__main__":
    _, url, key, action, *runs = sys.argv
    session = boto3.Session(aws_access_key_id=key, aws_secret_access_key=key, region_name="us-east-1")
    both = tuple(session.client(name, endpoint_url=f"{url}/sagemaker") for name in ("sagemaker", "sagemaker-metrics"))
    made: Clients = (both[0], both[1])
    if action == "delete":
        delete(made, *runs)
    result: Any = log(made) if action == "log" else show(made, runs) if action == "show" else None
    print(json.dumps(result))
