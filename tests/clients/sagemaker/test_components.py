"""Trial components of the unmodified `sagemaker-experiments`: what was logged is what is read, by each reader."""

import asyncio
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

import runstream
from kit.clients import python_of
from kit.foreign import READING_KEY, own
from kit.ports import free_port
from kit.sagemaker.server import KEY, Server
from kit.servers.up import running_up
from runstream_infra.rebuilding import rebuild_and_compare
from runstream_infra.settings import ServerSettings

Logged = dict[str, Any]
BEGAN = 1767323045.6789
ARN = "arn:aws:sagemaker:eu-west-1:000000000000:experiment-trial-component"


#: What is there before a restart, and behind it.
KEPT = {"ExperimentName": "kept", "TrialName": "kept-trial", "TrialComponentName": "interrupted"}


def parameters_of(shown: Logged) -> Logged:
    return dict(shown["parameters"])


def test_a_component_is_there_with_what_it_was_created_with(logged: Logged) -> None:
    first = logged["components"]
    begun = first["begun"]
    assert first["arn"] == begun["trial_component_arn"] == f"{ARN}/first-component"
    assert (begun["trial_component_name"], begun["display_name"]) == ("First-Component", "the-first")
    assert begun["status"] == {"primary_status": "InProgress"}
    assert begun["creation_time"] <= begun["last_modified_time"]
    assert (begun["parameters"], begun["input_artifacts"], begun["output_artifacts"]) == ({}, {}, {})
    assert (begun["end_time"], begun["source"], begun["metrics"]) == (None, None, [])


def test_a_saved_component_has_what_was_saved(logged: Logged) -> None:
    saved = logged["components"]["saved"]
    assert saved["trial_component_name"] == "First-Component", "the name is as it was created, whatever its case"
    assert saved["status"] == {"primary_status": "Completed", "message": "all is well"}
    assert (saved["start_time"], saved["end_time"]) == (BEGAN, BEGAN + 90)
    assert parameters_of(saved) == {"lr": 0.25, "layers": 3.0, "optimizer": "adam", "gone": "soon"}
    assert saved["input_artifacts"] == {"data": {"value": "s3://bucket/data", "media_type": "text/csv"}}
    assert saved["output_artifacts"] == {"model": {"value": "s3://bucket/model"}, "gone": {"value": "x"}}


def test_what_is_left_out_stays_and_what_is_removed_goes(logged: Logged) -> None:
    ended = logged["components"]["ended"]
    assert parameters_of(ended) == {"lr": 0.5, "layers": 3.0, "optimizer": "adam"}
    assert (set(ended["input_artifacts"]), set(ended["output_artifacts"])) == ({"data"}, {"model"})
    assert (ended["display_name"], ended["status"]["primary_status"]) == ("renamed", "Completed")
    assert (ended["start_time"], ended["end_time"]) == (BEGAN, BEGAN + 90)


def test_a_tracker_keeps_what_a_program_logs(logged: Logged) -> None:
    tracked, failed = logged["tracker"]["tracked"], logged["tracker"]["failed"]
    assert re.fullmatch(r"tracked-\d{4}-\d\d-\d\d-\d{12}-\w{4}", tracked["trial_component_name"])
    assert (tracked["display_name"], tracked["status"]) == ("tracked", {"primary_status": "Completed"})
    assert parameters_of(tracked) == {"batch": 32.0, "lr": 0.1, "loss": "mse", "late": 7.0}
    assert tracked["input_artifacts"] == {"train": {"value": "s3://bucket/train", "media_type": "s3/uri"}}
    assert set(tracked["output_artifacts"]) == {"weights"}
    assert tracked["start_time"] <= tracked["end_time"]
    assert failed["status"]["primary_status"] == "Failed"
    assert "out of memory" in failed["status"]["message"]


def test_a_job_finds_the_component_that_is_named_after_it(logged: Logged) -> None:
    job = logged["in_a_job"]
    assert job["by_job"] == [job["made"]] == ["My-Job-aws-training-job"]
    assert job["loaded"]["source"] == {"source_arn": "arn:aws:sagemaker:eu-west-1:000000000000:training-job/my-job"}


def test_metrics_of_a_job_are_summed_up(server: Server, logged: Logged) -> None:
    measured = logged["metrics"]
    assert measured["errors"] == []
    accuracy, loss = measured["shown"]["metrics"]
    assert (accuracy["metric_name"], accuracy["count"], accuracy["last"]) == ("accuracy", 1, 0.5)
    assert [loss[name] for name in ("metric_name", "count", "max", "min", "last")] == ["loss", 25, 1.0, 0.04, 0.04]
    assert loss["source_arn"] == f"{ARN}/measured-aws-training-job"
    [curve] = server.api().series("measured-aws-training-job", "loss")
    assert list(curve.steps) == list(range(25))


