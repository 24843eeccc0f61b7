"""Steps of a program that uses ML Aide's own client, each named: `python steps.py URL KEY STEP...`.

It runs in the client's environment, without anything of Runstream. On standard output: {step: {"value": ...}} or
{step: {"error": class, "code": ..., "message": ...}}. A run becomes a mapping of its fields.
"""

import json
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from enum import Enum
from typing import Any

import httpx
from mlaide import ConnectionOptions, MLAideClient
from mlaide.error import MLAideError, ServerError

THREADS = 8
#: Its 5 s, which it has no setting for, are short on a machine that is busy with other tests.
for _name in vars(httpx._config.DEFAULT_TIMEOUT_CONFIG):
    setattr(httpx._config.DEFAULT_TIMEOUT_CONFIG, _name, 60.0)


def plain(value: Any) -> Any:
    """Return a value of the client as JSON."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if hasattr(value, "start_time"):
        return {name: plain(item) for name, item in vars(value).items()}
    return value


class Steps:
    """The steps; each is a method without arguments."""

    def __init__(self, url: str, key: str) -> None:
        self.url, self.key = f"{url}/mlaide/api/v1", key or None

    def client(self, project: str = "vision") -> MLAideClient:
        return MLAideClient(project, ConnectionOptions(server_url=self.url, api_key=self.key))

    def everything(self) -> Any:
        """Every method of a run that logs, in an experiment that is not there yet."""
        run = started(self.client(), "resnet", "first ☃")
        # The client gives its own mappings away, into which it goes on logging.
        begun = json.loads(json.dumps(plain(run.run)))
        for step in range(10):
            run.log_metric("loss", 1 / (step + 1))
        run.log_metric("big", 2**40)
        run.log_metric("flag", True)
        run.log_metric("matrix", [[1, 0], [0, 1]])
        run.log_metric("not a number", float("nan"))
        run.log_metric("infinite", float("inf"))
        run.log_metric("text", "0.5")
        run.log_metric("best/of all ☃", 0.1)
        run.log_parameter("lr", 0.1)
        run.log_parameter("lr", 0.2)
        run.log_parameter("optimizer", "adam")
        run.log_parameter("layers", 3)
        run.log_parameter("shuffle", False)
        run.log_parameter("seed", None)
        run.log_parameter("big", 2**53 + 1)
        run.set_completed_status()
        return {"begun": begun, "ended": plain(run.run)}

    def failing(self) -> Any:
        run = self.client().start_new_run("resnet", "second")
        run.log_metric("loss", 3)
        return plain(run.set_failed_status())

    def unnamed(self) -> Any:
        """No experiment and no name."""
        return plain(self.client().start_new_run().run)

    def elsewhere(self) -> Any:
        """In a workspace of its own."""
        run = self.client("team:speech").start_new_run("asr", "talk")
        run.log_metric("wer", 0.25)
        return plain(run.run)

    def without_experiment(self) -> Any:
        return self.client().start_new_run("nowhere", auto_create_experiment=False)

    def in_one_that_is_there(self) -> Any:
        return plain(self.client().start_new_run("resnet", auto_create_experiment=False).run)

    def in_a_bad_project(self) -> Any:
        return self.client("x" * 500).start_new_run("e")

    def in_a_bad_experiment(self) -> Any:
        return self.client().start_new_run(" e ", auto_create_experiment=False)

    def without_key(self) -> Any:
        return MLAideClient("vision", ConnectionOptions(server_url=self.url)).start_new_run("resnet")

    def with_a_wrong_key(self) -> Any:
        options = ConnectionOptions(server_url=self.url, api_key="a-wrong-key-of-some-length")
        return MLAideClient("vision", options).start_new_run("resnet")

    def many_at_once(self) -> Any:
        """Threads that all begin in an experiment that none of them finds."""
        runs: list[Any] = []
        failed: list[str] = []
        barrier = threading.Barrier(THREADS)

        def begin(number: int) -> None:
            try:
                log(number)
            except Exception as error:
                failed.append(f"{number}: {error!r} {vars(error)}")

        def log(number: int) -> None:
            client = self.client("crowd")
            barrier.wait()
            run = started(client, "rush", f"run {number}")
            for value in range(5):
                run.log_metric("x", value + number / 10)
            run.set_completed_status()
            runs.append(run.run)

        threads = [threading.Thread(target=begin, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failed:
            raise RuntimeError(failed)
        return sorted(({"key": run.key, "name": run.name} for run in runs), key=lambda run: run["name"])

    def interrupted(self) -> Any:
        """Log a half, say so, wait for a line on standard input, and log the other half."""
        run = self.client("patient").start_new_run("long", "interrupted")
        for value in range(5):
            run.log_metric("x", value)
        run.log_parameter("before", 1)
        print(run.run.key, flush=True)
        sys.stdin.readline()
        for value in range(5, 10):
            run.log_metric("x", value)
        run.log_parameter("behind", 2)
        run.set_completed_status()
        return run.run.key


def started(client: MLAideClient, experiment: str, name: str | None) -> Any:
    """Start a run, again and again while a cluster lags behind."""
    while True:
        try:
            return client.start_new_run(experiment, name)
        except ServerError as error:
            if error.http_error.code != 503:
                raise


def told(step: Callable[[], Any]) -> dict[str, Any]:
    """Return what came of a step."""
    try:
        return {"value": step()}
    except MLAideError as error:
        shown = error.http_error
        return {"error": type(error).__name__, "code": shown.code, "message": shown.message}


def main(kind: type[Steps] = Steps) -> None:
    """Run the steps that are named, in their order."""
    url, key, *names = sys.argv[1:]
    steps = kind(url, key)
    print(json.dumps({name: told(getattr(steps, name)) for name in names}))


if __name__ == "__main__":
    main()
