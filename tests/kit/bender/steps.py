"""Steps of a program that uses Bender's own client, each named: `python steps.py URL KEY STEP...`.

It runs in the client's environment, without anything of Runstream. The last line of standard output:
{step: {"value": ...}} or {step: {"error": class, "message": ...}}.
"""

import builtins
import getpass
import json
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from benderclient import Bender
from benderclient.benderclient import BenderError

THREADS, EACH = 6, 4
EMAIL = "ada.lovelace+ml@example.org"
METRICS = [{"metric_name": "loss", "type": "loss"}, {"metric_name": "accuracy", "type": "reward"}]
SPACE: list[dict[str, Any]] = [
    {"name": "lr", "category": "loguniform", "search_space": {"low": 1e-5, "high": 1.0}},
    {"name": "layers", "category": "uniform", "search_space": {"low": 1, "high": 9, "step": 2}},
    {"name": "momentum", "category": "normal", "search_space": {"mu": 0.9, "sigma": 0.1, "low": 0, "high": 1}},
    {"name": "width", "category": "lognormal", "search_space": {"mu": 64, "sigma": 2, "low": 8, "step": 8}},
    {"name": "norm", "category": "categorical", "search_space": {"values": [True, False]}},
    {
        "name": "optimizer",
        "category": "categorical",
        "search_space": {"values": ["adam", "sgd"], "probabilities": [0.9, 0.1]},
    },
    {"name": "seed", "category": "descriptive"},
]


