"""A sweep and its trials, as training code sees them."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from runstream.ids import new_id
from runstream.notices import Notices
from runstream.sweeping.requests import TrialServer

if TYPE_CHECKING:
    from runstream.client.run import Run

#: What a training loop waits for the server at most.
_STOP_TIMEOUT_S: Final = 2.0
#: Between two requests for a trial that may be lost.
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 5.0
#: How long a worker that finds no trial left waits for those that others have.
PATIENCE_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class TrialState:
    """A trial as the server knows it. status: given, running, finished, failed, or lost (its run crashed, was killed or
    never began). value: the last one of the sweep's metric. attempt: how often it was given."""

    number: int
    params: Mapping[str, Any]
    run_id: str
    status: str
    value: float | None
    attempt: int

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """Read a response."""
        return cls(row["number"], row["parameters"], row["run"], row["status"], row["value"], row["attempt"])


@dataclass(frozen=True)
class Sweep:
    """A sweep: an iterable of trials, each of which nobody else gets. What `runstream.sweep` returns.

    Several processes, on several machines, may use one of the same name at once. config: with all defaults. limit: how
    many trials it makes. size: how many different ones its space has; None: there is no end of them.
    """

    name: str
    workspace: str
    project: str
    config: Mapping[str, Any]
    limit: int
    size: int | None
    server: TrialServer
    #: The spool of the runs; None: as the settings say.
    dir: str | None = None

    def __iter__(self) -> Iterator["Trial"]:
        """Iterate over trials until none is left; where others have some that are given again if they are lost, wait
        for those, ten minutes at most (`patient` waits as long as it is told). What this loop itself was given is not
        waited for. Raises as `ask`."""
        own: set[str] = set()
        while (trial := self._waited(PATIENCE_S, own)) is not None:
            own.add(trial.run_id)
            yield trial

    def ask(self) -> "Trial | None":
        """Return the next trial; None when none is left. Waits while the server is away. Raises Unavailable after
        `timeout_s` of `sweep`, and Invalid where the sweep or the key is gone."""
        return self._requested(new_id())[0]

    def patient(self, patience_s: float) -> Iterator["Trial"]:
        """Iterate over trials as `iter` does, and where none is left, wait for those that others have: one that is lost
        is given again. Each wait is `patience_s` long at most. Raises as `ask`."""
        while (trial := self._waited(patience_s)) is not None:
            yield trial

    def _waited(self, patience_s: float, own: Collection[str] = ()) -> "Trial | None":
        """The next trial. None where none is left, and none of a run that is not among `own` may be given again."""
        token, until_s, pause_s = new_id(), time.monotonic() + patience_s, _FIRST_PAUSE_S
        notices = Notices()
        while True:
            trial, repeatable = self._requested(token)
            left_s = until_s - time.monotonic()
            others = len(repeatable.difference(own))
            if trial is not None or not others or left_s <= 0:
                return trial
            notices.once("waits", f"the sweep {self.name!r:.60} waits for {others} that other workers have")
            time.sleep(min(pause_s, left_s))
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _requested(self, token: str) -> "tuple[Trial | None, frozenset[str]]":
        """The next trial, and the runs of those that may be given again. Sent again with the same token, the request
        gets the trial that it took the first time."""
        told = self.server.post("/trials", {**self.about(), "token": token})
        trial = None if told["trial"] is None else Trial(self, TrialState.of(told["trial"]))
        return trial, frozenset(map(str, told.get("repeatable_runs", ())))

    def trials(self) -> list[TrialState]:
        """Return all trials so far, in their order. Raises as `ask`."""
        return [TrialState.of(row) for row in self._read()["trials"]]

    def best(self) -> TrialState | None:
        """Return the trial with the best value of those that finished; None if none did. Raises as `ask`."""
        best = self._read()["best"]
        return None if best is None else TrialState.of(best)

    def run(
        self,
        function: "Callable[[Trial], object]",
        workers: int = 1,
        *,
        max_failures: int = 3,
        patience_s: float = PATIENCE_S,
    ) -> TrialState | None:
        """Call a function with each trial until none is left, and return the best one.

        workers: how many processes do so at once. 1 is this process; more are started anew ("spawn"), so `function`
        stands at the top of a module, and a script calls this below `if __name__ == "__main__"`. What the function
        raises makes its run failed, is printed, and the next trial follows; after `max_failures` in a row it is raised.
        Of several workers one that gives up prints why, the others go on, and RunstreamError is raised when all ended.
        A worker that finds none left waits `patience_s` at most for those that others have, and gets what they lose.
        Raises as `ask`; Invalid where the function cannot be sent to other processes.
        """
        from runstream.sweeping.workers import work, work_in_processes

        trials = PatientTrials(self, patience_s)
        if workers == 1:
            work(trials, function, max_failures)
        else:
            work_in_processes(trials, function, workers, max_failures)
        return self.best()

    def delete(self) -> None:
        """Delete the sweep with its trials, so that its name is free again. The runs of the trials stay. Workers that
        ask for another trial get Invalid. Raises as `ask`."""
        self.server.post("/delete", self.about())

    def _read(self) -> dict[str, Any]:
        return self.server.get("/trials", self.about())

    def about(self) -> dict[str, str]:
        """Return which sweep it is, as requests say it."""
        return {"workspace": self.workspace, "project": self.project, "name": self.name}


