"""What the demo trains: a small sweep. Pure."""

from dataclasses import asdict, dataclass
from typing import Any, Final

LEARNING_RATES: Final = (0.003, 0.03, 0.3)
WIDTHS: Final = (16, 64)
#: With linear hidden units nothing saturates, so that this rate makes the weights grow without end: the loss passes
#: 1e300 after about 130 steps and becomes NaN.
DIVERGING_RATE: Final = 3.0
VALIDATE_EVERY_STEPS: Final = 50
#: Metrics of every step, and of every VALIDATE_EVERY_STEPS-th.
STEP_METRICS: Final = ("train/loss", "train/accuracy", "weights/norm", "update/norm")
VALIDATION_METRICS: Final = ("val/loss", "val/accuracy")


#: The workspace and the project of the runs.
WORKSPACE: Final = "default"
PROJECT: Final = "digits"


@dataclass(frozen=True, slots=True)
class Trial:
    """One run: a multi-layer perceptron on scikit-learn's digits (1,797 images of 8 x 8 pixels)."""

    name: str
    learning_rate: float
    width: int
    steps: int
    activation: str = "relu"
    momentum: float = 0.9
    batch_size: int = 32
    seed: int = 0

    def config(self) -> dict[str, Any]:
        """The run's parameters."""
        config = asdict(self)
        del config["name"]
        return {**config, "model": "sklearn.MLPClassifier", "data": "sklearn.digits"}


def sweep(steps: int) -> tuple[Trial, ...]:
    """Every learning rate with every width, and one that diverges. The long ones come first."""
    grid = [Trial(f"mlp-w{width}-lr{rate:g}", rate, width, steps) for width in WIDTHS for rate in LEARNING_RATES]
    diverging = Trial(f"linear-lr{DIVERGING_RATE:g}", DIVERGING_RATE, WIDTHS[-1], steps, activation="identity")
    return (*grid, diverging)
