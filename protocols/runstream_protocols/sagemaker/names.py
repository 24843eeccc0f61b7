"""SageMaker's names and ours. Pure.

A trial component is a run, and its name is the run's id. Names are unique whatever their case, and free again once
their component is deleted; ids are neither. So the component that takes the name of a deleted run has an id that is
made of the name, and that no other run has: `NAME.xxxyyyy`, whose `yyyy` is a sum over all before it.
"""

import hashlib
import re
from typing import Final

#: Where things stand that this client creates: at AWS there is one account, without projects.
WORKSPACE: Final = "default"
PROJECT: Final = "sagemaker"
ACCOUNT: Final = "000000000000"
#: Of requests that are not signed.
DEFAULT_REGION: Final = "us-east-1"
#: What a name may be that the client gives. Names of runs that others began may be longer, and have dots.
NAME: Final = r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,119}$"

_ARN: Final = re.compile(r"arn:aws[a-z\-]*:sagemaker:[a-z0-9\-]*:\d{12}:([a-z\-]+)/(.+)\Z", re.DOTALL)
_DRAWN_DIGITS: Final = 3
_SUM_DIGITS: Final = 4
_MADE_ID: Final = re.compile(rf"(.+)\.([0-9a-f]{{{_DRAWN_DIGITS}}})([0-9a-f]{{{_SUM_DIGITS}}})\Z")
#: Kinds of things, as ARNs name them.
EXPERIMENT, TRIAL, COMPONENT = "experiment", "experiment-trial", "experiment-trial-component"
ARTIFACT: Final = "artifact"
#: What AWS calls the component that it makes of a job, and the kind of the job.
_JOBS: Final = {
    "-aws-training-job": "training-job",
    "-aws-processing-job": "processing-job",
    "-aws-transform-job": "transform-job",
}


def arn_of(kind: str, name: str, region: str) -> str:
    """Return the ARN of a thing of ours, by its kind and name."""
    return f"arn:aws:sagemaker:{region}:{ACCOUNT}:{kind}/{name.lower()}"


def name_in(name_or_arn: str, kind: str) -> str:
    """Return the name of a thing, of which the name or the ARN is given. An ARN of another kind is no name of any."""
    found = _ARN.match(name_or_arn)
    return found[2] if found is not None and found[1] == kind else name_or_arn


def kind_of_arn(arn: str) -> str | None:
    """Return the kind of the thing that an ARN names; None if it is none."""
    found = _ARN.match(arn)
    return None if found is None else found[1]


def component_of_run(run: str) -> str:
    """Return the name of the component that a run is."""
    made = _MADE_ID.match(run)
    return made[1] if made is not None and _sum(made[1], made[2]) == made[3] else run


def run_anew(component: str, drawn: bytes) -> str:
    """Return the id of a run of a component whose name was a run's id before, made of random bytes."""
    digits = drawn.hex()[:_DRAWN_DIGITS]
    return f"{component}.{digits}{_sum(component, digits)}"


def pattern_of_runs(component: str) -> str:
    """Return a regular expression for ids of runs of which some have the component's name, in any case."""
    tail = _DRAWN_DIGITS + _SUM_DIGITS
    return rf"(?i)^{re.escape(component)}(\.[0-9a-f]{{{tail}}})?$"


def component_of_job(arn: str) -> str | None:
    """Return the name of the component of a job, by the job's ARN; None if it is of no job."""
    found = _ARN.match(arn)
    if found is None:
        return None
    return next((f"{found[2]}{suffix}" for suffix, kind in _JOBS.items() if kind == found[1]), None)


def job_of_component(component: str, region: str) -> str | None:
    """Return the ARN of the job that a component is of, as its name tells; None if it is of none."""
    for suffix, kind in _JOBS.items():
        if component.endswith(suffix) and len(component) > len(suffix):
            return arn_of(kind, component.removesuffix(suffix), region)
    return None


def _sum(component: str, drawn: str) -> str:
    return hashlib.sha256(f"{component}.{drawn}".encode()).hexdigest()[:_SUM_DIGITS]
