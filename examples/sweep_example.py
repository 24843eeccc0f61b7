"""Search for the best parameters of a small training: `python sweep_example.py [URL]`.

It needs a server: `runstream up`. Start it several times at once, on any machines, and the processes share the trials.
"""

import math
import sys

import runstream as rs

SPACE = {
    "lr": {"min": 1e-5, "max": 1.0, "scale": "log"},
    "layers": {"min": 1, "max": 8},
    "optimizer": ["adam", "sgd"],
}


def train(trial: "rs.Trial") -> None:
    """Log the loss of a training, which this one makes up: the best is 0.1."""
    lr, layers, optimizer = (trial[name] for name in SPACE)
    end = 0.1 + (math.log10(lr) + 3) ** 2 + 0.05 * (layers - 4) ** 2 + (0.3 if optimizer == "sgd" else 0)
    with trial.run(capture_console=False, capture_code=False, system_metrics_s=0) as run:
        for epoch in range(10):
            run.log({"loss": end + 1 / (epoch + 1)}, step=epoch)


def main() -> None:
    """Try until all trials of the sweep are made, and print the best one."""
    url = sys.argv[1] if len(sys.argv) > 1 else None
    sweep = rs.sweep("small net", SPACE, "loss", method="tpe", max_trials=24, seed=1, project="sweep-example", url=url)
    best = sweep.run(train)
    if best is not None:
        print(f"trial {best.number}: loss {best.value:.3f} with {dict(best.params)}")


if __name__ == "__main__":
    main()