def test_a_call_that_is_sent_again_counts_once(server: Server) -> None:
    component = {"TrialComponentName": "sent-again"}
    for _ in range(2):
        assert server.sagemaker("CreateTrialComponent", component, "first")[0] == 200
    status, told = server.sagemaker("CreateTrialComponent", component, "second")
    assert (status, told["__type"]) == (400, "ValidationException")
    points = [{"MetricName": "x", "Timestamp": 1_790_000_000, "Value": value, "Step": value} for value in range(3)]
    for call in ("third", "third", "fourth"):
        assert server.sagemaker("BatchPutMetrics", component | {"MetricData": points}, call) == (200, {"Errors": []})
    (summary,) = server.sagemaker("DescribeTrialComponent", component)[1]["Metrics"]
    assert summary["Count"] == 6
    for kind in ("Experiment", "Trial"):
        named = {"ExperimentName": "sent-again", "TrialName": "sent-again"}
        for _ in range(2):
            assert server.sagemaker(f"Create{kind}", named, "first")[0] == 200
        assert server.sagemaker(f"Create{kind}", named, "second")[1]["__type"] == "ValidationException"


def test_lists_have_every_order_filter_and_page(logged: Logged) -> None:
    lists = logged["lists"]
    names: list[str] = lists["names"]
    # Other steps created theirs before.
    assert lists["default"] == names[::-1], "the youngest first, in pages of ten"
    assert lists["ascending"] == lists["by_name"] == names
    assert lists["by_name_descending"] == names[::-1]
    assert lists["after"] == names[10:]
    assert [name for name in lists["before"] if name in names] == names[:9]


def test_nothing_is_left_out_of_a_list_whose_items_are_deleted(logged: Logged) -> None:
    assert logged["deleted_while_listed"] == []


def test_a_name_is_free_again_once_its_component_is_deleted(server: Server, logged: Logged) -> None:
    phoenix = logged["name_that_is_free_again"]
    assert phoenix["arns"] == [f"{ARN}/phoenix"] * 3
    assert (phoenix["listed"], phoenix["last"]["parameters"]) == (1, {"life-2": 2.0})
    assert phoenix["last"]["display_name"] == "Phoenix"
    deleted = server.api().run("Phoenix")
    assert deleted.deleted, "the run of the first one is restored by runstream alone"


def test_it_is_a_run_of_runstream(server: Server, logged: Logged) -> None:
    api = server.api()
    run = api.run("First-Component")
    assert (run.workspace, run.project, run.name, run.status) == ("default", "sagemaker", "renamed", "finished")
    assert run.tags == ("team=vision",)
    found = api.runs("project = 'sagemaker' and param.optimizer = 'adam' and param.lr = 0.5")
    assert [one.id for one in found] == ["First-Component"]
    assert {one.name for one in api.assets(run.id)} == {"data", "model"}
    failed = api.run(logged["tracker"]["failed"]["trial_component_name"])
    assert failed.status == "failed"


def test_a_run_of_the_sdk_is_a_component(server: Server, tmp_path: Path) -> None:
    quiet: dict[str, Any] = {"capture_console": False, "capture_code": False, "system_metrics_s": 0}
    run = runstream.init("sdk", "ours", experiment="theirs", url=server.url, api_key=KEY, dir=tmp_path, **quiet)
    for value in (3.0, 1.0, 2.0):
        run.log({"loss": value})
    run.log_params({"lr": 0.3, "deep": {"flag": True}, "long": "x" * 5_000})
    assert run.finish()
    status, shown = server.sagemaker("DescribeTrialComponent", {"TrialComponentName": run.run_id})
    assert status == 200, shown
    assert (shown["TrialComponentName"], shown["DisplayName"]) == (run.run_id, "ours")
    assert shown["Status"]["PrimaryStatus"] == "Completed"
    (loss,) = shown["Metrics"]
    assert [loss[name] for name in ("MetricName", "Min", "Max", "Last", "Avg", "Count")] == ["loss", 1, 3, 2, 2, 3]
    assert loss["StdDev"] == pytest.approx((2 / 3) ** 0.5)
    sent = shown["Parameters"] | {"new": {"StringValue": "here"}}
    assert sent["deep.flag"]["StringValue"] == "true"
    back = {"Parameters": sent, "DisplayName": "ours", "Status": {"PrimaryStatus": "Completed"}}
    assert server.sagemaker("UpdateTrialComponent", {"TrialComponentName": run.run_id} | back)[0] == 200
    kept = server.api().parameters(run.run_id)
    # What came back as it was shown is as it was logged.
    assert (kept["deep.flag"], len(kept["long"]), kept["new"]) == (True, 5_000, "here")
    assert server.api().run(run.run_id).project == "sdk"
    assert server.sagemaker("DeleteTrialComponent", {"TrialComponentName": run.run_id})[0] == 200
    assert server.api().run(run.run_id).deleted


