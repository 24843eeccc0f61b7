"""Errors as Comet's client reads them: it shows `msg` and branches on `sdk_error_code`."""

from typing import Any, Final

from runstream_protocols.kit.errors import Refused
from runstream_service.problems import Problem

#: What the client branches on.
NO_EXPERIMENT: Final = 90210
EXPERIMENT_EXISTS: Final = 90999
NAME_TOO_LONG: Final = 1341241
BAD_VERSION: Final = 42001
NO_ARTIFACT: Final = 624523
ARTIFACT_NOT_FINAL: Final = 90403
#: Shown to the user as it stands.
CUSTOM: Final = 7777777


def refused(detail: str, *, status: int = 400, code: int = CUSTOM, **extensions: Any) -> Problem:
    """Return a request that cannot be done, in the words that the client shows and with the number it branches on."""
    return Problem(
        status, "comet", "Comet's request cannot be done", detail, msg=detail, sdk_error_code=code, **extensions
    )


def no_experiment(key: str) -> Problem:
    """Return the refusal of a request about an experiment that is not there."""
    return refused(
        f"no experiment has the key {key!r}: create it first, or look it up with get_experiments", code=NO_EXPERIMENT
    )


def no_artifact(artifact_id: str) -> Problem:
    """Return the refusal of a request about an artifact that is not there."""
    return refused(f"no artifact has the id {artifact_id[:80]!r}: see get_artifact_list", code=NO_ARTIFACT)


def no_artifact_named(name: str, workspace: str) -> Problem:
    """Return the same for a request that names it."""
    return refused(f"there is no artifact {name[:140]!r} in {workspace[:140]}: see get_artifact_list", code=NO_ARTIFACT)


def no_version(artifact: str, meant: str | None) -> Problem:
    """Return the refusal of a request about a version that the artifact does not have: by text or alias, or any."""
    what = f"version {meant[:80]!r}" if meant else "version"
    return refused(f"artifact {artifact!r} has no {what}: see get_artifact_details", code=NO_ARTIFACT)


def as_client_reads(problem: Problem) -> Problem:
    """Return the problem with what the client reads of one."""
    if isinstance(problem, Refused):
        return refused(problem.detail, status=problem.status, **problem.extensions)
    problem.extensions = {"msg": problem.detail, **problem.extensions}
    return problem
