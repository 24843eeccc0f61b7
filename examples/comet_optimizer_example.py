"""Search for the best settings of a small training with Comet's own client: `python comet_optimizer_example.py`.

Needs `pip install comet_ml`, a server (`runstream up`), and where it is:

    export COMET_URL_OVERRIDE=http://127.0.0.1:7070/clientlib/ COMET_API_KEY=KEY COMET_WORKSPACE=default
"""

import math

import comet_ml

CONFIG = {
    "algorithm": "bayes",
    "spec": {"metric": "loss", "objective": "minimize", "maxCombo": 6, "seed": 1},
    "parameters": {
        "lr": {"type": "float", "scalingType": "loguniform", "min": 1e-5, "max": 1.0},
        "layers": {"type": "integer", "min": 1, "max": 8},
        "optimizer": ["adam", "sgd"],
    },
}


def train(lr: float, layers: int, optimizer: str) -> float:
    """Return the loss of a training, which this one makes up: the best is 0.1."""
    return 0.1 + (math.log10(lr) + 3) ** 2 + 0.05 * (layers - 4) ** 2 + (0.3 if optimizer == "sgd" else 0)


def main() -> None:
    """Run one experiment for each set of values, and print what the best one had."""
    search = comet_ml.Optimizer(CONFIG, verbose=0)
    found = []
    for experiment in search.get_experiments(project_name="search", display_summary_level=0):
        values = {name: experiment.get_parameter(name) for name in CONFIG["parameters"]}
        loss = train(**values)
        experiment.log_metric("loss", loss)
        experiment.end()
        found.append((loss, values))
    loss, values = min(found, key=lambda one: one[0])
    print(f"{search.status()['status']}: {len(found)} experiments, lowest loss {loss:.3f} with {values}")


if __name__ == "__main__":
    main()
