"""What a run is opened with, and the event that each of its writers starts with.

What the caller of `init` says of a run passes from its arguments through an `Opening` into the event here; nothing else
in the client has to know of it.
"""

import getpass
import os
import socket
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Literal

from runstream._version import VERSION
from runstream.addresses import page_of_run
from runstream.client.resuming import Found, check_resume, existing
from runstream.display_names import display_name
from runstream.errors import Invalid
from runstream.events.control import RunStarted
from runstream.events.names import MAX_STEP, InvalidName, check_path_part, check_run_id
from runstream.ids import new_id
from runstream.settings import SettingValues


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of `init` that are no settings and say which writer of which run this is."""

    name: str | None
    run_id: str | None
    experiment: str | None
    group: str | None
    job_type: str | None
    resume: Literal["allow", "must", "never"] | None
    rank: int | None
    resume_from_step: int | None


@dataclass(frozen=True, slots=True)
class Opening:
    """All that it takes to open one more writer on a run; can be pickled. `api_key` is left out of pickles."""

    run_id: str
    workspace: str
    project: str
    experiment: str | None
    name: str | None
    rank: int | None
    spool: Path
    url: str
    api_key: str | None
    mode: str
    group: str | None = None
    job_type: str | None = None
    ingest: str = ""
    resumed: bool = False
    #: The step from which the run goes on, where its caller said so.
    resumed_at_step: int | None = None
    #: What a `log` without a step begins with.
    first_step: int = 0
    handle_sigterm: bool = True
    #: Names whose values are kept although they look like secrets.
    allow_secrets: tuple[str, ...] = ()

    def without_key(self) -> "Opening":
        return replace(self, api_key=None)


def opening_of(values: SettingValues, arguments: Arguments) -> Opening:
    """Return what a run of these arguments and settings is opened with. Raises Invalid, Unavailable, RunMissing,
    RunExists."""
    check_resume(arguments.resume, arguments.run_id)
    try:
        if arguments.run_id is not None:
            check_run_id(arguments.run_id)
        if arguments.experiment is not None:
            check_path_part("experiment", arguments.experiment)
    except InvalidName as error:
        raise Invalid(f"{error} (an argument of init)") from None
    found = existing(arguments.resume, arguments.run_id, values) if values.mode != "disabled" else None
    return Opening(
        run_id=arguments.run_id if arguments.run_id is not None else new_id(),
        workspace=values.workspace,
        project=values.project,
        experiment=arguments.experiment,
        name=arguments.name,
        rank=arguments.rank,
        spool=values.dir,
        url=values.url,
        api_key=values.api_key.get_secret_value() if values.api_key is not None else None,
        mode=values.mode,
        group=arguments.group,
        job_type=arguments.job_type,
        ingest=values.ingest or "",
        resumed=found is not None,
        resumed_at_step=arguments.resume_from_step,
        first_step=_first_step(arguments.resume_from_step, found),
        handle_sigterm=values.handle_sigterm,
        allow_secrets=values.allow_secrets or (),
    )


def _first_step(resume_from_step: int | None, found: Found | None) -> int:
    """Return the step that was given; else the one above the run's highest: a resumed run uses no step again."""
    if resume_from_step is not None:
        return resume_from_step
    return 0 if found is None or found.last_step is None else min(max(found.last_step, -1) + 1, MAX_STEP)


def run_started(opening: Opening, at_us: int) -> RunStarted:
    """Return the event with which this process starts to write the run. Raises pydantic.ValidationError."""
    try:
        user = getpass.getuser()
    except Exception:  # a container without an entry for its user
        user = None
    return RunStarted(
        at_us=at_us,
        workspace=opening.workspace,
        project=opening.project,
        experiment=opening.experiment,
        name=opening.name,
        group=opening.group,
        job_type=opening.job_type,
        rank=opening.rank,
        resumed=opening.resumed,
        resumed_at_step=opening.resumed_at_step,
        user=user,
        host=socket.gethostname(),
        pid=os.getpid(),
        sdk_version=VERSION,
    )


class OpenedRun:
    """Which run this is and what its caller said of it. The base of `Run`."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening

    @property
    def run_id(self) -> str:
        """The run's id: 32 hexadecimal characters that sort by time, or what `init` was given."""
        return self._opening.run_id

    @property
    def id(self) -> str:
        """The same as `run_id`."""
        return self._opening.run_id

    @property
    def name(self) -> str | None:
        """The name that `init` was given."""
        return self._opening.name

    @property
    def display_name(self) -> str:
        """What to call the run: its name, or one that is made of its id, such as `calm-otter-417`."""
        return display_name(self.name, self.run_id)

    @property
    def group(self) -> str | None:
        """The group that `init` was given."""
        return self._opening.group

    @property
    def job_type(self) -> str | None:
        return self._opening.job_type

    @property
    def workspace(self) -> str:
        return self._opening.workspace

    @property
    def project(self) -> str:
        return self._opening.project

    @property
    def rank(self) -> int | None:
        return self._opening.rank

    @property
    def mode(self) -> str:
        """online, offline or disabled."""
        return self._opening.mode

    @property
    def url(self) -> str:
        """The address of the run's page. A program that requests it gets the run's JSON."""
        return page_of_run(self._opening.url, self.workspace, self.project, self.run_id)

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the run, which leads to its page."""
        name, place = escape(self.display_name), escape(f"{self.workspace}/{self.project}")
        shown = f'<a href="{escape(self.url)}">{name}</a>' if self.mode == "online" else name
        return f"run <strong>{shown}</strong> in {place} ({self.mode})"

    @property
    def handle_sigterm(self) -> bool:
        """Whether SIGTERM ends the run as killed, where nothing else handles it."""
        return self._opening.handle_sigterm
