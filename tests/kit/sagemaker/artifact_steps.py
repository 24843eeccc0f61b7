"""Steps of a tracker that logs artifacts and charts, configured by variables alone, and of lineage by boto3."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from smexperiments.tracker import Tracker
from smexperiments.trial_component import TrialComponent

from kit.sagemaker.file_steps import FileSteps
from kit.sagemaker.steps import REGION, plain, shown

TRUE, GUESSED, SCORES = [0, 0, 1, 1, 1], [0, 1, 1, 1, 0], [0.1, 0.4, 0.35, 0.8, 0.3]


class ArtifactSteps(FileSteps):
    """The steps; each is a method without arguments."""

    @contextmanager
    def by_variables(self) -> Iterator[None]:
        """All that a user sets who changes no line of a program."""
        given = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.key,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
        }
        before = dict(os.environ)
        os.environ.update(given)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)

    def artifacts(self) -> Any:
        """Files of every kind, in the bucket that the client makes by itself."""
        with self.by_variables(), tempfile.TemporaryDirectory() as folder:
            for name, text in (("model.bin", "weights"), ("train.csv", "a,b\n1,2\n"), ("dir/one.json", "{}")):
                path = Path(folder, name)
                path.parent.mkdir(exist_ok=True)
                path.write_text(text)
            Path(folder, "dir", "two.unknown").write_text("two")
            with Tracker.create("with-artifacts") as tracker:
                tracker.log_artifact(f"{folder}/model.bin", name="model")
                tracker.log_input_artifact(f"{folder}/train.csv")
                tracker.log_output_artifact(f"{folder}/model.bin", "typed", media_type="application/x-weights")
                tracker.log_artifacts(f"{folder}/dir")
                tracker.log_output("elsewhere", "s3://another-bucket/x", media_type="text/plain")
            name = tracker.trial_component.trial_component_name
            saved = shown(TrialComponent.load(name))
            read = {
                kind: boto3.client("s3")
                .get_object(**self._place(saved["output_artifacts"][kind]["value"]))["Body"]
                .read()
                for kind in ("model", "typed", "one", "two")
            }
            again = self._logged_again(name, folder)
        return {
            "name": name,
            "inputs": saved["input_artifacts"],
            "outputs": saved["output_artifacts"],
            "status": saved["status"],
            "read": {kind: content.decode() for kind, content in read.items()},
            "again": again,
        }

    def _place(self, address: str) -> dict[str, str]:
        bucket, _, key = address.removeprefix("s3://").partition("/")
        return {"Bucket": bucket, "Key": key}

    def _logged_again(self, name: str, folder: str) -> Any:
        """The same artifact with another content, which its address does not tell."""
        Path(folder, "model.bin").write_text("better weights")
        tracker = Tracker.load(name)
        tracker.log_artifact(f"{folder}/model.bin", name="model")
        tracker.close()
        return plain(TrialComponent.load(name).output_artifacts["model"])

    def charts(self) -> Any:
        """Every chart and table of the client, into a bucket that is named."""
        with self.by_variables():
            self.bucket(boto3.client("s3"), "charts-of-mine")
            with Tracker.create("with-charts", artifact_bucket="charts-of-mine", artifact_prefix="charts") as tracker:
                tracker.log_table("values", {"x": [1, 2, 3], "y": [0.5, float("nan"), 2.5]})
                tracker.log_confusion_matrix(TRUE, GUESSED, title="matrix")
                tracker.log_precision_recall(TRUE, SCORES, title="precision", no_skill=0.6)
                tracker.log_roc_curve(TRUE, SCORES, title="roc of it", output_artifact=False)
            name = tracker.trial_component.trial_component_name
            listed = boto3.client("s3").list_objects_v2(Bucket="charts-of-mine", Prefix=f"charts/{name}/")["Contents"]
        return {
            "name": name,
            "keys": [one["Key"].rpartition("/")[2] for one in listed],
            "artifacts": shown(self.load(name))["output_artifacts"],
            "lineage": self._lineage(name),
        }

    def _lineage(self, name: str) -> Any:
        """What boto3 lists of a component's associations, both ways."""
        arn = f"arn:aws:sagemaker:{REGION}:000000000000:experiment-trial-component/{name}"
        made = self.client.list_associations(SourceArn=arn, SortBy="DestinationType", SortOrder="Ascending")
        used = self.client.list_associations(DestinationArn=arn)["AssociationSummaries"]
        described = [
            self.client.describe_artifact(ArtifactArn=one["DestinationArn"]) for one in made["AssociationSummaries"]
        ]
        return {
            "made": [[one["DestinationName"], one["DestinationType"]] for one in made["AssociationSummaries"]],
            "used": [[one["SourceName"], one["SourceType"], one["AssociationType"]] for one in used],
            "sources": [one["Source"]["SourceUri"].rpartition("/")[2] for one in described],
            "etags": [[one["SourceIdType"] for one in found["Source"]["SourceTypes"]] for found in described],
        }

    def lineage(self) -> Any:
        """Artifacts and associations by boto3: create, list, change, delete."""
        client = self.client
        self.create("of-lineage")
        component = f"arn:aws:sagemaker:{REGION}:000000000000:experiment-trial-component/of-lineage"
        made = [
            client.create_artifact(
                ArtifactName=f"data {number}",
                ArtifactType="DataSet",
                Source={
                    "SourceUri": f"s3://elsewhere/{number}",
                    "SourceTypes": [{"SourceIdType": "Custom", "Value": "v"}],
                },
                Properties={"rows": "5", "gone": "soon"},
                Tags=[{"Key": "team", "Value": "vision"}],
            )["ArtifactArn"]
            for number in range(5)
        ]
        client.update_artifact(
            ArtifactArn=made[0], ArtifactName="renamed", Properties={"rows": "6"}, PropertiesToRemove=["gone"]
        )
        described = client.describe_artifact(ArtifactArn=made[0])
        client.add_association(SourceArn=made[0], DestinationArn=component, AssociationType="ContributedTo")
        client.add_association(SourceArn=made[1], DestinationArn=made[0], AssociationType="DerivedFrom")
        pages = client.get_paginator("list_artifacts").paginate(
            ArtifactType="DataSet", PaginationConfig={"PageSize": 2}
        )
        listed = [one["ArtifactArn"] for page in pages for one in page["ArtifactSummaries"]]
        twice = self._code(client.add_association, SourceArn=made[0], DestinationArn=component)
        held = self._code(client.delete_artifact, ArtifactArn=made[0])
        all_of_it = client.list_associations()["AssociationSummaries"]
        client.delete_association(SourceArn=made[0], DestinationArn=component)
        client.delete_association(SourceArn=made[1], DestinationArn=made[0])
        by_source = client.delete_artifact(Source=described["Source"])["ArtifactArn"]
        return {
            "is_listed": listed == made[::-1],
            "of_source": [
                one["ArtifactName"] for one in client.list_artifacts(SourceUri="s3://elsewhere/3")["ArtifactSummaries"]
            ],
            "described": [described[name] for name in ("ArtifactName", "ArtifactType", "Properties")],
            "tags": client.list_tags(ResourceArn=made[1])["Tags"],
            "associated": [one["AssociationType"] for one in all_of_it if one["SourceArn"] in made],
            "twice": twice,
            "held": held,
            "by_source": by_source == made[0],
            "gone": self._code(client.describe_artifact, ArtifactArn=made[0]),
            "unknown": self._code(client.add_association, SourceArn=made[0], DestinationArn=component),
            "deleted_twice": self._code(client.delete_association, SourceArn=made[1], DestinationArn=made[2]),
            "other": self._code(
                client.add_association,
                SourceArn=made[1],
                DestinationArn=f"arn:aws:sagemaker:{REGION}:000000000000:context/x",
            ),
        }

    def _code(self, call: Any, **members: Any) -> str:
        try:
            call(**members)
        except self.client.exceptions.ClientError as error:
            return str(error.response["Error"]["Code"])
        return "done"

    def chart_contents(self) -> Any:
        """What stands in the charts of `charts`, as the bucket has them."""
        s3 = self.s3()
        listed = s3.list_objects_v2(Bucket="charts-of-mine")["Contents"]
        return {
            one["Key"].rpartition("/")[2]: json.loads(
                s3.get_object(Bucket="charts-of-mine", Key=one["Key"])["Body"].read(), parse_constant=str
            )
            for one in listed
        }
