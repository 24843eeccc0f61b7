"""Arguments that scripts give to the `init` of other trackers: those that mean something here become ours, the rest is
told once, and none of them raises."""

import difflib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from runstream.notices import PROCESS_NOTICES

if TYPE_CHECKING:
    from runstream.client.run import Run

#: What other trackers call an argument, and its name here.
SYNONYMS: Final = {"id": "run_id", "entity": "workspace", "save_code": "capture_code"}
#: Other names of a mode.
_MODES: Final = {"dryrun": "offline", "shared": "online"}
#: Arguments without a meaning here, and what to do instead.
_WITHOUT_MEANING: Final = {
    "allow_val_change": "a later value of a parameter replaces the earlier one anyway",
    "anonymous": "give a key (api_key or RUNSTREAM_API_KEY) where the server asks for one",
    "force": "without a server everything waits in the spool",
    "fork_from": "begin a new run, and keep where it came from with log_other('forked_from', RUN)",
    "magic": "log what you need with log() and log_params()",
    "monitor_gym": "log videos with log_asset()",
    "settings": "give settings as arguments of init or as RUNSTREAM_ variables (docs/sdk.md)",
    "sync_tensorboard": "log the same numbers with log()",
    "tensorboard": "log the same numbers with log()",
}
#: Arguments that `with_synonyms` understands besides.
_UNDERSTOOD: Final = ("config_exclude_keys", "config_include_keys", "reinit", "resume_from")
_STEP: Final = "?_step="
_REINIT: Final = "give 'finish_previous' or 'return_previous'"


def with_synonyms(own: Mapping[str, Any], others: Mapping[str, Any], known: Iterable[str] = ()) -> dict[str, Any]:
    """Return the arguments `own` of our `init`, completed by what `others`, under the names of other trackers, say.
    `known`: all names that may have been meant where one is unknown."""
    given = dict(own)
    for name, value in others.items():
        if name in SYNONYMS:
            _complete(given, SYNONYMS[name], value, name)
        elif name not in _UNDERSTOOD:
            _tell(name, value, known)
    if others.get("resume_from"):
        _go_on_from(given, str(others["resume_from"]))
    if isinstance(given["mode"], str):
        given["mode"] = _MODES.get(given["mode"], given["mode"])
    given["resume"] = _resume(given["resume"], given["run_id"])
    given["config"] = _chosen(given["config"], others.get("config_include_keys"), others.get("config_exclude_keys"))
    return given


def run_to_return(reinit: object) -> "Run | None":
    """Return the open run that `init(reinit=...)` means to give back, None if it is to start another. With True or
    `finish_previous` the open run ends."""
    if reinit is None or (isinstance(reinit, str) and reinit in ("default", "create_new")):
        return None
    if not isinstance(reinit, bool | str):
        _warn("reinit", f"reinit of init is a {type(reinit).__name__}: {_REINIT}")
        return None
    from runstream.client.active import newest

    run = cast("Run | None", newest())  # nothing but runs is remembered
    if run is None:
        return None
    if reinit in (False, "return_previous"):
        return run
    if reinit in (True, "finish_previous"):
        run.finish()
    else:
        _warn("reinit", f"reinit = {reinit!r} of init is unknown: {_REINIT}")
    return None


def _complete(given: dict[str, Any], name: str, value: Any, other_name: str) -> None:
    if given[name] is None:
        given[name] = value
    elif value is not None and given[name] != value:
        _warn(other_name, f"init has both {name} = {given[name]!r} and {other_name} = {value!r}: {name} counts")


def _go_on_from(given: dict[str, Any], resume_from: str) -> None:
    """Read RUN?_step=N, or RUN alone."""
    run_id, _, step = resume_from.partition(_STEP)
    _complete(given, "run_id", run_id, "resume_from")
    _complete(given, "resume", "must", "resume_from")
    if step.isdecimal():
        _complete(given, "resume_from_step", int(step), "resume_from")
    else:
        _warn("resume_from", f"resume_from = {resume_from!r} of init names no step: give 'RUN{_STEP}NUMBER'")


def _resume(resume: object, run_id: str | None) -> Any:
    """Return what `resume` is here: True and `auto` go on with the run that is given."""
    if resume is False:
        return None
    if resume is not True and resume != "auto":
        return resume
    if run_id is not None:
        return "allow"
    what = f"resume = {resume!r} of init finds no earlier run by itself, so a new one begins"
    _warn("resume", f"{what}: give the run_id that the earlier one had")
    return None


def _chosen(config: Any, included: Any, excluded: Any) -> Any:
    """Return the configuration without the names that were not wanted."""
    wanted, unwanted = _listed("config_include_keys", included), _listed("config_exclude_keys", excluded)
    if config is None or not (wanted or unwanted):
        return config
    from runstream.client.content.mappings import as_mapping

    named = as_mapping(config)
    if named is None:
        return config
    return {name: named[name] for name in named if (not wanted or name in wanted) and name not in unwanted}


def _listed(argument: str, names: Any) -> set[Any]:
    """Return the names that an argument lists; of a text those between its commas."""
    if isinstance(names, str):
        return {name.strip() for name in names.split(",")} - {""}
    try:
        return set(() if names is None else names)
    except TypeError:
        _warn(argument, f"{argument} of init is a {type(names).__name__}, which is left out: give a list of names")
        return set()


def _tell(name: str, value: Any, known: Iterable[str]) -> None:
    if name in _WITHOUT_MEANING:
        if value:
            _warn(name, f"argument {name} of init has no meaning here and is left out: {_WITHOUT_MEANING[name]}")
        return
    near = difflib.get_close_matches(name, [*known, *SYNONYMS, *_UNDERSTOOD], n=1)
    hint = f"did you mean {near[0]}?" if near else "give it to config, or to log_other(), if it is to be kept"
    # Without its value: `apikey` would be a name of a key.
    _warn(name, f"init knows no argument {name}, which is left out: {hint}")


def _warn(name: str, message: str) -> None:
    PROCESS_NOTICES.once(f"init {name}", message)
