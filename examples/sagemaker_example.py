"""Train three small models and keep them with SageMaker Experiments' own client: `python sagemaker_example.py URL KEY`.

Needs `pip install sagemaker-experiments`, and nothing of Runstream.
"""

import os
import sys
from datetime import UTC, datetime

import boto3
from smexperiments.experiment import Experiment
from smexperiments.search_expression import Filter, NestedFilter, Operator, SearchExpression
from smexperiments.tracker import Tracker
from smexperiments.trial_component import TrialComponent


def losses(rate: float, steps: int = 50) -> list[float]:
    """Return the loss of each step of a descent on a parabola."""
    position, found = 1.0, []
    for _ in range(steps):
        position -= rate * 2 * position
        found.append(position**2)
    return found


def main() -> None:
    url, key = sys.argv[1:]
    # Where all services are, the one for files too.
    os.environ["AWS_ENDPOINT_URL"] = f"{url}/sagemaker"
    session = boto3.Session(aws_access_key_id=key, aws_secret_access_key=key, region_name="us-east-1")
    client, metrics = session.client("sagemaker"), session.client("sagemaker-metrics")
    name = f"parabola-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    experiment = Experiment.create(name, description="which rate descends best", sagemaker_boto_client=client)
    trial = experiment.create_trial(f"{name}-rates")
    for rate in (0.01, 0.1, 0.4):
        with Tracker.create("descent", boto3_session=session, sagemaker_boto_client=client) as tracker:
            found = losses(rate)
            tracker.log_parameters({"rate": rate, "last_loss": found[-1]})
            tracker.log_table("losses", {"step": list(range(len(found))), "loss": found})
            tracker.log_input("parabola", "https://example.org/parabola.csv", media_type="text/csv")
        component = tracker.trial_component.trial_component_name
        points = [
            {"MetricName": "loss", "Value": loss, "Step": step, "Timestamp": datetime.now(UTC)}
            for step, loss in enumerate(found)
        ]
        for begin in range(0, len(points), 10):
            metrics.batch_put_metrics(TrialComponentName=component, MetricData=points[begin : begin + 10])
        trial.add_trial_component(tracker)
    here = NestedFilter("Parents", [Filter("Parents.ExperimentName", Operator.EQUALS, name)])
    low = Filter("Metrics.loss.Last", Operator.LESS_THAN, "0.01")
    wanted = SearchExpression(filters=[low], nested_filters=[here])
    order = {"sort_by": "Metrics.loss.Last", "sort_order": "Ascending"}
    for one in TrialComponent.search(wanted, **order, sagemaker_boto_client=client):
        print(f"rate {one.parameters['rate']['NumberValue']}: loss {one.metrics[0]['Last']:.3g}")


if __name__ == "__main__":
    main()
