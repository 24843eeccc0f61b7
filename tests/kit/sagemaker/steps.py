"""Steps of a program that uses SageMaker Experiments' own client: trial components and trackers."""

import json
import os
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from smexperiments.api_types import TrialComponentArtifact, TrialComponentStatus
from smexperiments.tracker import Tracker
from smexperiments.trial_component import TrialComponent

REGION = "eu-west-1"
BEGAN = datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=UTC)
#: What a component shows of itself beside the client's own attributes.
SHOWN = (
    "trial_component_name",
    "trial_component_arn",
    "display_name",
    "source",
    "status",
    "start_time",
    "end_time",
    "creation_time",
    "last_modified_time",
    "parameters",
    "input_artifacts",
    "output_artifacts",
    "metrics",
)


def plain(value: Any) -> Any:
    """Return a value of the client as JSON."""
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if hasattr(value, "to_boto"):
        return {name: plain(one) for name, one in vars(value).items() if one is not None}
    return value


def shown(component: TrialComponent) -> Any:
    """Return what a component has."""
    return {name: plain(getattr(component, name, None)) for name in SHOWN}


class Steps:
    """The steps; each is a method without arguments."""

    def __init__(self, url: str, key: str) -> None:
        self.url, self.key = f"{url}/sagemaker", key
        self.client = self.client_of(key, key)
        self.session = boto3.Session(aws_access_key_id=key, aws_secret_access_key=key, region_name=REGION)

    def client_of(self, key: str, secret: str, **config: Any) -> Any:
        """Return boto3's client with a key and a secret."""
        return boto3.Session().client(
            "sagemaker",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            config=Config(read_timeout=120, retries={"mode": "standard", "total_max_attempts": 20}, **config),
        )

    def create(self, name: str, **more: Any) -> TrialComponent:
        return TrialComponent.create(name, sagemaker_boto_client=self.client, **more)

    def load(self, name: str) -> TrialComponent:
        return TrialComponent.load(name, sagemaker_boto_client=self.client)

    def listed(self, **wanted: Any) -> list[str]:
        found = TrialComponent.list(sagemaker_boto_client=self.client, **wanted)
        return [one.trial_component_name for one in found]

    def components(self) -> Any:
        """Create, load, change and load again."""
        made = self.create("First-Component", display_name="the-first", tags=[{"Key": "team", "Value": "vision"}])
        begun = shown(self.load("First-Component"))
        made.status = TrialComponentStatus("Completed", "all is well")
        made.start_time, made.end_time = BEGAN, BEGAN + timedelta(seconds=90)
        made.parameters = {"lr": 0.25, "layers": 3, "optimizer": "adam", "gone": "soon"}
        made.input_artifacts = {"data": TrialComponentArtifact("s3://bucket/data", "text/csv")}
        made.output_artifacts = {
            "model": TrialComponentArtifact("s3://bucket/model"),
            "gone": TrialComponentArtifact("x"),
        }
        made.save()
        saved = shown(self.load("first-component"))
        again = self.load(made.trial_component_arn)
        again.parameters = {"lr": 0.5}
        again.input_artifacts = again.output_artifacts = None
        again.parameters_to_remove = ["gone"]
        again.output_artifacts_to_remove = ["gone"]
        again.display_name = "renamed"
        again.save()
        return {
            "arn": made.trial_component_arn,
            "begun": begun,
            "saved": saved,
            "ended": shown(self.load("FIRST-COMPONENT")),
        }

    def tracker(self) -> Any:
        """What a program logs that tracks itself, and one that fails."""
        with Tracker.create("tracked", "tracked", boto3_session=self.session, sagemaker_boto_client=self.client) as one:
            one.log_parameter("batch", 32)
            one.log_parameters({"lr": 0.1, "loss": "mse", "bad": float("nan")})
            one.log_input("train", "s3://bucket/train", media_type="s3/uri")
            one.log_output("weights", "s3://bucket/weights")
            one.log_metric("not/kept", 1.0)
            name = one.trial_component.trial_component_name
        loaded = Tracker.load(name, boto3_session=self.session, sagemaker_boto_client=self.client)
        loaded.log_parameters({"late": 7})
        loaded.close()
        try:
            with Tracker.create("fails", boto3_session=self.session, sagemaker_boto_client=self.client) as two:
                raise RuntimeError("out of memory")
        except RuntimeError:
            pass
        return {"tracked": shown(self.load(name)), "failed": shown(self.load(two.trial_component.trial_component_name))}

    def in_a_job(self) -> Any:
        """A tracker that finds its component by the job that it runs in."""
        made = self.create("My-Job-aws-training-job")
        job = f"arn:aws:sagemaker:{REGION}:000000000000:training-job/my-job"
        by_job = self.listed(source_arn=job)
        tracker = Tracker.load(
            training_job_name="My-Job", boto3_session=self.session, sagemaker_boto_client=self.client
        )
        return {"made": made.trial_component_name, "by_job": by_job, "loaded": shown(tracker.trial_component)}

    def metrics(self) -> Any:
        """What a job logs into a file, sent by boto3's client of the service for metrics."""
        self.create("measured-aws-training-job")
        os.environ["TRAINING_JOB_ARN"] = f"arn:aws:sagemaker:{REGION}:000000000000:training-job/measured"
        with tempfile.TemporaryDirectory() as folder:
            tracker = Tracker.load(boto3_session=self.session, sagemaker_boto_client=self.client)
            tracker._metrics_writer._metrics_file_path = file = f"{folder}/1.json"
            for step in range(25):
                tracker.log_metric("loss", 1 / (step + 1), iteration_number=step)
            tracker.log_metric("accuracy", 0.5)
            tracker.close()
            lines = [json.loads(line) for line in Path(file).read_text().splitlines()]
        del os.environ["TRAINING_JOB_ARN"]
        points = [
            {"Step" if name == "IterationNumber" else name: value for name, value in one.items()} for one in lines
        ]
        sending = boto3.Session().client(
            "sagemaker-metrics",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.key,
        )
        errors = []
        for begin in range(0, len(points), 10):
            sent = sending.batch_put_metrics(
                TrialComponentName="measured-aws-training-job", MetricData=points[begin : begin + 10]
            )
            errors += sent["Errors"]
        return {"errors": errors, "shown": shown(self.load("measured-aws-training-job"))}

    def lists(self) -> Any:
        """Every order, filter and page."""
        names = [f"listed-{number:02}" for number in range(25)]
        for name in names:
            self.create(name)
        # The moment of the tenth, which is in neither list: both bounds are exclusive.
        middle = self.load(names[9]).creation_time
        of_these = {"created_after": self.load(names[0]).creation_time - timedelta(microseconds=1)}
        return {
            "names": names,
            "default": self.listed(**of_these),
            "ascending": self.listed(sort_order="Ascending", **of_these),
            "by_name": self.listed(sort_by="Name", sort_order="Ascending", max_results=7, **of_these),
            "by_name_descending": self.listed(sort_by="Name", sort_order="Descending", max_results=100, **of_these),
            "after": self.listed(created_after=middle, sort_order="Ascending"),
            "before": self.listed(created_before=middle, sort_order="Ascending", max_results=3),
        }

    def deleted_while_listed(self) -> Any:
        """Each is deleted as it is listed, and none is left out."""
        for number in range(12):
            self.create(f"doomed-{number}")
        for one in TrialComponent.list(sort_by="Name", sagemaker_boto_client=self.client, max_results=5):
            if one.trial_component_name.startswith("doomed-"):
                self.load(one.trial_component_name).delete()
        return [name for name in self.listed() if name.startswith("doomed-")]

    def name_that_is_free_again(self) -> Any:
        """A name whose component was deleted, twice."""
        arns = []
        for number in range(3):
            made = self.create("Phoenix")
            made.parameters = {f"life-{number}": number}
            made.save()
            arns.append(made.trial_component_arn)
            loaded = self.load("Phoenix")
            if number < 2:
                loaded.delete()
        return {"arns": arns, "last": shown(loaded), "listed": self.listed().count("Phoenix")}

    def repeated(self) -> Any:
        """The same name, in another case."""
        self.create("taken")
        return shown(self.create("TAKEN"))

    def unknown(self) -> Any:
        return shown(self.load("nobody-knows-it"))

    def unknown_deleted(self) -> Any:
        return TrialComponent(self.client, trial_component_name="nobody-knows-it").delete()

    def bad_name(self) -> Any:
        return shown(self.create("under_score"))

    def bad_order(self) -> Any:
        return self.listed(sort_by="Colour")

    def bad_size(self) -> Any:
        return self.listed(max_results=101)

    def bad_token(self) -> Any:
        return self.listed(next_token="AAAA")

    def bad_status(self) -> Any:
        made = self.create("bad-status")
        made.status = TrialComponentStatus("Done")
        return made.save()

    def two_values(self) -> Any:
        self.create("two-values")
        both = {"p": {"StringValue": "x", "NumberValue": 1}}
        return self.client.update_trial_component(TrialComponentName="two-values", Parameters=both)

    def other_operation(self) -> Any:
        return self.client.list_training_jobs()

    def wrong_key(self) -> Any:
        return self.client_of("a-wrong-key-of-some-length", self.key).list_trial_components()

    def wrong_secret(self) -> Any:
        return self.client_of(self.key, "another-key-of-some-length").list_trial_components()

    def reading(self) -> Any:
        """What a key may do that only reads."""
        return {"listed": len(self.listed(max_results=100)) > 0, "name": self.load("First-Component").display_name}

    def writing(self) -> Any:
        return shown(self.create("not-with-this-key"))

    def deleting(self) -> Any:
        return self.load("First-Component").delete()

    def interrupted(self) -> Any:
        """Log a half, say so, wait for a line on standard input, and log the other half."""
        made = self.create("interrupted")
        made.parameters = {"before": 1}
        made.save()
        print(made.trial_component_name, flush=True)
        sys.stdin.readline()
        made.parameters = {"behind": 2}
        made.status = TrialComponentStatus("Completed")
        made.save()
        return shown(self.load("interrupted"))

    def model(self) -> Any:
        """What the client's own service model says of every operation: members, those that must be there, and words."""
        service = self.client.meta.service_model
        return {name: described(service.operation_model(name)) for name in service.operation_names}


def described(operation: Any) -> dict[str, Any]:
    """Return the members of a request and of a response."""

    def members(shape: Any) -> Any:
        if shape is None:
            return {}
        return {
            name: {
                "required": name in shape.required_members,
                "type": one.type_name,
                "enum": list(getattr(one, "enum", [])),
            }
            for name, one in shape.members.items()
        }

    return {"request": members(operation.input_shape), "response": members(operation.output_shape)}
