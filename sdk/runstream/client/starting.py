"""From settings to a run that is being written.

Everything that a run needs later is imported with this, before its thread starts: a fork in the middle of an import
would lock the child out of that module for ever. `init` imports this when it is first called.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from pydantic import ValidationError

from runstream.client import active
from runstream.client.background import Background
from runstream.client.capturing import start_capturing
from runstream.client.resuming import check_resume, is_resumed
from runstream.client.run import Run
from runstream.client.writers import NullWriter, Opening, open_writer
from runstream.clock import SYSTEM_CLOCK
from runstream.errors import Invalid, InvalidSetting, Unusable
from runstream.events.names import InvalidName, check_path_part, check_run_id
from runstream.ids import new_id
from runstream.notices import Notices
from runstream.settings import Settings, SettingValues
from runstream.spool.writer import SpoolWriter


@dataclass(frozen=True, slots=True)
class Asked:
    """The arguments of `init` that are no settings and say which writer of which run this is."""

    name: str | None
    run_id: str | None
    experiment: str | None
    resume: Literal["allow", "must", "never"] | None
    rank: int | None
    resume_from_step: int | None


def start(settings: Settings, asked: Asked) -> Run:
    """Open a writer and begin to capture. Raises what `init` raises; nothing was started then."""
    values = settings.values
    _check_ingest(settings)
    notices = Notices()
    for note in settings.notes:
        notices.warn(note)
    opening = _opening(values, asked)
    if values.mode == "disabled":
        run = Run(opening, NullWriter(), notices)
        active.remember(run)
        return run
    background = Background(SYSTEM_CLOCK)
    writer = _writer(opening, settings, notices, background)
    run = Run(opening, writer, notices, finish_timeout_s=values.finish_timeout_s)
    run.attend(background)
    start_capturing(run, background, values)
    active.remember(run)
    active.writes_here(run)
    background.start()
    where = run.url if run.mode == "online" else f"kept in {run.spool_folder}"
    notices.line(f"run {run.name or run.run_id} in {run.workspace}/{run.project}: {where}")
    return run


def _check_ingest(settings: Settings) -> None:
    """The sender is another process of the same installation: what it lacks is known here, before anything is kept for
    it. Raises InvalidSetting."""
    if settings.values.ingest and settings.values.mode == "online" and find_spec("aiokafka") is None:
        raise InvalidSetting(
            f"setting ingest = {settings.values.ingest!r} (from {settings.origin('ingest')}) needs the package "
            "aiokafka, which is not installed: pip install 'runstream[kafka]'; or leave it unset, and frames go to the "
            f"gateway at {settings.values.url}"
        )


def _opening(values: SettingValues, asked: Asked) -> Opening:
    check_resume(asked.resume, asked.run_id)
    try:
        if asked.run_id is not None:
            check_run_id(asked.run_id)
        if asked.experiment is not None:
            check_path_part("experiment", asked.experiment)
    except InvalidName as error:
        raise Invalid(f"{error} (an argument of init)") from None
    return Opening(
        run_id=asked.run_id if asked.run_id is not None else new_id(),
        workspace=values.workspace,
        project=values.project,
        experiment=asked.experiment,
        name=asked.name,
        rank=asked.rank,
        spool=values.dir,
        url=values.url,
        api_key=values.api_key.get_secret_value() if values.api_key is not None else None,
        mode=values.mode,
        ingest=values.ingest or "",
        resumed=values.mode != "disabled" and is_resumed(asked.resume, asked.run_id, values),
        resumed_at_step=asked.resume_from_step,
        handle_sigterm=values.handle_sigterm,
        allow_secrets=values.allow_secrets or (),
    )


def _writer(opening: Opening, settings: Settings, notices: Notices, background: Background) -> SpoolWriter:
    try:
        return open_writer(opening, SYSTEM_CLOCK, notices, background.wake)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        what = f"argument {first['loc'][0]} = {first.get('input')!r} of init cannot be used"
        raise Invalid(f"{what}: {first['msg']}") from None
    except Unusable as error:
        raise Unusable(f"{error} (the setting dir comes from {settings.origin('dir')})") from None
