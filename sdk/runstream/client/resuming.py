"""Whether a run is there already: asked of the server, looked up in the spool."""

import json
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from runstream.connections import FAILURES, fetch, first_words, readable, unused_proxy
from runstream.errors import Invalid, RunExists, RunMissing, Unavailable
from runstream.events.protocol import PROBLEM_TYPE, PROTOCOL_HEADER, is_ours
from runstream.settings import SettingValues
from runstream.spool.format import SpoolCorrupt, WriterInfo

_TIMEOUT_S: Final = 5.0
#: A run with its writers: 300 bytes each, of 5,000.
_MAX_RUN_BYTES: Final = 2_000_000
_CHOICES: Final = ("allow", "must", "never")


def check_resume(resume: str | None, run_id: str | None) -> None:
    """Raises Invalid for a `resume` that means nothing."""
    if resume is not None and resume not in _CHOICES:
        raise Invalid(f"resume = {resume!r} of init cannot be used: give 'allow', 'must', 'never' or None")
    if resume == "must" and run_id is None:
        raise Invalid("resume = 'must' of init needs to know the run: give its run_id")


def is_resumed(resume: str | None, run_id: str | None, settings: SettingValues) -> bool:
    """Whether `run_id` is there and goes on. May ask the server. Raises RunMissing, RunExists, Unavailable."""
    if resume is None or run_id is None:
        return False
    exists = True if in_spool(settings.dir, run_id) else None
    trouble = "the mode is offline and the spool does not have it"
    if exists is None and settings.mode == "online":
        try:
            key = settings.api_key.get_secret_value() if settings.api_key is not None else None
            exists = on_server(settings.url, key, run_id)
        except Unavailable as error:
            trouble = str(error)
    if exists is None and resume != "allow":
        raise Unavailable(f"whether run {run_id} is there cannot be told, as resume = {resume!r} asks: {trouble}")
    if resume == "must" and not exists:
        raise RunMissing(f"run {run_id} is not there, as resume = 'must' asks: check the id, or use resume='allow'")
    if resume == "never" and exists:
        raise RunExists(f"run {run_id} is there already, against resume = 'never': give another run_id, or none")
    return bool(exists)


def in_spool(spool: Path, run_id: str) -> bool:
    """Whether a writer of the run still has its folder in the spool."""
    for path in (spool / "writers").glob("*/writer.json"):
        try:
            if WriterInfo.read(path.parent).run_id == run_id:
                return True
        except (OSError, SpoolCorrupt):
            continue
    return False


def on_server(url: str, api_key: str | None, run_id: str) -> bool:
    """Whether the server has the run. Blocks for some _TIMEOUT_S at most. Raises Unavailable, also where something else
    answers than a Runstream server: neither its yes nor its no counts."""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    path = f"/api/v1/runs/{quote(run_id, safe='')}"
    try:
        response, body = fetch(url, path, headers, _TIMEOUT_S, _MAX_RUN_BYTES)
    except FAILURES as error:
        said = readable(str(error)) or type(error).__name__
        raise Unavailable(f"{url} cannot be asked ({said}{unused_proxy(urlsplit(url))})") from None
    fields = _object(body)
    if is_ours(response.headers.get(PROTOCOL_HEADER.lower())):
        run = fields.get("run")
        if response.status == 200 and isinstance(run, dict) and run.get("run") == run_id:
            return True
        if response.status == 404 and str(fields.get("type", "")).startswith(PROBLEM_TYPE):
            return False
        raise Unavailable(f"{url} answered {response.status} {readable(str(fields.get('detail', '')), 200)}".strip())
    location = response.headers.get("location")
    told = f"redirects to {readable(location, 120)}" if location else f"answers {first_words(body)!r}"
    raise Unavailable(f"{url} {told} (HTTP {response.status}): no Runstream server answers there")


def _object(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}