class Steps:
    """The steps; each is a method without arguments."""

    def __init__(self, url: str, key: str) -> None:
        self.url = f"{url}/bender"
        self.prompted: list[str] = []
        self.passwords = [key]
        builtins.input = self.asked
        getpass.getpass = lambda *prompt: self.passwords.pop(0) if len(self.passwords) > 1 else self.passwords[0]

    def asked(self, prompt: object = "") -> str:
        self.prompted.append(str(prompt))
        return EMAIL

    def client(self, **where: Any) -> Any:
        return Bender(host=self.url, **where)

    def logging_in(self) -> Any:
        """The first start asks, the second reads the file; after a revocation it asks again."""
        first = self.client()
        asked = [len(self.prompted)]
        self.client()
        asked.append(len(self.prompted))
        first.revoke_credentials()
        asked.append(len(self.prompted))
        return {
            "asked": asked,
            "username": first.username,
            "pk": first.user_id,
            "experiments": first.list_experiments(),
        }

    def with_a_wrong_password(self) -> Any:
        self.passwords = ["a-wrong-key-of-some-length"]
        return self.client().username

    def with_a_forged_token(self) -> Any:
        """It is as good as none: the client asks."""
        self.client()
        path = os.path.expanduser("~/.bender_token")
        with open(path) as file:
            token = json.load(file)
        with open(path, "w") as file:
            json.dump(token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB"), file)
        before = len(self.prompted)
        self.client()
        return len(self.prompted) - before

    def everything(self) -> Any:
        """Every method, as the documentation has them."""
        b = self.client()
        b.create_experiment(
            name="digits ☃",
            metrics=METRICS,
            description="An experiment",
            dataset="digits.csv",
            dataset_parameters={"version": 0.1, "CV_folds": "10", "big": 2**53 + 1, "flags": [True, None]},
        )
        made = vars(b.get_experiment())
        b.create_experiment(name="digits ☃", metrics=METRICS)
        again = b.get_experiment().id
        b.create_algo(name="net/one", hyperparameters=SPACE, description="A net")
        algo = vars(b.get_algo())
        b.create_algo(name="net/one", hyperparameters=[])
        same = b.get_algo().id
        b.create_algo(name="empty", hyperparameters=[{"name": "x"}])
        empty = vars(b.get_algo())
        algos = b.list_algos()
        b.set_algo(name="net/one")
        trials = []
        for number in range(4):
            values = dict(b.suggest(metric="loss"), seed=number)
            b.create_trial(
                results={"loss": number / 4, "accuracy": 1 - number / 8},
                hyperparameters=values,
                weight=0.5,
                comment="a comment" if number else None,
            )
            trials.append(values)
        listed = b.list_trials()
        b.delete_trial(listed[0]["id"])
        left = b.list_trials()
        b.set_experiment(name="digits ☃")
        cleared = b.get_algo()
        b.set_experiment(experiment_id=made["id"])
        b.set_algo(algo_id=algo["id"])
        other = self.client(algo_id=algo["id"])
        return {
            "made": made,
            "again": again,
            "algo": algo,
            "same": same,
            "empty": empty,
            "algos": algos,
            "trials": trials,
            "listed": listed,
            "left": left,
            "cleared": cleared,
            "experiments": b.list_experiments(),
            "by_id": [other.algo.name, other.experiment.name],
        }

    def searching(self) -> Any:
        """Forty trials of each optimizer, and the best of them."""
        b = self.client()
        b.create_experiment(name="search/bowl", metrics=METRICS)
        best = {}
        for optimizer in ("random", "parzen_estimator", "model_based"):
            b.create_algo(name=optimizer, hyperparameters=[one for one in SPACE if one["name"] in ("lr", "layers")])
            for _ in range(24):
                values = b.suggest(metric="accuracy", optimizer=optimizer, minimum_observations=8)
                accuracy = -abs(values["layers"] - 5) - abs(values["lr"] - 0.01)
                b.create_trial(results={"loss": 0, "accuracy": accuracy}, hyperparameters=values)
            best[optimizer] = max(trial["results"]["accuracy"] for trial in b.list_trials())
        return best

    def many_at_once(self) -> Any:
        """Threads that create the same experiment and the same algo, and ask for suggestions."""
        barrier = threading.Barrier(THREADS)
        found: list[Any] = []
        failed: list[str] = []

        def work(number: int) -> None:
            try:
                found.append(suggested(self.client(), barrier))
            except Exception as error:
                failed.append(f"{number}: {error!r} {vars(error)}")

        self.client()
        threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failed:
            raise RuntimeError(failed)
        return found

    def deleting(self) -> Any:
        """What is below an experiment goes with it, and its name is free."""
        b = self.client()
        b.create_experiment(name="short", metrics=METRICS)
        experiment = b.get_experiment().id
        b.create_algo(name="a", hyperparameters=[{"name": "x"}])
        b.create_trial(results={"loss": 1, "accuracy": 2}, hyperparameters={"x": 3})
        b.create_algo(name="b", hyperparameters=[{"name": "x"}])
        b.delete_algo(b.get_algo().id)
        left = b.list_algos()
        b.delete_experiment(experiment)
        b.create_experiment(name="short", metrics=METRICS)
        b.create_algo(name="a", hyperparameters=[{"name": "x"}])
        return {
            "left": left,
            "other": b.get_experiment().id != experiment,
            "algos": len(b.list_algos()),
            "trials": b.list_trials(),
        }

    def before_the_restart(self) -> Any:
        b = self.client()
        b.create_experiment(name="patient", metrics=METRICS)
        b.create_algo(name="long", hyperparameters=[{"name": "x", "category": "uniform", "search_space": GRID}])
        return [tried(b) for _ in range(4)]

    def behind_the_restart(self) -> Any:
        b = self.client()
        b.set_experiment(name="patient")
        b.set_algo(name="long")
        new = [tried(b) for _ in range(4)]
        return {"new": new, "trials": b.list_trials()}

    def without_a_metric_of_it(self) -> Any:
        return self.ready().suggest(metric="f1")

    def with_another_optimizer(self) -> Any:
        return self.ready().suggest(metric="loss", optimizer="annealing")

    def without_a_space(self) -> Any:
        b = self.ready()
        b.set_algo(name="empty")
        return b.suggest(metric="loss")

    def with_a_missing_parameter(self) -> Any:
        return self.ready().create_trial(results={"loss": 1, "accuracy": 1}, hyperparameters={"lr": 0.1})

    def with_nan(self) -> Any:
        return self.ready().create_trial(results={"loss": float("nan"), "accuracy": 1}, hyperparameters=VALUES)

    def with_no_metrics(self) -> Any:
        return self.client().create_experiment(name="none", metrics=[])

    def with_an_empty_range(self) -> Any:
        space = [{"name": "x", "category": "uniform", "search_space": {"low": 1, "high": 1}}]
        return self.ready().create_algo(name="bad", hyperparameters=space)

    def of_an_unknown_experiment(self) -> Any:
        return self.client().set_experiment(experiment_id="0597ca48-66f7-42be-9021-12ec57d4251e")

    def deleting_an_unknown_trial(self) -> Any:
        return self.ready().delete_trial("nothing")

    def creating(self) -> Any:
        return self.client().create_experiment(name="forbidden", metrics=METRICS)

    def ready(self) -> Any:
        b = self.client()
        b.set_experiment(name="digits ☃")
        b.set_algo(name="net/one")
        return b


GRID = {"low": 0, "high": 100, "step": 1}
VALUES = {"lr": 0.1, "layers": 3, "momentum": 0.5, "width": 8, "norm": True, "optimizer": "adam", "seed": 1}


def tried(b: Any) -> Any:
    """Ask for values and report them."""
    values = b.suggest(metric="loss")
    b.create_trial(results={"loss": values["x"], "accuracy": 0}, hyperparameters=values)
    return values["x"]


def suggested(b: Any, barrier: threading.Barrier) -> Any:
    """Ask for values, all threads at once. Whoever comes second to a name finds it."""
    barrier.wait()
    shared(lambda: b.create_experiment(name="crowd", metrics=METRICS))
    barrier.wait()
    space = [{"name": "x", "category": "uniform", "search_space": {"low": 0, "high": THREADS * EACH, "step": 1}}]
    shared(lambda: b.create_algo(name="rush", hyperparameters=space))
    barrier.wait()
    values = [shared(lambda: b.suggest(metric="loss"))["x"] for _ in range(EACH)]
    return {"experiment": b.get_experiment().id, "algo": b.get_algo().id, "values": values}


def shared(call: Callable[[], Any]) -> Any:
    """Call it again where another was first with the name, whose thing is taken then, and while a cluster lags."""
    while True:
        try:
            return call()
        except BenderError as error:
            if not any(word in str(error) for word in ("already", "problem:not-visible", "problem:busy")):
                raise


def told(step: Callable[[], Any]) -> dict[str, Any]:
    """Return what came of a step."""
    try:
        return {"value": step()}
    except Exception as error:
        return {"error": type(error).__name__, "message": str(error)}


def main() -> None:
    """Run the steps that are named, in their order."""
    url, key, *names = sys.argv[1:]
    steps = Steps(url, key)
    print(json.dumps({name: told(getattr(steps, name)) for name in names}))


if __name__ == "__main__":
    main()
