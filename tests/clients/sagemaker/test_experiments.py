"""Experiments and trials of the unmodified `sagemaker-experiments`."""

from typing import Any

import pytest

from kit.sagemaker.server import EXPERIMENTS, EXPERIMENTS_REFUSED, Server
from kit.waiting import wait_until

Logged = dict[str, Any]
ARN = "arn:aws:sagemaker:eu-west-1:000000000000"


@pytest.fixture(scope="module")
def kept(server: Server) -> Logged:
    """What came of the steps of experiments and trials."""
    return {name: one["value"] for name, one in server.told(*EXPERIMENTS).items()}


@pytest.fixture(scope="module")
def refused(server: Server) -> Logged:
    """What came of the steps that the server refuses."""
    return server.told(*EXPERIMENTS_REFUSED)


def test_an_experiment_is_there_with_what_it_was_created_with(kept: Logged) -> None:
    begun = kept["experiments"]["begun"]
    assert begun["experiment_arn"] == f"{ARN}:experiment/automl"
    assert [begun[name] for name in ("experiment_name", "display_name", "description")] == [
        "AutoML",
        "AutoML",
        "the first",
    ]
    assert begun["creation_time"] <= begun["last_modified_time"]


def test_a_saved_experiment_has_what_was_saved(kept: Logged) -> None:
    begun, saved, cleared = (kept["experiments"][name] for name in ("begun", "saved", "cleared"))
    assert [saved[name] for name in ("experiment_name", "display_name", "description")] == [
        "AutoML",
        "shown so",
        "changed",
    ]
    assert saved["creation_time"] == begun["creation_time"]
    assert begun["last_modified_time"] < saved["last_modified_time"] < cleared["last_modified_time"]
    assert (cleared["description"], cleared["display_name"]) == (None, "shown so"), "an empty description clears it"


def test_lists_of_experiments_have_every_order_filter_and_page(kept: Logged) -> None:
    lists = kept["lists_of_experiments"]
    names: list[str] = lists["names"]
    assert lists["default"] == names[::-1]
    assert lists["by_name"] == lists["ascending"] == names
    assert (lists["after"], lists["before"]) == (names[7:], names[:6])


def test_trials_have_components_and_components_have_trials(server: Server, kept: Logged) -> None:
    trials = kept["trials"]
    described, generated, tracked = trials["described"], trials["generated"], trials["tracked"]
    assert described["trial_arn"] == f"{ARN}:experiment-trial/random-forest"
    assert [described[name] for name in ("trial_name", "display_name", "experiment_name")] == [
        "Random-Forest",
        "renamed",
        "Forests",
    ]
    assert trials["of_experiment"] == ["Random-Forest", generated]
    assert trials["of_component"] == sorted(["Random-Forest", generated])
    assert trials["in_first"] == trials["in_experiment"] == sorted(["in-two-trials", tracked])
    assert trials["in_second"] == ["in-two-trials"]
    assert (trials["removed"], trials["left"]) == ([], ["Random-Forest"])


def test_a_run_of_a_trial_is_in_its_experiment_for_every_reader(server: Server, kept: Logged) -> None:
    api = server.api()
    run = api.run("in-two-trials")
    assert (run.project, run.experiment, run.tags) == ("sagemaker", "Forests", ("trial:random-forest",))
    found = {one.id for one in api.runs("experiment = 'Forests' and tag = 'trial:random-forest'")}
    assert found == {"in-two-trials", kept["trials"]["tracked"]}


def test_what_is_deleted_with_all_of_it_is_gone(kept: Logged) -> None:
    assert kept["all_deleted"] == []
    assert kept["disassociated"] == 0


def test_of_one_name_there_is_one_whatever_its_case(kept: Logged) -> None:
    codes = kept["at_once"]
    for made in ("create_experiment", "create_trial", "create_trial_component"):
        assert codes.count(f"{made}: made") == 1
        assert codes.count(f"{made}: ValidationException") == 7


def test_an_experiment_of_the_sdk_is_one_of_the_client(server: Server) -> None:
    api = server.api()
    api.create_experiment("made elsewhere", "sagemaker", description="by the SDK")
    wait_until(lambda: any(one.experiment == "made elsewhere" for one in api.experiments(project="sagemaker")))
    status, shown = server.sagemaker("DescribeExperiment", {"ExperimentName": "Made Elsewhere"})
    assert (status, shown["ExperimentName"], shown["Description"]) == (200, "made elsewhere", "by the SDK")
    changed = {"ExperimentName": "made elsewhere", "DisplayName": "shown"}
    assert server.sagemaker("UpdateExperiment", changed)[0] == 200
    assert server.sagemaker("DescribeExperiment", changed)[1]["DisplayName"] == "shown"
    assert server.sagemaker("CreateExperiment", {"ExperimentName": "x"})[0] == 200
    assert server.sagemaker("DeleteExperiment", {"ExperimentName": "made elsewhere"})[0] == 200
    assert server.sagemaker("DescribeExperiment", changed)[1]["__type"] == "ResourceNotFound"


@pytest.mark.parametrize(
    ("step", "code", "words"),
    [
        ("taken_experiment", "ValidationException", "Experiment 'OCCUPIED' already exists"),
        ("taken_trial", "ValidationException", "Trial 'OCCUPIED-TRIAL' already exists"),
        ("trial_of_nothing", "ResourceNotFound", "Experiment 'no-experiment' does not exist"),
        ("unknown_experiment", "ResourceNotFound", "Experiment 'no-experiment' does not exist"),
        ("unknown_trial", "ResourceNotFound", "Trial 'no-trial' does not exist"),
        ("trials_of_nothing", "ResourceNotFound", "Experiment 'no-experiment' does not exist"),
        ("unknown_component_added", "ResourceNotFound", "Trial component 'no-component' does not exist"),
        ("component_removed_twice", "ResourceNotFound", "is not associated with trial 'Occupied-Trial'"),
        ("experiment_with_trials_deleted", "ValidationException", "has 1 trials: delete them first"),
        ("trial_with_components_deleted", "ValidationException", "has 1 trial components: disassociate them first"),
        ("component_in_a_trial_deleted", "ValidationException", "is in the trials occupied-trial: disassociate"),
        ("bad_experiment_token", "ValidationException", "'AAAA' at 'NextToken' failed to satisfy constraint"),
    ],
)
def test_the_client_raises_what_the_server_refuses(refused: Logged, step: str, code: str, words: str) -> None:
    told = refused[step]
    assert (told["code"], told["status"], told["retries"]) == (code, 400, 0)
    assert words in told["message"]


@pytest.mark.parametrize("sort_by", ["Name", "CreationTime"])
def test_a_token_of_another_order_is_refused(server: Server, kept: Logged, sort_by: str) -> None:
    page = {"SortBy": "Name" if sort_by == "CreationTime" else "CreationTime", "MaxResults": 1}
    token = server.sagemaker("ListExperiments", page)[1]["NextToken"]
    status, told = server.sagemaker("ListExperiments", {"SortBy": sort_by, "NextToken": token})
    assert (status, told["__type"]) == (400, "ValidationException")
