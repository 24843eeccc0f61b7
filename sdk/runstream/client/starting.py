"""From settings to a run that is being written.

Everything that a run needs later is imported with this, before its thread starts: a fork in the middle of an import
would lock the child out of that module for ever. `init` imports this when it is first called.
"""

from pydantic import ValidationError

from runstream.client import active
from runstream.client.background import Background
from runstream.client.capturing import start_capturing
from runstream.client.opening import Arguments, Opening, opening_of
from runstream.client.run import Run
from runstream.client.writers import NullWriter, open_writer
from runstream.clock import SYSTEM_CLOCK
from runstream.errors import Invalid, InvalidSetting, Unusable
from runstream.notices import Notices
from runstream.packages import is_installed
from runstream.settings import Settings
from runstream.spool.writer import SpoolWriter


def start(settings: Settings, arguments: Arguments) -> Run:
    """Open a writer and begin to capture. Raises what `init` raises; nothing was started then."""
    values = settings.values
    _check_ingest(settings)
    notices = Notices()
    for note in settings.notes:
        notices.warn(note)
    opening = opening_of(values, arguments)
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
    # A run that somebody gave its id may have its name from another process.
    called = run.name or run.run_id if arguments.run_id is not None else run.display_name
    notices.line(f"run {called} in {run.workspace}/{run.project}: {where}")
    return run


def _check_ingest(settings: Settings) -> None:
    """The sender is another process of the same installation: what it lacks is known here, before anything is kept for
    it. Raises InvalidSetting."""
    if settings.values.ingest and settings.values.mode == "online" and not is_installed("aiokafka"):
        raise InvalidSetting(
            f"setting ingest = {settings.values.ingest!r} (from {settings.origin('ingest')}) needs the package "
            "aiokafka, which is not installed: pip install 'runstream[kafka]'; or leave it unset, and frames go to the "
            f"gateway at {settings.values.url}"
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
