"""A server that SageMaker Experiments' client is pointed at, and what the client's steps say of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.foreign import ForeignServer

#: The folder that the client's environment imports the steps from.
ROOT = Path(__file__).parents[2]
#: One with the characters that a signature has to quote.
KEY = "k/k+" * 8
HERE = ("components", "tracker", "in_a_job", "metrics", "lists", "deleted_while_listed", "name_that_is_free_again")
EXPERIMENTS = ("experiments", "lists_of_experiments", "trials", "all_deleted", "disassociated", "at_once")
EXPERIMENTS_REFUSED = (
    "taken_experiment",
    "taken_trial",
    "trial_of_nothing",
    "unknown_experiment",
    "unknown_trial",
    "trials_of_nothing",
    "unknown_component_added",
    "component_removed_twice",
    "experiment_with_trials_deleted",
    "trial_with_components_deleted",
    "component_in_a_trial_deleted",
    "bad_experiment_token",
)
SEARCHES = ("found", "tags")
SEARCHES_REFUSED = (
    "search_by_nothing",
    "search_in_no_order",
    "search_with_a_bad_token",
    "tag_of_a_trial",
    "tags_of_nothing",
)
REFUSED = (
    "repeated",
    "unknown",
    "unknown_deleted",
    "bad_name",
    "bad_order",
    "bad_size",
    "bad_token",
    "bad_status",
    "two_values",
    "other_operation",
    "wrong_key",
    "wrong_secret",
)


@dataclass(frozen=True)
class Server(ForeignServer):
    """A server, the client's Python, and a key that may do all."""

    key: str = KEY

    def command(self, *steps: str, key: str | None = None) -> list[str]:
        """Return the command that runs steps of the client."""
        return [str(self.python), "-m", "kit.sagemaker.program", self.url, key or self.key, *steps]

    def environment(self, home: Path | None = None) -> dict[str, str]:
        """Return the environment that the client runs in, where it finds its steps."""
        return super().environment(home) | {"PYTHONPATH": str(ROOT)}

    def sagemaker(self, operation: str, body: Any, call: str = "") -> tuple[int, Any]:
        """Return the status and the JSON of a request that shows its key without a signature. `call`: what its
        repetitions have too."""
        headers = {"Authorization": f"Bearer {self.key}", "X-Amz-Target": f"SageMaker.{operation}"}
        if call:
            headers["amz-sdk-invocation-id"] = call
        path, method = ("/BatchPutMetrics", "PUT") if operation == "BatchPutMetrics" else ("", "POST")
        return self.requested(f"sagemaker{path}", headers, method, body)
