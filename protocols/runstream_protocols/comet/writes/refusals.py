"""Refusals in the words and numbers that Comet's client reads."""

from typing import Any, Final

from runstream_service.problems import Problem

#: What the client branches on (`sdk_error_code`).
NO_EXPERIMENT: Final = 90210
EXPERIMENT_EXISTS: Final = 90999
NAME_TOO_LONG: Final = 1341241
BAD_VERSION: Final = 42001
#: Shown to the user as it stands.
CUSTOM: Final = 7777777


def refused(detail: str, *, status: int = 400, code: int = CUSTOM, **extensions: Any) -> Problem:
    """A request that cannot be done, in the words that the client shows (`msg`) and branches on."""
    return Problem(
        status, "comet", "Comet's request cannot be done", detail, msg=detail, sdk_error_code=code, **extensions
    )


def no_experiment(key: str) -> Problem:
    return refused(
        f"no experiment has the key {key!r}: create it first, or look it up with get_experiments", code=NO_EXPERIMENT
    )
