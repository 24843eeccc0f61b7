"""What `log()` is given beside numbers: pictures, figures, histograms, tables and texts become files of the run."""

from collections.abc import Callable
from typing import Any, Final, Protocol

from runstream.client.content.histograms import is_histogram
from runstream.client.content.tables import is_table

#: Files that `log` makes of the values of one writer: a loop that logs a label with each step shall fill no disk.
MAX_FILES: Final = 10_000
_CHANNELS: Final = (1, 3, 4)


class KeepsFiles(Protocol):
    """A run, as far as what is logged needs it."""

    def log_text(self, name: str, text: str, *, step: int | None = None) -> object: ...
    def log_image(self, image: Any, name: str | None = None, *, step: int | None = None) -> object: ...
    def log_figure(self, figure: Any, name: str | None = None, *, step: int | None = None) -> object: ...
    def log_table(self, table: Any, name: str | None = None, *, step: int | None = None) -> object: ...
    def log_histogram(self, values: Any, name: str | None = None, *, step: int | None = None) -> object: ...


_Keep = Callable[[KeepsFiles, str, Any, int], object]


class LoggedContent:
    """Takes the values of `log()` that are no numbers. The spool's writer asks it."""

    def __init__(self, run: KeepsFiles) -> None:
        self._run = run
        self._kept = 0

    def takes(self, value: object) -> bool:
        """Return whether `value` can be kept as a file, and there are not too many yet. Never raises."""
        return self._kept < MAX_FILES and _way_or_none(value) is not None

    def keep(self, name: str, value: Any, step: int) -> None:
        """Keep `value`. Never raises: what cannot be kept is told."""
        keep = _way_or_none(value)
        if keep is _keep_images:
            value = value[: MAX_FILES - self._kept]
        if keep is not None:
            self._kept += len(value) if keep is _keep_images else 1
            keep(self._run, name, value, step)


def _way_or_none(value: object) -> _Keep | None:
    try:
        return _way_of(value)
    except Exception:  # an object whose attributes raise
        return None


def _way_of(value: object) -> _Keep | None:
    if isinstance(value, str):
        return None if _is_number(value) else _keep_text
    if is_figure(value):
        return _keep_figure
    if _is_picture(value):
        return _keep_image
    if is_table(value):
        return _keep_table
    if is_histogram(value):
        return _keep_histogram
    if isinstance(value, list | tuple) and value and all(_is_picture(one) for one in value):
        return _keep_images
    return None


def is_figure(value: object) -> bool:
    """Return whether `value` is a figure: of plotly, or of matplotlib (axes too)."""
    return is_plotly(value) or callable(getattr(value, "savefig", None)) or callable(getattr(value, "get_figure", None))


def is_plotly(value: object) -> bool:
    """Return whether `value` is a figure of plotly."""
    return type(value).__module__.partition(".")[0] == "plotly" and hasattr(value, "to_json")


def _is_picture(value: object) -> bool:
    """An image of PIL, or of W&B around one, or an array of bytes in the shape of a picture."""
    if callable(getattr(value, "save", None)) and hasattr(value, "mode"):
        return True
    if _wrapped(value) is not value:
        return True
    shape = getattr(value, "shape", None)
    if shape is None or not str(getattr(value, "dtype", "")).endswith("uint8"):
        return False
    return len(shape) == 2 or (len(shape) == 3 and (shape[2] in _CHANNELS or shape[0] in _CHANNELS))


def _wrapped(value: object) -> object:
    """The image inside of one of W&B's."""
    if type(value).__module__.partition(".")[0] != "wandb":
        return value
    image = getattr(value, "image", None)
    return value if image is None else image


def _is_number(text: str) -> bool:
    """Whether a text was meant as a number: then it is told, and no file is made of it."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _keep_text(run: KeepsFiles, name: str, value: Any, step: int) -> None:
    run.log_text(name, value, step=step)


def _keep_figure(run: KeepsFiles, name: str, value: Any, step: int) -> None:
    run.log_figure(value, name, step=step)


def _keep_image(run: KeepsFiles, name: str, value: Any, step: int) -> None:
    run.log_image(_wrapped(value), name, step=step)


def _keep_images(run: KeepsFiles, name: str, value: Any, step: int) -> None:
    for one in value:
        _keep_image(run, name, one, step)


def _keep_table(run: KeepsFiles, name: str, value: Any, step: int) -> None:
    run.log_table(value, name, step=step)


def _keep_histogram(run: KeepsFiles, name: str, value: Any, step: int) -> None:
    run.log_histogram(value, name, step=step)
