"""A server that SageMaker Experiments' client is pointed at, and what the client's steps say of it."""

import json
import os
import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runstream.api import API

#: The folder that the client's environment imports the steps from.
ROOT = Path(__file__).parents[2]
KEY, READING_KEY = "k/k+" * 8, "r" * 32
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
class Server:
    """A server, the client's Python, and a key that may do all."""

    url: str
    python: Path
    key: str = KEY

    def command(self, *steps: str, key: str | None = None) -> list[str]:
        """Return the command that runs steps of the client."""
        return [str(self.python), "-m", "kit.sagemaker.program", self.url, key or self.key, *steps]

    def told(self, *steps: str, key: str | None = None) -> dict[str, Any]:
        """Return what came of the steps, each in the client's words."""
        done = subprocess.run(
            self.command(*steps, key=key), capture_output=True, text=True, env=of_client(), timeout=240, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def asked(self, operation: str, body: Any, call: str = "") -> tuple[int, Any]:
        """Return the status and the JSON of a request that shows its key without a signature. `call`: what its
        repetitions have too."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Authorization": f"Bearer {self.key}", "X-Amz-Target": f"SageMaker.{operation}"}
        if call:
            sent["amz-sdk-invocation-id"] = call
        path, method = ("/BatchPutMetrics", "PUT") if operation == "BatchPutMetrics" else ("", "POST")
        request = urllib.request.Request(f"{self.url}/sagemaker{path}", data, sent, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def api(self) -> API:
        """Return Runstream's own client."""
        return API(url=self.url, api_key=self.key)


def own() -> dict[str, str]:
    """The environment without what says how Runstream and the client are to be run here."""
    foreign = ("RUNSTREAM_", "AWS_", "SAGEMAKER_", "TRAINING_JOB_")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


def of_client() -> dict[str, str]:
    """The same for programs of the client, which find their steps here."""
    return own() | {"PYTHONPATH": str(ROOT)}
