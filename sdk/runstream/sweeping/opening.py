"""`sweep`: what a program calls to search for the best parameters."""

import os
from collections.abc import Mapping
from typing import Any, Literal

from runstream.errors import Invalid
from runstream.sweeping.requests import TrialServer
from runstream.sweeping.stopping import ASHA, MedianRule
from runstream.sweeping.sweep import Sweep


def sweep(
    name: str,
    space: Mapping[str, Any] | None = None,
    metric: str | None = None,
    *,
    goal: Literal["minimize", "maximize"] | None = None,
    method: Literal["grid", "random", "tpe", "bayes"] | None = None,
    max_trials: int | None = None,
    early_stop: ASHA | MedianRule | Mapping[str, Any] | None = None,
    seed: int | None = None,
    startup_trials: int | None = None,
    retries: int | None = None,
    project: str | None = None,
    workspace: str | None = None,
    url: str | None = None,
    api_key: str | None = None,
    dir: str | os.PathLike[str] | None = None,
    timeout_s: float = 60.0,
) -> Sweep:
    """Open the sweep of this name in a project, or create it, and return it: `for trial in sweep: ...`.

    space: what to try of each parameter: a list of values, `{"min": 1, "max": 8}` (whole numbers), `{"min": 1e-5,
      "max": 1.0, "scale": "log"}`, `{"mean": 0.0, "std": 1.0}`; docs/sweeps.md has all. metric: the one that counts, by
      its last value. goal: `minimize` (default) or `maximize`.
    method: `grid` tries all, `random` (default) draws, `tpe` estimates where the good ones are (`bayes` is the same)
      after `startup_trials` (10) draws.
    max_trials: how many trials there are at most, over all processes; a finite space needs none. early_stop: by which
      rule `Trial.should_stop` tells trials to end: `ASHA(...)` or `MedianRule(...)`. seed: another one,
      other values. retries: how often a trial is given again whose run died (1).
    project, workspace, url, api_key, dir: settings, as of `init`. timeout_s: how long to wait for the server.

    A sweep that is there goes on where it was, whoever opens it. Give its name alone, or all as it was created: what
    differs raises Invalid. Raises InvalidSetting, Invalid, Unavailable.
    """
    from runstream.settings import load_settings

    settings = load_settings(project=project, workspace=workspace, url=url, api_key=api_key, dir=dir).values
    key = settings.api_key.get_secret_value() if settings.api_key is not None else None
    given = {
        "space": None if space is None else dict(space),
        "metric": metric,
        "goal": goal,
        "method": method,
        "max_trials": max_trials,
        "early_stop": early_stop.written() if isinstance(early_stop, ASHA | MedianRule) else early_stop,
        "seed": seed,
        "startup_trials": startup_trials,
        "retries": retries,
    }
    config = {member: value for member, value in given.items() if value is not None} or None
    if space is None and config is not None:
        member, value = next(iter(config.items()))
        raise Invalid(
            f"{member} = {value!r:.100} of sweep needs a space: give all as it was created, or the name alone"
        )
    server = TrialServer(settings.url, key, timeout_s)
    spool = None if dir is None else os.fspath(dir)
    return open_sweep(server, settings.workspace, settings.project, name, config, spool)


def open_sweep(
    server: TrialServer,
    workspace: str,
    project: str,
    name: str,
    config: Mapping[str, Any] | None = None,
    spool: str | None = None,
) -> Sweep:
    """Open the sweep of this name, or create it by its config (the members of `POST /api/v1/sweeps`). Raises Invalid,
    Unavailable."""
    about = {"workspace": workspace, "project": project, "name": name}
    told = server.post("", {**about, "config": _plain(config)})
    return Sweep(name, workspace, project, told["config"], told["limit"], told["size"], server, spool)


def _plain(value: Any) -> Any:
    """Lists for tuples and ranges, numbers for what has `item` (numpy). Raises Invalid for what JSON cannot hold."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | range):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise Invalid(f"{value} in a sweep cannot be used: give finite numbers")
        return value
    if callable(getattr(value, "item", None)):
        return _plain(value.item())
    raise Invalid(f"{value!r:.100} in a sweep cannot be used: give texts, numbers, truth values, lists or dicts")
