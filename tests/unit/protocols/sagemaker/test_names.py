"""Names of SageMaker stand for runs of Runstream, both ways."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstream.events.names import RUN_ID
from runstream_protocols.sagemaker.names import (
    COMPONENT,
    NAME,
    arn_of,
    component_of_job,
    component_of_run,
    job_of_component,
    name_in,
    pattern_of_runs,
    run_anew,
)

names = st.from_regex(NAME.replace("$", r"\Z"), fullmatch=True)


@given(names, st.binary(min_size=2, max_size=2))
def test_every_name_can_be_a_run_again_and_again(name: str, drawn: bytes) -> None:
    anew = run_anew(name, drawn)
    assert RUN_ID.match(name)
    assert RUN_ID.match(anew)
    assert component_of_run(name) == component_of_run(anew) == name
    for run in (name, anew, anew.upper().replace(anew.upper()[len(name) :], anew[len(name) :])):
        assert re.search(pattern_of_runs(name.lower()), run)


@pytest.mark.parametrize("run", ["a.1", "a.1234567", "best.of.all", "0" * 32, "x.abcdefg", "a.b.0000000"])
def test_a_run_of_another_client_is_called_as_its_id(run: str) -> None:
    assert component_of_run(run) == run


def test_a_dot_in_an_id_is_a_dot() -> None:
    assert re.search(pattern_of_runs("a.b"), "A.B")
    assert not re.search(pattern_of_runs("a.b"), "axb")


@given(names)
def test_an_arn_names_a_thing_in_small_letters(name: str) -> None:
    arn = arn_of(COMPONENT, name, "eu-west-1")
    assert name_in(arn, COMPONENT) == name.lower()
    assert name_in(name, COMPONENT) == name
    assert name_in(arn, "experiment") == arn


def test_a_job_and_its_component_tell_each_other() -> None:
    arn = "arn:aws:sagemaker:us-east-1:123456789012:training-job/My-Job"
    assert component_of_job(arn) == "My-Job-aws-training-job"
    assert job_of_component("My-Job-aws-training-job", "us-east-1") == arn_of("training-job", "my-job", "us-east-1")
    assert job_of_component("-aws-training-job", "us-east-1") is None
    assert job_of_component("My-Job", "us-east-1") is None
    assert component_of_job("arn:aws:s3:::bucket") is None
    assert component_of_job("arn:aws:sagemaker:us-east-1:123456789012:endpoint/x") is None