@dataclass(frozen=True, slots=True)
class PatientTrials:
    """The trials of a sweep, with those that others lose meanwhile. Other processes can have it."""

    sweep: Sweep
    patience_s: float

    def __repr__(self) -> str:
        return f"the sweep {self.sweep.name!r:.60}"

    def __iter__(self) -> Iterator["Trial"]:
        return self.sweep.patient(self.patience_s)


class Trial:
    """What to try: `params`, which is one of the runs of a sweep. Begin it with `run`."""

    def __init__(self, sweep: Sweep, state: TrialState) -> None:
        self.sweep = sweep
        self.number = state.number
        self.params = dict(state.params)
        self.run_id = state.run_id
        self.attempt = state.attempt
        #: Why the trial ended early; empty while it did not.
        self.stopped = ""
        self._run: Run | None = None
        self._next_look_s = 0.0
        self._notices = Notices()

    def __repr__(self) -> str:
        return f"Trial({self.number} of {self.sweep.name!r}, {self.params})"

    def __getitem__(self, name: str) -> Any:
        return self.params[name]

    def run(self, **arguments: Any) -> "Run":
        """Start the trial's run and return it: `with trial.run() as run`. `arguments` are those of `init`, beside what
        the sweep says: project, workspace, run_id, group (the sweep's name), job_type ("trial") and config (params).

        What it logs of the sweep's metric is the trial's value, the last one counts. A run that raises is a failed
        trial; one that dies, or does not begin within two minutes, is given again, to whoever asks next.
        """
        from runstream.client.init import init

        sweep = self.sweep
        given = {
            "name": f"{sweep.name}-{self.number}",
            "job_type": "trial",
            "url": sweep.server.url,
            "api_key": sweep.server.api_key,
            "dir": sweep.dir,
            **arguments,
        }
        run = init(
            sweep.project,
            workspace=sweep.workspace,
            run_id=self.run_id,
            group=sweep.name,
            config=self.params,
            **given,
        )
        run.log_others({"sweep": sweep.name, "sweep_trial": self.number, "sweep_attempt": self.attempt})
        self._run = run
        return run

    def should_stop(self, every_s: float = 1.0) -> bool:
        """Return whether the trial is to end now: `if trial.should_stop(): break`.

        The server decides by the sweep's `early_stop`, from what the runs logged as far as it can be read, which is
        about a second behind. It is asked once in `every_s` at most, waited for 2 s at most, and where it is away the
        trial goes on. Never raises. Once it is True, it stays so, and the run keeps the reason (`sweep_stopped`).
        """
        now_s = time.monotonic()
        if self.stopped or now_s < self._next_look_s:
            return bool(self.stopped)
        try:
            self.stopped = self._reason_to_stop()
        except Exception as error:
            self._notices.once("stop", f"{self} goes on: whether it is to stop cannot be asked ({error})")
        self._next_look_s = time.monotonic() + every_s
        if self.stopped and self._run is not None:
            self._run.log_other("sweep_stopped", self.stopped)
        return bool(self.stopped)

    def _reason_to_stop(self) -> str:
        about = {**self.sweep.about(), "number": str(self.number), "run": self.run_id}
        told = self.sweep.server.look("/stop", about, _STOP_TIMEOUT_S)
        return str(told["reason"]) if told["stop"] else ""
