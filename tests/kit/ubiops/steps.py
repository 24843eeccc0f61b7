"""Steps of a program that uses UbiOps' own client, each named: `python steps.py URL KEY STEP...`.

It runs in the client's environment, without anything of Runstream. On the last line of standard output:
{step: {"value": ...}} or {step: {"error": class, "status": ..., "body": ...}}.
"""

import json
import os
import sys
import tempfile
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

import ubiops
from ubiops.exceptions import ApiException

PROJECT = "roads"
DEPLOYMENT = "training-base-deployment"
THREADS = 6


def plain(value: Any) -> Any:
    """Return a value of the client as JSON."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return plain(value.to_dict()) if hasattr(value, "to_dict") else value


def error_of(action: Callable[..., Any], *arguments: Any) -> Any:
    """Return how the client says that an action failed; its value if it did not."""
    try:
        return {"value": plain(action(*arguments))}
    except ApiException as error:
        return {"error": type(error).__name__, "status": error.status, "body": str(error.body or error.reason)}
    except ValueError as error:  # of the client's own models, before anything is sent
        return {"error": type(error).__name__, "status": 0, "body": str(error)}


def variable(name: str, value: str, *, secret: bool = False) -> Any:
    return ubiops.EnvironmentVariableCreate(name=name, value=value, secret=secret)


class Steps:
    """The steps; each is a method without arguments."""

    def __init__(self, url: str, key: str) -> None:
        self.url, self.key = url, key

    def training(self, address: str = "/ubiops/v2.1", key: str | None = None) -> Any:
        configuration = ubiops.Configuration(host=self.url + address)
        if key != "":
            configuration.api_key["Authorization"] = f"Token {key or self.key}"
        return ubiops.Training(ubiops.ApiClient(configuration))

    def creating(self) -> Any:
        """The two examples of the page."""
        training = self.training()
        whole = ubiops.ExperimentCreate(
            name="resnet",
            instance_type="4096mb",
            description="A training experiment",
            environment="python3-8",
            default_bucket="default",
            labels={"type": "pytorch"},
        )
        first = training.experiments_create(project_name=PROJECT, data=whole)
        second = training.experiments_create(PROJECT, ubiops.ExperimentCreate(name="plain", environment="python3-8"))
        return plain([first, second])

    def creating_again(self) -> Any:
        """Threads that all create one name, and once more when it is there."""
        data = [ubiops.ExperimentCreate(name="contested", environment="python3-12") for _ in range(THREADS)]
        barrier, results = threading.Barrier(THREADS), list[Any]()

        def create(one: Any) -> None:
            training = self.training()
            barrier.wait()
            results.append(error_of(training.experiments_create, PROJECT, one))

        threads = [threading.Thread(target=create, args=(one,)) for one in data]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        again = ubiops.ExperimentCreate(name="resnet", environment="python3-8")
        return [*results, error_of(self.training().experiments_create, PROJECT, again)]

    def creating_badly(self) -> Any:
        """What the server or the client refuses."""
        training = self.training()

        def created(name: str, environment: str = "python3-8", **others: Any) -> Any:
            def create() -> Any:
                data = ubiops.ExperimentCreate(name=name, environment=environment, **others)
                return training.experiments_create(PROJECT, data)

            return error_of(create)

        return {
            "environment": created("e", "python1"),
            "bucket": created("e", default_bucket="nowhere"),
            "name": created("n" * 65),
            "description": created("e", description="d" * 401),
            "labels": created("e", labels={"a" * 201: "b"}),
        }

    def getting(self) -> Any:
        training = self.training()
        missing = error_of(training.experiments_get, PROJECT, "missing")
        return {"found": plain(training.experiments_get(PROJECT, "resnet")), "missing": missing}

    def listing(self) -> Any:
        training = self.training()
        labelled = training.experiments_list(PROJECT, labels="type:pytorch")
        return {
            "all": plain(training.experiments_list(project_name=PROJECT)),
            "labelled": plain(labelled),
            "none": plain(training.experiments_list(PROJECT, labels="type:other")),
        }

    def updating(self) -> Any:
        training = self.training()
        self.core().buckets_create(PROJECT, ubiops.BucketCreate(name="other"))
        changes = ubiops.ExperimentUpdate(
            environment="python3-9",
            description="My new description",
            instance_type="8192mb",
            default_bucket="other",
            labels={"type": "tensorflow", "stage": "test"},
        )
        updated = training.experiments_update(PROJECT, "resnet", changes)
        return {"updated": plain(updated), "got": plain(training.experiments_get(PROJECT, "resnet"))}

    def variables(self) -> Any:
        """A variable from its creation to its end."""
        training, e = self.training(), "plain"

        def create(name: str) -> Any:
            return training.experiment_environment_variables_create(PROJECT, e, variable(name, "x"))

        made = training.experiment_environment_variables_create(PROJECT, e, variable("color", "red"))
        empty = training.experiment_environment_variables_create(PROJECT, e, variable("EMPTY", ""))
        got = training.experiment_environment_variables_get(PROJECT, e, made.id)
        new = variable("color", "blue \u2603")
        updated = training.experiment_environment_variables_update(PROJECT, e, made.id, new)
        listed = training.experiment_environment_variables_list(PROJECT, e)
        renamed = training.experiment_environment_variables_update(PROJECT, e, made.id, variable("colour", "blue"))
        training.experiment_environment_variables_delete(PROJECT, e, renamed.id)
        training.experiment_environment_variables_delete(PROJECT, e, empty.id)
        return {
            "made": plain(made),
            "got": plain(got),
            "updated": plain(updated),
            "listed": plain(listed),
            "renamed": plain(renamed),
            "left": plain(training.experiment_environment_variables_list(PROJECT, e)),
            "gone": error_of(training.experiment_environment_variables_get, PROJECT, e, renamed.id),
            "bad": [error_of(create, name) for name in ("_x", "x_", "a-b", "a1", "a b", "x" * 65)],
        }

    def secrets(self) -> Any:
        """Secret ones, of the experiment and of the project."""
        training, e = self.training(), "resnet"
        made = training.experiment_environment_variables_create(
            PROJECT, e, variable("PASSWORD", "hunter2-own", secret=True)
        )
        taken = error_of(training.experiment_environment_variables_create, PROJECT, e, variable("PASSWORD", "twice"))
        got = training.experiment_environment_variables_get(PROJECT, e, made.id)
        new = variable("PASSWORD", "hunter2-new", secret=True)
        updated = training.experiment_environment_variables_update(PROJECT, e, made.id, new)
        open_again = error_of(
            training.experiment_environment_variables_update, PROJECT, e, made.id, variable("PASSWORD", "seen")
        )
        later = training.experiment_environment_variables_create(PROJECT, e, variable("TOKEN", "not yet"))
        hidden = variable("TOKEN", "hunter2-token", secret=True)
        hidden = training.experiment_environment_variables_update(PROJECT, e, later.id, hidden)
        return {
            "made": plain(made),
            "taken": taken,
            "got": plain(got),
            "updated": plain(updated),
            "open_again": open_again,
            "hidden": plain(hidden),
            "listed": plain(training.experiment_environment_variables_list(PROJECT, e)),
        }

    def inheriting(self) -> Any:
        """Variables of the project, one of which the experiment shadows."""
        training, core, e = self.training(), self.core(), "plain"
        region = core.project_environment_variables_create(PROJECT, variable("REGION", "eu"))
        core.project_environment_variables_create(PROJECT, variable("DATABASE", "hunter2-project", secret=True))
        before = training.experiment_environment_variables_list(PROJECT, e)
        training.experiment_environment_variables_create(PROJECT, e, variable("REGION", "us"))
        return {
            "before": plain(before),
            "after": plain(training.experiment_environment_variables_list(PROJECT, e)),
            "by_id": error_of(training.experiment_environment_variables_get, PROJECT, e, region.id),
            "project": plain(core.project_environment_variables_list(PROJECT)),
        }

    def copying(self) -> Any:
        """The variables of `resnet`, secret ones too, to `plain`."""
        source = ubiops.EnvironmentVariableCopy(source_deployment=DEPLOYMENT, source_version="resnet")
        self.core().deployment_version_environment_variables_copy(PROJECT, DEPLOYMENT, "plain", source)
        return plain(self.training().experiment_environment_variables_list(PROJECT, "plain"))

    def creating_third(self) -> Any:
        data = ubiops.ExperimentCreate(name="third", environment="python3-8")
        return plain(self.training().experiments_create(PROJECT, data))

    def copying_to_third(self) -> Any:
        source = ubiops.EnvironmentVariableCopy(source_deployment=DEPLOYMENT, source_version="plainer")
        self.core().deployment_version_environment_variables_copy(PROJECT, DEPLOYMENT, "third", source)
        return plain(self.training().experiment_environment_variables_list(PROJECT, "third"))

    def renaming(self) -> Any:
        training = self.training()
        renamed = training.experiments_update(PROJECT, "plain", ubiops.ExperimentUpdate(name="plainer"))
        return {
            "renamed": plain(renamed),
            "variables": plain(training.experiment_environment_variables_list(PROJECT, "plainer")),
            "gone": error_of(training.experiments_get, PROJECT, "plain"),
            "taken": error_of(training.experiments_update, PROJECT, "plainer", ubiops.ExperimentUpdate(name="resnet")),
        }

    def deleting(self) -> Any:
        training = self.training()
        data = ubiops.ExperimentCreate(name="brief", environment="python3-8", default_bucket="default")
        training.experiments_create(PROJECT, data)
        training.experiments_delete(PROJECT, "brief")
        gone = error_of(training.experiments_get, PROJECT, "brief")
        again = training.experiments_create(PROJECT, ubiops.ExperimentCreate(name="brief", environment="python3-8"))
        return {
            "gone": gone,
            "again": plain(again),
            "variables": plain(training.experiment_environment_variables_list(PROJECT, "brief")),
            "missing": error_of(training.experiments_delete, PROJECT, "missing"),
        }

    def initializing(self) -> Any:
        self.training().initialize(project_name="fresh")
        return plain(self.training().experiments_list("fresh"))

    def old_address(self) -> Any:
        """The address without a version, to which the client appends v2; and a version that is not there."""
        found = self.training("/ubiops").experiments_get(PROJECT, "resnet")
        return {"name": found.name, "wrong": error_of(lambda: self.training("/ubiops/v3").experiments_list(PROJECT))}

    def without_key(self) -> Any:
        return error_of(lambda: self.training(key="").experiments_list(PROJECT))

    def running(self) -> Any:
        """Runs with a file, a folder and a file that is there as their code; all with every reader's filters."""
        training, e = self.training(), "resnet"
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            os.makedirs("package")
            for name in ("train.py", "package/train.py"):
                with open(name, "w") as file:
                    file.write("def train(training_data, parameters, context):\n    return {}\n")
            with open("empty.csv", "w"):
                pass
            data = ubiops.ExperimentRunCreate(
                name="first",
                description="With everything",
                training_code="./train.py",
                training_data="empty.csv",
                parameters={"nr_epochs": 15, "lr": 0.1, "layers": [3, {"a": None}]},
            )
            first = training.experiment_runs_create(PROJECT, e, data, timeout=56)
            second = training.experiment_runs_create(
                PROJECT, e, ubiops.ExperimentRunCreate(name="second", training_code="package")
            )
        detail = training.experiment_runs_get(PROJECT, e, first.id)
        code = detail.request_data["training_code"]
        third = training.experiment_runs_create(
            PROJECT, e, ubiops.ExperimentRunCreate(name="third", training_code=code)
        )
        missing = ubiops.ExperimentRunCreate(name="x", training_code="ubiops-file://default/nothing.py")
        too_long = ubiops.ExperimentRunCreate(name="x", training_code=code)
        return {
            "made": plain([first, second, third]),
            "detail": plain(detail),
            "missing": error_of(training.experiment_runs_create, PROJECT, e, missing),
            "timeout": error_of(lambda: training.experiment_runs_create(PROJECT, e, too_long, timeout=172_801)),
        }

    def cancelling(self) -> Any:
        training, e = self.training(), "resnet"
        listed = training.experiment_runs_list(PROJECT, e)
        newest = listed[0].id
        training.experiment_runs_update(PROJECT, e, newest, ubiops.ExperimentRunUpdate(status="cancelled"))
        training.experiment_runs_update(PROJECT, e, newest, ubiops.ExperimentRunUpdate(status="cancelled"))
        completed = ubiops.ExperimentRunUpdate(status="completed")
        deleted = listed[1].id
        training.experiment_runs_delete(PROJECT, e, deleted)
        return {
            "listed": plain(listed),
            "cancelled": plain(training.experiment_runs_get(PROJECT, e, newest)),
            "wrong": error_of(training.experiment_runs_update, PROJECT, e, listed[2].id, completed),
            "gone": error_of(training.experiment_runs_get, PROJECT, e, deleted),
            "elsewhere": error_of(training.experiment_runs_get, PROJECT, "plain", newest),
            "pending": plain(training.experiment_runs_list(PROJECT, e, status="pending")),
            "one": plain(training.experiment_runs_list(PROJECT, e, limit=1, offset=1)),
            "found": plain(training.experiment_runs_list(PROJECT, e, search_id=newest[:12])),
            "later": plain(training.experiment_runs_list(PROJECT, e, start_date="2100-01-01T00:00:00Z")),
            "before": plain(training.experiment_runs_list(PROJECT, e, end_date="2100-01-01T00:00:00Z")),
        }

    def files(self) -> Any:
        """A file there and back, replaced, listed and deleted, by the client's own functions."""
        client, core, name = self.training().api_client, self.core(), "models/best \u2603 %.bin"
        with tempfile.TemporaryDirectory() as folder:
            source, back = os.path.join(folder, "source"), os.path.join(folder, "back")
            sizes = []
            for content in (b"first", os.urandom(300_000), b""):
                with open(source, "wb") as file:
                    file.write(content)
                uri = ubiops.utils.upload_file(client, PROJECT, source, file_name=name, _progress_bar=False)
                ubiops.utils.download_file(client, PROJECT, "default", name, output_path=back, _progress_bar=False)
                with open(back, "rb") as file:
                    assert file.read() == content
                os.remove(back)
                sizes.append(core.files_get(PROJECT, "default", name).size)
        listed = core.files_list(PROJECT, "default", prefix="models/")
        bucket = self.training().experiments_get(PROJECT, "resnet").default_bucket
        every = core.files_list(PROJECT, bucket, prefix="experiments/", limit=1)
        more = core.files_list(PROJECT, bucket, limit=1, continuation_token=every.continuation_token)
        core.files_delete(PROJECT, "default", name)
        return {
            "uri": uri,
            "sizes": sizes,
            "listed": plain(listed),
            "pages": [plain(every), plain(more)],
            "gone": error_of(core.files_get, PROJECT, "default", name),
            "nowhere": error_of(core.files_get, PROJECT, "nowhere", name),
        }

    def core(self) -> Any:
        return self.training().core_api


def main() -> None:
    """Run the steps that are named, in their order."""
    url, key, *names = sys.argv[1:]
    steps = Steps(url, key)
    print("\n" + json.dumps({name: error_of(getattr(steps, name)) for name in names}))


if __name__ == "__main__":
    main()
