"""One training run of the demo, in a process of its own: what anyone's training script looks like."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

import runstream as rs
from runstream_infra.demo.trials import PROJECT, VALIDATE_EVERY_STEPS, WORKSPACE, Trial

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
CLASSES = np.arange(10)


class Diverged(Exception):
    """The weights are no numbers any more; training cannot go on."""


class Counters(Protocol):
    """Shared memory that the demo reads meanwhile: cell 2 n is the n-th trial's steps, 2 n + 1 its points."""

    def __setitem__(self, cell: int, value: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Digits:
    """Images scaled to [0, 1], shapes [n, 64] and [n]; a quarter is held back for validation."""

    train_x: F64
    train_y: I64
    val_x: F64
    val_y: I64

    @classmethod
    def load(cls) -> "Digits":
        """The data that scikit-learn ships; nothing is downloaded."""
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        images, labels = load_digits(return_X_y=True)
        train_x, val_x, train_y, val_y = train_test_split(
            images / 16.0, labels, test_size=0.25, random_state=0, stratify=labels
        )
        return cls(train_x, train_y, val_x, val_y)


def train(trial: Trial, experiment: str, number: int, counters: Counters, log: Path) -> None:
    """Train one model and log it. Server and spool come from the environment, as they would on any training node.
    What the process prints goes to `log`."""
    with log.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    digits = Digits.load()
    try:
        with rs.init(
            workspace=WORKSPACE,
            project=PROJECT,
            experiment=experiment,
            name=trial.name,
            config=trial.config(),
            tags=["demo", trial.activation],
        ) as run:
            model = fit(trial, digits, run, number, counters)
            log_results(run, model, digits)
    except Diverged as error:
        # `with` has marked the run as failed, with this message. It is part of the demo and no reason to stop.
        print(f"{trial.name}: {error}")


def fit(trial: Trial, digits: Digits, run: rs.Run, number: int, counters: Counters) -> Any:
    """Mini-batch training. Raises Diverged after the step whose loss is NaN has been logged."""
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(
        (trial.width,),
        activation=trial.activation,
        solver="sgd",
        learning_rate_init=trial.learning_rate,
        momentum=trial.momentum,
        random_state=trial.seed,
    )
    random = np.random.default_rng(trial.seed)
    weights, points = np.zeros(0), 0
    for step in range(trial.steps):
        batch = random.integers(0, len(digits.train_y), trial.batch_size)
        images, labels = digits.train_x[batch], digits.train_y[batch]
        reason = partial_fit(model, images, labels)
        before, weights = weights, flat_weights(model)
        values = {
            "train/loss": model.loss_,
            "train/accuracy": accuracy(model, images, labels),
            "weights/norm": norm(weights),
            "update/norm": norm(weights - before) if len(before) else 0.0,
        }
        if step % VALIDATE_EVERY_STEPS == 0 or step == trial.steps - 1:
            values |= validation(model, digits)
        run.log(values, step=step)
        points += len(values)
        counters[2 * number], counters[2 * number + 1] = step + 1, points
        if reason:
            raise Diverged(f"training diverged at step {step}: {reason}")
    return model


def partial_fit(model: Any, images: F64, labels: I64) -> str:
    """One step. Returns why the model cannot be trained any further, or nothing."""
    try:
        with np.errstate(all="ignore"):  # a diverging model overflows; its NaN is logged like any other value
            model.partial_fit(images, labels, classes=CLASSES)
    except ValueError as error:
        return str(error).partition(".")[0]
    return ""


def flat_weights(model: Any) -> F64:
    """All weights of the model, shape [parameters]."""
    return np.concatenate([part.ravel() for part in (*model.coefs_, *model.intercepts_)])


def norm(values: F64) -> float:
    """The Euclidean norm; infinite or NaN for the weights of a diverging model."""
    with np.errstate(all="ignore"):
        return float(np.sqrt(np.square(values).sum()))


def scores(model: Any, images: F64) -> F64:
    """Outputs before the softmax, shape [n, 10]. A step through scikit-learn's own checks costs as much as training."""
    with np.errstate(all="ignore"):
        hidden = images @ model.coefs_[0] + model.intercepts_[0]
        if model.activation == "relu":
            hidden = np.maximum(hidden, 0.0)
        outputs: F64 = hidden @ model.coefs_[1] + model.intercepts_[1]
        return outputs


def accuracy(model: Any, images: F64, labels: I64) -> float:
    return float(np.mean(scores(model, images).argmax(axis=1) == labels))


def validation(model: Any, digits: Digits) -> dict[str, float]:
    """Mean cross-entropy and accuracy on what was held back."""
    outputs = scores(model, digits.val_x)
    with np.errstate(all="ignore"):
        shifted = outputs - outputs.max(axis=1, keepdims=True)
        losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(digits.val_y)), digits.val_y]
    right = outputs.argmax(axis=1) == digits.val_y
    return {"val/loss": float(losses.mean()), "val/accuracy": float(right.mean())}


def log_results(run: rs.Run, model: Any, digits: Digits) -> None:
    """An image, a text, a file of the model, and one value that is no metric."""
    import joblib  # type: ignore[import-untyped]
    from sklearn.metrics import classification_report, confusion_matrix

    predicted = model.predict(digits.val_x)
    with tempfile.TemporaryDirectory() as folder:
        image, file = Path(folder) / "confusion.png", Path(folder) / "model.joblib"
        draw_confusion(confusion_matrix(digits.val_y, predicted), image)
        joblib.dump(model, file)
        run.log_asset(image)
        run.log_asset(file)
    run.log_text("report.txt", classification_report(digits.val_y, predicted))
    run.log_other("parameters", int(flat_weights(model).size))


def draw_confusion(matrix: npt.NDArray[np.int64], path: Path) -> None:
    """What was taken for what, as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.5, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="predicted", ylabel="digit", xticks=CLASSES, yticks=CLASSES)
    axes.imshow(matrix, cmap="Blues")
    for row, column in np.ndindex(matrix.shape):
        if matrix[row, column]:
            dark = matrix[row, column] > matrix.max() / 2
            axes.text(column, row, str(matrix[row, column]), ha="center", va="center", color="w" if dark else "k")
    figure.savefig(path, dpi=110)
