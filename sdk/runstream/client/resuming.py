"""Whether a run is there already, and how far it is: asked of the server, looked up in the spool."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

from runstream.deletion import WAY_BACK
from runstream.errors import Invalid, RunDeleted, RunExists, RunMissing, Unavailable
from runstream.events.protocol import PROBLEM_TYPE
from runstream.json_requests import refusal, request_json
from runstream.settings import SettingValues
from runstream.spool.format import SpoolCorrupt, WriterInfo
from runstream.spool.steps import highest_step

_TIMEOUT_S: Final = 5.0
#: For a run that is started whether the server answers or not.
_DELETED_TIMEOUT_S: Final = 2.0
#: A run with its writers: 300 bytes each, of 5,000.
_MAX_RUN_BYTES: Final = 2_000_000
_STEPS: Final = 2**63
_CHOICES: Final = ("allow", "must", "never")


def check_resume(resume: str | None, run_id: str | None) -> None:
    """Raises Invalid for a `resume` that means nothing."""
    if resume is not None and resume not in _CHOICES:
        raise Invalid(f"resume = {resume!r} of init cannot be used: give 'allow', 'must', 'never' or None")
    if resume == "must" and run_id is None:
        raise Invalid("resume = 'must' of init needs to know the run: give its run_id")


@dataclass(frozen=True, slots=True)
class Found:
    """A run that is there. `last_step`: the highest step of its metrics, as far as is known. `deleted`: somebody
    deleted it, so that no list shows it."""

    last_step: int | None = None
    deleted: bool = False


def existing(resume: str | None, run_id: str | None, settings: SettingValues) -> Found | None:
    """Return what is known of `run_id` where it is there and goes on, else None. May ask the server. Raises RunMissing,
    RunDeleted, RunExists, Unavailable."""
    if run_id is None:
        return None
    if resume is None:
        _refuse_deleted(run_id, settings)
        return None
    spooled = in_spool(settings.dir, run_id)
    served, trouble, is_known = None, "the mode is offline and the spool does not have it", False
    if settings.mode == "online":
        try:
            served, is_known = on_server(settings.url, _key(settings), run_id), True
        except Unavailable as error:
            trouble = str(error)
    found = _merged(spooled, served)
    if found is None and not is_known and resume != "allow":
        raise Unavailable(f"whether run {run_id} is there cannot be told, as resume = {resume!r} asks: {trouble}")
    if resume == "must" and found is None:
        raise RunMissing(f"run {run_id} is not there, as resume = 'must' asks: check the id, or use resume='allow'")
    if resume != "never" and served is not None and served.deleted:
        raise _deleted(run_id)
    if resume == "never" and found is not None:
        raise RunExists(f"run {run_id} is there already, against resume = 'never': give another run_id, or none")
    return found


def _refuse_deleted(run_id: str, settings: SettingValues) -> None:
    """Raises RunDeleted where the server says soon that somebody deleted the run; whatever else it says, or does not
    say, is no obstacle to a run that need not be there."""
    if settings.mode != "online":
        return
    try:
        found = on_server(settings.url, _key(settings), run_id, _DELETED_TIMEOUT_S)
    except Unavailable:
        return
    if found is not None and found.deleted:
        raise _deleted(run_id)


def _deleted(run_id: str) -> RunDeleted:
    return RunDeleted(
        f"run {run_id} was deleted, so nobody would see what it logs: {WAY_BACK.format(run_id)}, or give another run_id"
    )


def _key(settings: SettingValues) -> str | None:
    return settings.api_key.get_secret_value() if settings.api_key is not None else None


def _merged(*founds: Found | None) -> Found | None:
    there = [found for found in founds if found is not None]
    steps = [found.last_step for found in there if found.last_step is not None]
    return Found(max(steps, default=None)) if there else None


def in_spool(spool: Path, run_id: str) -> Found | None:
    """Return what the folders of the run's writers tell that are still in the spool; None if there are none."""
    found: Found | None = None
    for path in (spool / "writers").glob("*/writer.json"):
        try:
            if WriterInfo.read(path.parent).run_id == run_id:
                found = _merged(found, Found(highest_step(path.parent)))
        except (OSError, SpoolCorrupt):
            continue
    return found


def on_server(
    url: str,
    api_key: str | None,
    run_id: str,
    timeout_s: float = _TIMEOUT_S,
    parameters: Mapping[str, str] | None = None,
) -> Found | None:
    """Return what the server has of the run; None if it has none. `parameters`: of the request. Blocks for some
    `timeout_s` at most. Raises Unavailable, also where something else answers than a Runstream server: neither its yes
    nor its no counts."""
    path = f"/api/v1/runs/{quote(run_id, safe='')}"
    if parameters:
        path += f"?{urlencode(parameters)}"
    status, fields = request_json(url, api_key, path, timeout_s, _MAX_RUN_BYTES)
    run = fields.get("run")
    if status == 200 and isinstance(run, dict) and run.get("run") == run_id:
        last_step = fields.get("last_step")
        is_step = type(last_step) is int and -_STEPS <= last_step < _STEPS
        return Found(last_step if is_step else None, run.get("deleted") is True)
    if status == 404 and str(fields.get("type", "")).startswith(PROBLEM_TYPE):
        return None
    raise refusal(url, status, fields)
