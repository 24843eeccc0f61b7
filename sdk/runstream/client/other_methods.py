"""What scripts written for W&B call on a run: what means something here is done, the rest is told once, and none of it
raises."""

import glob
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from runstream.notices import PROCESS_NOTICES

#: Files that one call of `save` keeps.
MAX_FILES: Final = 1_000
_METRIC_OPTIONS: Final = (
    "its points have steps and times, and every summary of it is there (min, max, mean, last, ...); to draw it over "
    "something else give that as the step: log({...}, step=epoch)"
)
_WATCH: Final = "log what you need of weights and gradients with log_histogram()"


@dataclass(slots=True)
class Matches:
    """Files that a pattern means, each with the name that it is kept under, and what is told of the rest."""

    files: list[tuple[Path, str]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


def tell_of_metric(step_metric: object, options: Mapping[str, Any]) -> None:
    """Tell what options of `define_metric` have no meaning here. Every kind of summary is there without being named."""
    without = [name for name, value in {"step_metric": step_metric, **options}.items() if value and name != "summary"]
    if without:
        names = ", ".join(f"{name}=" for name in without)
        PROCESS_NOTICES.once("define_metric", f"define_metric({names}) has no meaning here: {_METRIC_OPTIONS}")


def tell_of_watching() -> None:
    """Tell that models are not watched."""
    PROCESS_NOTICES.once("watch", f"watch() has no meaning here and is left out: {_WATCH}")


def matches_of(pattern: object, base_path: object) -> Matches:
    """Find the files that `save(pattern, base_path)` means. Their names are relative to `base_path`; without one, to
    the working directory, and those of an absolute pattern to the folder before its first wildcard. Raises TypeError
    for what is no path."""
    found = Matches()
    text = os.fsdecode(pattern)  # type: ignore[arg-type]  # whatever it was called with: that raises
    base = _base_of(text) if base_path is None else Path(os.fsdecode(base_path))  # type: ignore[arg-type]
    paths = sorted(Path(path) for path in glob.iglob(os.path.expanduser(text), recursive=True))
    plain = [path for path in paths if path.is_file()]
    if not plain:
        why = "is a directory: give a pattern such as DIRECTORY/*" if paths else "matches no file now"
        found.told.append(f"{text!r} {why}")
    if len(plain) > MAX_FILES:
        found.told.append(f"{text!r} matches {len(plain)} files: the first {MAX_FILES} are kept")
    found.files = [(path, _name_of(path, base)) for path in plain[:MAX_FILES]]
    return found


def _base_of(pattern: str) -> Path:
    before = [*Path(pattern).parts]
    while before and (glob.has_magic(before[-1]) or len(before) == len(Path(pattern).parts)):
        before.pop()
    return Path(*before) if Path(pattern).is_absolute() else Path()


def _name_of(path: Path, base: Path) -> str:
    """The path relative to its base; its last part where it lies elsewhere."""
    name = os.path.relpath(path, base)
    return path.name if name.startswith(os.pardir) else name
