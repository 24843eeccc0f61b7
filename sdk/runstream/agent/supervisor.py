"""The process of one run, from its preparation to its end: `python -m runstream.agent.supervisor FOLDER`.

It is a process of its own session, so that it goes on when its agent is killed; where it is killed itself, the agent
starts another one for the folder, which sees from the files there what is left to do (docs/design/agent.md has the
steps). It is told the server's key by its environment alone.
"""

import contextlib
import dataclasses
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TextIO

import runstream.agent
from runstream.agent import harness
from runstream.agent.archives import MAIN, BadCode
from runstream.agent.ending import CANCELLED, RESULT, Missing, end_of, report, result_of
from runstream.agent.environments import Abandoned, BuildFailed
from runstream.agent.execution import MARK, Execution, Output, Stream
from runstream.agent.folder import End, RunFolder
from runstream.agent.keeping import Keeper
from runstream.agent.leases import TIMEOUT_S, Granted, KeyRefused, Leases, Stale, Variable, patiently
from runstream.agent.limits import RunLimits
from runstream.agent.preparing import Preparation, Prepared
from runstream.agent.processes import kill_marked
from runstream.agent.transfers import TooLarge
from runstream.api import Session
from runstream.client.resuming import in_spool
from runstream.errors import Invalid, RunDeleted, Unavailable
from runstream.sender.retarget import retarget_moved
from runstream.sender.start import ensure_sender

if TYPE_CHECKING:
    from runstream.client.run import Run

logger = logging.getLogger(__name__)

#: What the agent tells its supervisors: SupervisorSettings as JSON.
SETTINGS: Final = "RUNSTREAM_AGENT_SETTINGS"
#: A cancellation is heard within this.
_LOOK_S: Final = 2.0
#: The output of a run is waited for so long; a server that is away for longer gets it from the sender.
_FINISH_S: Final = 3_600.0
#: How often the spool is looked at.
_SPOOL_S: Final = 0.2
#: A preparation that kills its supervisor, by its memory for example, is not begun more often.
_MAX_TRIES: Final = 5
#: The exit code of a supervisor whose key is refused.
KEY_REFUSED: Final = 75
_LOST: Final = (
    "the supervisor of the run was killed on {host} while its code was executed: the run was ended and is not executed "
    "again, create another one"
)


@dataclass(frozen=True, slots=True)
class SupervisorSettings:
    """`directory`: of the agent. `host`: what the machine is called."""

    url: str
    directory: str
    host: str
    limits: RunLimits

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def of_json(cls, text: str) -> Self:
        fields = json.loads(text)
        return cls(**{**fields, "limits": RunLimits(**fields["limits"])})