@pytest.mark.parametrize(
    ("step", "error", "code", "status", "words"),
    [
        ("repeated", "ClientError", "ValidationException", 400, "'TAKEN' already exists"),
        ("unknown", "ResourceNotFound", "ResourceNotFound", 400, "'nobody-knows-it' does not exist"),
        ("unknown_deleted", "ResourceNotFound", "ResourceNotFound", 400, "does not exist"),
        ("bad_name", "ClientError", "ValidationException", 400, "'under_score' at 'TrialComponentName' failed"),
        ("bad_order", "ClientError", "ValidationException", 400, "'Colour' at 'SortBy' failed to satisfy constraint"),
        ("bad_size", "ClientError", "ValidationException", 400, "101 at 'MaxResults' failed to satisfy constraint"),
        ("bad_token", "ClientError", "ValidationException", 400, "'AAAA' at 'NextToken' failed to satisfy constraint"),
        ("bad_status", "ClientError", "ValidationException", 400, "'Done' at 'Status.PrimaryStatus' failed"),
        ("two_values", "ClientError", "ValidationException", 400, "give StringValue or NumberValue"),
        ("other_operation", "ClientError", "UnknownOperationException", 400, "ListTrainingJobs' is not kept here"),
        (
            "wrong_key",
            "ClientError",
            "UnrecognizedClientException",
            400,
            "Give a key of this server as AWS_ACCESS_KEY_ID",
        ),
        ("wrong_secret", "ClientError", "InvalidSignatureException", 403, "does not match the signature you provided"),
    ],
)
def test_the_client_raises_what_the_server_refuses(
    refused: Logged, step: str, error: str, code: str, status: int, words: str
) -> None:
    told = refused[step]
    assert (told["error"], told["code"], told["status"], told["retries"]) == (error, code, status, 0)
    assert words in told["message"]


def test_a_key_that_only_reads_writes_nothing(server: Server, logged: Logged) -> None:
    told = server.told("reading", "writing", "deleting", key=READING_KEY)
    assert told["reading"]["value"] == {"listed": True, "name": "renamed"}
    for step in ("writing", "deleting"):
        assert (told[step]["code"], told[step]["status"]) == ("AccessDeniedException", 403)
    assert server.sagemaker("DescribeTrialComponent", {"TrialComponentName": "First-Component"})[0] == 200


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"[1]", "the body is list: send a JSON object"),
        (b"{", "the body is no JSON"),
        (b"[" * 100_000, "more than 50000 values"),
        ({}, "'TrialComponentName' failed to satisfy constraint: Field required"),
        ({"TrialComponentName": "First-Component", "Parameters": [1]}, "'Parameters' failed"),
        ({"TrialComponentName": "First-Component", "StartTime": 1e18}, "'StartTime' failed"),
        ({"TrialComponentName": "First-Component", "StartTime": -1}, "'StartTime' failed"),
        (
            {"TrialComponentName": "First-Component", "InputArtifacts": {"x": {"Value": "v" * 2_049}}},
            "InputArtifacts.x.Value",
        ),
    ],
)
def test_wrong_requests_are_told_what_is_wrong(server: Server, logged: Logged, body: Any, words: str) -> None:
    status, told = server.sagemaker("UpdateTrialComponent", body)
    assert (status, told["__type"]) == (400, "ValidationException")
    assert words in told["message"]


def test_a_component_goes_on_behind_a_restart_and_a_rebuild_is_equal(tmp_path: Path) -> None:
    environment = own() | {"RUNSTREAM_API_KEYS": KEY}
    data, errors = tmp_path / "data", tmp_path / "server.log"
    with running_up(data, "--port", str(free_port()), environment=environment, errors=errors) as url:
        server = Server(url, python_of("sagemaker"))
        program = subprocess.Popen(
            server.command("interrupted"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=server.environment(),
        )
        assert program.stdout is not None
        assert program.stdout.readline() == "interrupted\n"
        for operation in ("CreateExperiment", "CreateTrial", "AssociateTrialComponent"):
            assert server.sagemaker(operation, KEPT)[0] == 200
    with running_up(data, "--port", url.rpartition(":")[2], environment=environment, errors=errors) as url:
        assert url == server.url
        told, _ = program.communicate("go on\n", timeout=120)
        shown = json.loads(told)["interrupted"]["value"]
        assert (shown["status"], shown["parameters"]) == ({"primary_status": "Completed"}, {"before": 1, "behind": 2})
        run = server.api().run("interrupted")
        assert (run.status, run.experiment) == ("finished", "kept")
        (listed,) = server.sagemaker("ListTrialComponents", {"TrialName": "kept-trial"})[1]["TrialComponentSummaries"]
        assert listed["TrialComponentName"] == "interrupted"
    assert asyncio.run(rebuild_and_compare(ServerSettings(data_dir=data))).equal
