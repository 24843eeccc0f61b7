"""`rs.log(...)` and its like: the methods of the run that was started last and has not ended."""

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from runstream.client.active import newest

if TYPE_CHECKING:
    from runstream.client.ending import EndStatus
    from runstream.client.run import Run


def active_run() -> "Run | None":
    """The run that was started last and has not ended; None if there is none."""
    return cast("Run | None", newest())  # nothing but runs is remembered


def log(data: Mapping[str, Any], step: int | None = None, commit: bool | None = None, sync: object = None) -> None:
    """`Run.log` of the active run. Without one: warns once and does nothing, as everything here."""
    if (run := _active("log")) is not None:
        run.log(data, step, commit, sync)


def log_params(values: Any) -> None:
    """`Run.log_params` of the active run."""
    if (run := _active("log_params")) is not None:
        run.log_params(values)


def log_other(name: str, value: Any) -> None:
    """`Run.log_other` of the active run."""
    if (run := _active("log_other")) is not None:
        run.log_other(name, value)


def log_others(values: Mapping[str, Any]) -> None:
    """`Run.log_others` of the active run."""
    if (run := _active("log_others")) is not None:
        run.log_others(values)


def log_text(name: str, text: str, *, step: int | None = None) -> str | None:
    """`Run.log_text` of the active run."""
    run = _active("log_text")
    return run.log_text(name, text, step=step) if run is not None else None


def log_asset(
    source: str | os.PathLike[str] | bytes | Any,
    name: str | None = None,
    kind: str | None = None,
    step: int | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> str | None:
    """`Run.log_asset` of the active run."""
    run = _active("log_asset")
    return run.log_asset(source, name, kind, step, metadata) if run is not None else None


def log_image(
    image: Any, name: str | None = None, *, step: int | None = None, metadata: Mapping[str, Any] | None = None
) -> str | None:
    """`Run.log_image` of the active run."""
    run = _active("log_image")
    return run.log_image(image, name, step=step, metadata=metadata) if run is not None else None


def log_figure(figure: Any, name: str | None = None, *, step: int | None = None) -> str | None:
    """`Run.log_figure` of the active run."""
    run = _active("log_figure")
    return run.log_figure(figure, name, step=step) if run is not None else None


def log_histogram(values: Any, name: str | None = None, *, step: int | None = None) -> str | None:
    """`Run.log_histogram` of the active run."""
    run = _active("log_histogram")
    return run.log_histogram(values, name, step=step) if run is not None else None


def log_table(table: Any, name: str | None = None, *, step: int | None = None) -> str | None:
    """`Run.log_table` of the active run."""
    run = _active("log_table")
    return run.log_table(table, name, step=step) if run is not None else None


def add_tags(*tags: str | Iterable[str]) -> None:
    """`Run.add_tags` of the active run."""
    if (run := _active("add_tags")) is not None:
        run.add_tags(*tags)


def remove_tags(*tags: str | Iterable[str]) -> None:
    """`Run.remove_tags` of the active run."""
    if (run := _active("remove_tags")) is not None:
        run.remove_tags(*tags)


def save(glob_str: Any = None, base_path: Any = None, policy: str = "live") -> list[str]:
    """`Run.save` of the active run."""
    run = _active("save")
    return run.save(glob_str, base_path, policy) if run is not None else []


def define_metric(name: Any = None, step_metric: Any = None, **options: Any) -> None:
    """`Run.define_metric` of the active run."""
    if (run := _active("define_metric")) is not None:
        run.define_metric(name, step_metric, **options)


def watch(*models: Any, **options: Any) -> None:
    """`Run.watch` of the active run."""
    if (run := _active("watch")) is not None:
        run.watch(*models, **options)


def unwatch(*models: Any) -> None:
    """`Run.unwatch` of the active run."""
    if (run := _active("unwatch")) is not None:
        run.unwatch(*models)


def finish(status: "EndStatus" = "finished", timeout_s: float | None = None) -> bool:
    """`Run.finish` of the active run. True without one."""
    run = active_run()
    return run.finish(status, timeout_s) if run is not None else True


def _active(what: str) -> "Run | None":
    run = active_run()
    if run is None:
        from runstream.notices import PROCESS_NOTICES

        PROCESS_NOTICES.once(what, f"{what}() without a run is left out: call runstream.init() before it")
    return run