class Supervisor:
    """Takes the run of a folder to its end. `on_step` is called behind each step, by the step's name."""

    def __init__(
        self,
        folder: RunFolder,
        settings: SupervisorSettings,
        api_key: str | None,
        on_step: Callable[[str], None] = lambda step: None,
        leases: Leases | None = None,
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._api_key = api_key
        self._on_step = on_step
        self._granted: Granted = folder.granted
        memory_mb, self._less = settings.limits.memory_of(self._granted.memory_mb)
        self._limits = dataclasses.replace(settings.limits, memory_mb=memory_mb)
        session = Session(settings.url, api_key, timeout_s=TIMEOUT_S)
        self._leases = leases or Leases(session, self._granted.workspace, self._granted.project)
        self._run: Run | None = None

    def run(self) -> bool:
        """Do what is left to do. Returns True when the run has ended, or is not ours any more. False: the key is
        refused. Then it leaves the folder with all that is known and returned: another supervisor goes on with it."""
        self._on_step("taken")
        kill_marked(self._marker)  # a build, or code, of a supervisor that was killed
        try:
            self._do()
        except KeyRefused as error:
            logger.warning(
                "run %s: the server refuses the key (%s): start the agent again with a key that may log. Nothing is "
                "lost, what is left to do is tried again",
                self._granted.run,
                error,
            )
            kill_marked(self._marker)
            return False
        kill_marked(self._marker)
        self._folder.remove()
        return True

    def _do(self) -> None:
        with Keeper(self._leases, self._granted, min(_LOOK_S, self._granted.ttl_s / 4)) as keeper:
            end = self._folder.end
            if end is None:
                end = self._after_kill(keeper) if self._folder.is_starting else self._executed(keeper)
            if end is not None:
                self._conclude(end, keeper)

    @property
    def _marker(self) -> bytes:
        return f"{MARK}={self._folder.path}".encode()

    def _after_kill(self, keeper: Keeper) -> End | None:
        """What is known of a run whose supervisor was killed around its start. None: its code was not begun, or its
        lease is over."""
        try:
            state = patiently(lambda: self._leases.renew(self._granted)).state
            if state == "leased":
                keeper.stop()
                patiently(lambda: self._leases.release(self._granted))
                return None
        except Stale as error:
            logger.warning("%s", error)
            return None
        end = End("failed", _LOST.format(host=self._settings.host))
        self._folder.note_end(end)
        return end

    def _executed(self, keeper: Keeper) -> End | None:
        """Prepare, start and execute. None where the lease is over."""
        try:
            end = self._prepared_and_executed(keeper)
        except (Stale, Abandoned, Unavailable) as error:
            logger.warning("the run %s is given up: %s", self._granted.run, error)
            return None
        if self._run is not None:
            if end.message:
                print(f"agent: {end.message}", file=sys.stderr)
            self._run.flush_output()
        self._folder.note_end(end)
        self._on_step("end noted")
        return end

    def _prepared_and_executed(self, keeper: Keeper) -> End:
        """Raises Stale, Abandoned."""
        granted, path, directory = self._granted, self._folder.path, Path(self._settings.directory)
        preparation = Preparation(self._leases, granted, path, directory / "envs", self._limits, lambda: keeper.goes_on)
        prepared = self._prepared(preparation)
        if isinstance(prepared, End):
            return prepared
        self._on_step("prepared")
        self._folder.note_starting()
        self._on_step("starting noted")
        patiently(lambda: self._leases.start(granted), lambda: keeper.goes_on)
        self._on_step("started")
        try:
            self._run = self._begun()
            variables = patiently(lambda: self._leases.variables(granted), lambda: keeper.goes_on)
        except (RunDeleted, Stale):
            return End("killed", CANCELLED)
        except (Invalid, KeyRefused) as error:
            return End("failed", f"the variables of the run cannot be read: {error}")
        return self._outcome(preparation, prepared, variables, keeper)

    def _prepared(self, preparation: Preparation) -> Prepared | End:
        """What the run needs, or its end. Whatever code and requirements bring ends this run alone: without an end it
        would be the oldest pending run again, for ever. Raises Stale, Abandoned, Unavailable, KeyRefused."""
        tries = self._folder.tries
        if tries >= _MAX_TRIES:
            return End(
                "failed",
                f"the run cannot be prepared: its supervisor on {self._settings.host} died {tries} times while it did. "
                "Look whether its code or its requirements take too much memory",
            )
        self._folder.note_tries(tries + 1)
        try:
            return preparation.prepare()
        except KeyRefused:
            self._folder.note_tries(tries)
            raise
        except (Stale, Abandoned, Unavailable):
            raise
        except (BadCode, BuildFailed, TooLarge, Invalid, OSError) as error:
            return End("failed", f"the run cannot be prepared: {error}")
        except Exception as error:
            logger.exception("the run %s cannot be prepared", self._granted.run)
            return End("failed", f"the run cannot be prepared: {type(error).__name__}: {error}")

    def _outcome(self, preparation: Preparation, prepared: Prepared, variables: list[Variable], keeper: Keeper) -> End:
        """Execute the code."""
        assert self._run is not None
        self._run.masking.hide(one.value for one in variables if one.secret)
        for note in filter(None, (self._less, *prepared.notes)):
            print(f"agent: {note}", file=sys.stderr)
        environ = preparation.environ({one.name: one.value for one in variables})
        timeout_s = float(self._granted.timeout_s)
        execution = Execution(self._folder.path, environ, self._limits, Output(_write, self._limits.output_chars))
        command = [str(prepared.python), harness.__file__, str(self._job(prepared))]
        self._on_step("executing")
        try:
            ended = execution.run(command, prepared.code, timeout_s, lambda: not keeper.goes_on)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the environment
            return End("failed", f"the process of the run cannot be started: {error}")
        self._on_step("ended")
        end = end_of(ended, self._folder.path, timeout_s, self._limits)
        return dataclasses.replace(end, message=self._run.masking.trace(end.message))

    def _job(self, prepared: Prepared) -> Path:
        granted, limits, path = self._granted, self._limits, self._folder.path
        with contextlib.suppress(FileNotFoundError):
            (path / RESULT).unlink()
        job = {
            "code": str(prepared.code),
            "main": MAIN,
            "data": None if prepared.data is None else str(prepared.data),
            "parameters": granted.parameters,
            "context": {
                "id": granted.run,
                "name": granted.name,
                "project": granted.project,
                "experiment": granted.experiment,
                "environment": granted.environment,
                "instance_type": granted.instance_type,
                "timeout": granted.timeout_s,
            },
            "limits": {
                "RLIMIT_DATA": limits.memory_mb << 20,
                "RLIMIT_FSIZE": limits.file_mb << 20,
                "RLIMIT_NOFILE": limits.open_files,
                "RLIMIT_CORE": 0,
            },
            "result": str(path / RESULT),
        }
        target = path / "job.json"
        target.write_text(json.dumps(job))
        return target

    def _begun(self) -> "Run":
        """The run as the SDK writes it: heartbeats, output, system metrics."""
        granted = self._granted
        # What is printed here is the run's. It belongs nowhere else.
        sys.stdout = _nowhere()
        sys.stderr = _nowhere()
        return runstream.init(
            granted.project,
            run_id=granted.run,
            workspace=granted.workspace,
            url=self._settings.url,
            api_key=self._api_key,
            dir=Path(self._settings.directory) / "spool",
            mode="online",
            capture_console=True,
            console="wrap",
            capture_code=False,
            handle_sigterm=False,
        )

    def _conclude(self, end: End, keeper: Keeper) -> None:
        """Upload, wait until the output is acknowledged, report, and forget the run. Raises KeyRefused, before a wait:
        with a key that is refused nothing is ever acknowledged."""
        with contextlib.suppress(Stale):
            patiently(lambda: self._leases.renew(self._granted))
        result: dict[str, Any] | None = None
        try:
            if end.status == "finished":
                result = result_of(end, self._leases, self._granted)
        except Missing as error:
            end = dataclasses.replace(end, status="failed", message=str(error))
        except Stale as error:
            logger.warning("%s", error)
        self._on_step("uploaded")
        if self._run is not None:
            self._run.finish(end.status, _FINISH_S, message=end.message or None)
        else:
            self._wait_for_output(keeper)
        self._on_step("finished")
        status = report(end, result, self._leases, self._granted)
        logger.info("the run %s has ended: %s", self._granted.run, status or "its lease is over")
        self._on_step("reported")

    def _wait_for_output(self, keeper: Keeper) -> None:
        """Wait until a sender has carried away what the supervisor wrote that was killed. Its key may have been
        replaced since: all that goes to this server is sent with the present one. Raises KeyRefused."""
        url, key = self._settings.url, self._api_key
        if key is not None:
            with contextlib.suppress(OSError):  # it is tried again by the next supervisor, and by `runstream sync`
                retarget_moved(Path(self._settings.directory) / "spool", url, url, key)
        spool, until_s = Path(self._settings.directory) / "spool", time.monotonic() + _FINISH_S
        while time.monotonic() < until_s and in_spool(spool, self._granted.run) is not None:
            if keeper.refusal is not None:
                raise keeper.refusal
            ensure_sender(spool)
            time.sleep(_SPOOL_S)


def _nowhere() -> TextIO:
    """A stream that takes any text, whatever the locale: messages of code may have lone surrogates."""
    return open(os.devnull, "w", encoding="utf-8", errors="replace")


def _write(stream: Stream, text: str) -> None:
    (sys.stdout if stream == "stdout" else sys.stderr).write(text)


def supervise(path: Path, on_step: Callable[[str], None] = lambda step: None) -> int:
    """Take the run of a folder to its end, unless another supervisor does. Returns the exit code of this process."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    settings = SupervisorSettings.of_json(os.environ.pop(SETTINGS))
    api_key = os.environ.pop("RUNSTREAM_API_KEY", None)
    folder = RunFolder(path)
    if not folder.take():
        return 0
    return 0 if Supervisor(folder, settings, api_key, on_step).run() else KEY_REFUSED


if __name__ == "__main__":
    sys.exit(supervise(Path(sys.argv[1])))
