"""The trial of a program that `runstream sweep agent` started."""

import json
import os
from collections.abc import Mapping
from typing import Any, Final

from runstream.errors import Invalid
from runstream.settings import origin_of
from runstream.sweeping.requests import TrialServer
from runstream.sweeping.sweep import Sweep, Trial, TrialState

#: The trial as JSON. The key stands in a variable of its own, where every program looks for it.
VARIABLE: Final = "RUNSTREAM_TRIAL"
_MEMBERS: Final = ("name", "workspace", "project", "limit", "size", "dir")


def environment_of(trial: Trial) -> dict[str, str]:
    """Return the variables that a program is started with for a trial."""
    sweep = trial.sweep
    written = {
        **{name: getattr(sweep, name) for name in _MEMBERS},
        "config": dict(sweep.config),
        "url": sweep.server.url,
        "timeout_s": sweep.server.timeout_s,
        "trial": {"number": trial.number, "parameters": trial.params, "run": trial.run_id, "attempt": trial.attempt},
    }
    found = {VARIABLE: json.dumps(written), "RUNSTREAM_URL": sweep.server.url}
    return found if sweep.server.api_key is None else {**found, "RUNSTREAM_API_KEY": sweep.server.api_key}


def current_trial(environment: Mapping[str, str] = os.environ) -> Trial | None:
    """Return the trial that `runstream sweep agent` started this program for; None: it was started in another way.
    Raises Invalid for what no agent writes there."""
    text = environment.get(VARIABLE)
    if not text:
        return None
    try:
        written: dict[str, Any] = json.loads(text)
        url, given = written["url"], written["trial"]
        # A key is for the server that it was given for.
        is_same = origin_of(environment.get("RUNSTREAM_URL") or url) == origin_of(url)
        server = TrialServer(url, environment.get("RUNSTREAM_API_KEY") if is_same else None, written["timeout_s"])
        sweep = Sweep(**{name: written[name] for name in _MEMBERS}, config=written["config"], server=server)
        return Trial(sweep, TrialState.of({**given, "status": "given", "value": None}))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise Invalid(
            f"{VARIABLE} cannot be used ({reason:.200}): start the program with `runstream sweep agent`"
        ) from None
