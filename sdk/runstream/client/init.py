"""`init`: what a program calls to start a run."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from runstream.errors import Invalid
from runstream.events.limits import MAX_TAG_CHARS

if TYPE_CHECKING:
    from runstream.client.run import Run

Resume = Literal["allow", "must", "never", "auto"]


def init(
    project: str | None = None,
    name: str | None = None,
    run_id: str | None = None,
    workspace: str | None = None,
    experiment: str | None = None,
    config: Any = None,
    tags: str | Iterable[str] | None = None,
    mode: Literal["online", "offline", "disabled"] | None = None,
    resume: Resume | bool | None = None,
    rank: int | None = None,
    url: str | None = None,
    api_key: str | None = None,
    dir: str | os.PathLike[str] | None = None,
    *,
    notes: str | None = None,
    group: str | None = None,
    job_type: str | None = None,
    resume_from_step: int | None = None,
    capture_console: bool | None = None,
    console: Literal["wrap", "redirect"] | None = None,
    capture_code: bool | None = None,
    system_metrics_s: float | None = None,
    finish_timeout_s: float | None = None,
    handle_sigterm: bool | None = None,
    allow_secrets: Iterable[str] | None = None,
    id: str | None = None,
    entity: str | None = None,
    save_code: bool | None = None,
    reinit: bool | str | None = None,
    **others: Any,
) -> "Run":
    """Start a run, or another writer on one, and return it.

    project, workspace, experiment: where the run belongs. name: what a person calls it.
    run_id: made up if None. Several processes that give the same one write one run (give each its `rank`). Raises
      RunDeleted if the server says, within 2 s, that somebody deleted it.
    config: hyper-parameters (see `Run.log_params`), or the path of a JSON or YAML file with them: one that cannot be
      used is told, and the run starts without. tags: a list of strings; a string is one tag. notes: free text.
    group, job_type: the runs that it belongs with (a sweep, a job of many processes), and its part among them (`train`,
      `evaluate`). A start without one keeps what the run has.
    mode: `online`; `offline` keeps everything on disk until `runstream sync`; `disabled` keeps nothing.
    resume: None writes to `run_id` whether it is there or not. `allow` does so too and marks the run as resumed if it
      is there; `must` raises RunMissing if it is not there, `never` raises RunExists if it is. Whether it is there is
      asked of the server and looked up in the spool; where the server does not answer, `must` and `never` raise
      Unavailable unless the spool knows, and `allow` goes by the spool.
    resume_from_step: where a resumed run goes on; a `log` without a step then begins there. Without it, one above the
      highest step that the run has, as far as the server and the spool tell.
    url, api_key, dir (the spool), capture_console, console (`redirect` keeps what C libraries and child processes print
      too), capture_code, system_metrics_s (0: none), finish_timeout_s, handle_sigterm, allow_secrets (names whose
      values are kept although they look like secrets): settings, see `runstream.settings`; None takes them from the
      environment, files, or the default.

    id, entity, save_code: what scripts written for W&B call run_id, workspace and capture_code. resume=True and `auto`
      mean `allow`. reinit: True or `finish_previous` ends the run that is open, False or `return_previous` returns it.
      config_include_keys, config_exclude_keys and resume_from are understood too (docs/sdk.md). Whatever else is given
      is left out and told once, with what to do instead.

    Does not wait for the server, unless a `run_id` (2 s at most) or `resume` (5 s at most) makes it ask. After it
    returned, nothing that belongs to the run raises into the caller. Raises InvalidSetting, Invalid (RunMissing,
    RunDeleted, RunExists), Unavailable, Unusable: nothing was started then.
    """
    from runstream.client.opening import Arguments
    from runstream.client.other_names import run_to_return, with_synonyms
    from runstream.client.starting import start
    from runstream.settings import load_settings

    if (open_run := run_to_return(reinit)) is not None:
        return open_run
    if isinstance(config, str | os.PathLike):
        config = _config_of_file(config)
    own = {
        "run_id": run_id,
        "workspace": workspace,
        "config": config,
        "mode": mode,
        "resume": resume,
        "resume_from_step": resume_from_step,
        "capture_code": capture_code,
    }
    synonyms = {"id": id, "entity": entity, "save_code": save_code}
    given = with_synonyms(own, {**synonyms, **others}, _argument_names())
    settings = load_settings(
        project=project,
        workspace=given["workspace"],
        mode=given["mode"],
        url=url,
        api_key=api_key,
        dir=dir,
        capture_console=capture_console,
        console=console,
        capture_code=given["capture_code"],
        system_metrics_s=system_metrics_s,
        finish_timeout_s=finish_timeout_s,
        handle_sigterm=handle_sigterm,
        allow_secrets=allow_secrets if allow_secrets is None or isinstance(allow_secrets, str) else list(allow_secrets),
    )
    checked_tags = _checked_tags(tags)
    if given["config"] is not None:
        _check_config(given["config"])
    started_as = given["run_id"], experiment, group, job_type, given["resume"], rank, given["resume_from_step"]
    run = start(settings, Arguments(name, *started_as))
    if given["config"] is not None:
        run.log_params(given["config"])
    if checked_tags:
        run.add_tags(checked_tags)
    if notes is not None:
        run.notes(notes)
    return run


def _argument_names() -> tuple[str, ...]:
    code = init.__code__
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


def _checked_tags(tags: str | Iterable[str] | None) -> tuple[str, ...]:
    if tags is None:
        return ()
    try:
        found = (tags,) if isinstance(tags, str) else tuple(tags)
    except TypeError:
        raise Invalid(f"tags = {tags!r} of init cannot be used: give a list of strings, or one string") from None
    for tag in found:
        if not isinstance(tag, str) or not 0 < len(tag) <= MAX_TAG_CHARS:
            raise Invalid(f"tag {tag!r} of init cannot be used: give a string of 1 to {MAX_TAG_CHARS} characters")
    return found


def _config_of_file(path: "str | os.PathLike[str]") -> dict[str, Any] | None:
    """Return what the file holds; None where that is no configuration, which is told."""
    from runstream.client.content.config_files import UnusableConfig, config_of_file
    from runstream.notices import PROCESS_NOTICES

    try:
        return config_of_file(Path(path))
    except UnusableConfig as error:
        PROCESS_NOTICES.once(f"config {path}", f"config of init is left out: {error}")
        return None


def _check_config(config: Any) -> None:
    from runstream.client.content.mappings import as_mapping

    if as_mapping(config) is None:
        what = f"the class {config.__name__}" if isinstance(config, type) else f"a {type(config).__name__}"
        raise Invalid(f"config of init is {what}: give a dict of parameter name to value, or an instance")
