"""Search for the best settings of a small training with Bender's own client: `python bender_example.py [HOST]`.

It needs bender-client 0.4.0 (docs/bender.md) and a server: `runstream up`. It asks for an e-mail address, which may be
any, and a password, which is a key of the server.
"""

import math
import sys

from benderclient import Bender

SPACE = [
    {"name": "lr", "category": "loguniform", "search_space": {"low": 1e-5, "high": 1.0}},
    {"name": "layers", "category": "uniform", "search_space": {"low": 1, "high": 9, "step": 1}},
    {"name": "optimizer", "category": "categorical", "search_space": {"values": ["adam", "sgd"]}},
]


def train(lr: float, layers: int, optimizer: str) -> float:
    """Return the loss of a training, which this one makes up: the best is 0.1."""
    return 0.1 + (math.log10(lr) + 3) ** 2 + 0.05 * (layers - 4) ** 2 + (0.3 if optimizer == "sgd" else 0)


def main() -> None:
    """Report thirty trials, and print the best one."""
    host = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7070/bender"
    b = Bender(host=host)
    b.create_experiment(name="example", metrics=[{"metric_name": "loss", "type": "loss"}])
    b.create_algo(name="small net", hyperparameters=SPACE)
    for _ in range(30):
        values = b.suggest(metric="loss", minimum_observations=10)
        b.create_trial(results={"loss": train(**values)}, hyperparameters=values)
    best = min(b.list_trials(), key=lambda trial: trial["results"]["loss"])
    print(f"loss {best['results']['loss']:.3f} with {best['parameters']}")


if __name__ == "__main__":
    main()
