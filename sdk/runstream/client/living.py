"""The life of a run in this process: its writer, the thread beside it, forks, and how it ends."""

import contextlib
import os
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from runstream.capture.masking import Masking
from runstream.client import active
from runstream.client.background import SENDER_CHECK_S, Background
from runstream.client.ending import EndStatus, end_event, status_of
from runstream.client.finishing import deleted_key, leave_end_to_sender, tell_deleted, wait_for_server
from runstream.client.leaving import exit_code_goes_to
from runstream.client.opening import OpenedRun, Opening
from runstream.client.sending import keep_sender
from runstream.client.writers import FinishedWriter, LateWriter, NullWriter, Writer, open_writer
from runstream.clock import SYSTEM_CLOCK, Clock
from runstream.deletion import is_marked_deleted
from runstream.errors import Unusable
from runstream.events.control import PointsDropped, RunEvent, encode_event
from runstream.notices import Notices
from runstream.spool.format import Acked
from runstream.spool.writer import SpoolWriter

if TYPE_CHECKING:
    from runstream.capture.console import ConsoleCapture

#: How long `finish` waits for look-ups that still run (git, packages) before it ends the run without them.
_CAPTURE_TIMEOUT_S: Final = 5.0


class LivingRun(OpenedRun):
    """A run with a writer. The base of `Run`, which has what people log."""

    def __init__(
        self,
        opening: Opening,
        writer: Writer,
        notices: Notices,
        *,
        clock: Clock = SYSTEM_CLOCK,
        finish_timeout_s: float = 30.0,
        parent: Path | None = None,
    ) -> None:
        """Made by `init`. `parent` is the folder of the writer whose run this process joined, if it did."""
        super().__init__(opening)
        self._writer = writer
        if isinstance(writer, SpoolWriter):
            self._hand_content(writer)
        self._notices = notices
        self._clock = clock
        self._finish_timeout_s = finish_timeout_s
        self._parent = parent
        #: Hides secrets in what is captured and in parameters.
        self.masking = Masking(opening.allow_secrets)
        self._background: Background | None = None
        self._console: ConsoleCapture | None = None
        #: How the run ended; None while it goes on, and where the exit code tells.
        self._end_status: EndStatus | None = None
        self._closed = False
        self._exit_code_tells = False
        self._told_hidden = False
        #: What the gateway had at the last look, what went with a folder that was removed, and where in the log it is.
        self._acknowledged = 0
        self._lost_records = 0
        self._position = ""

    @property
    def joined(self) -> bool:
        """Whether another process started the run, and this one inherited or unpickled it."""
        return self._parent is not None

    @property
    def last_step(self) -> int:
        """The highest step of all calls of `log`; before any, that of a resumed run, else -1."""
        return self._writer.last_step

    @property
    def spool_folder(self) -> Path | None:
        """This writer's folder in the spool; None if it has none."""
        return self._writer.folder

    @property
    def position(self) -> str:
        """Where in the log the end of this run is, once `finish` returned: what a read on another server waits for
        (`wait_for`). Empty before, and where it is not known."""
        return self._position

    def __repr__(self) -> str:
        return f"<runstream.Run {self.run_id} {self.workspace}/{self.project} {self._opening.mode}>"

    # How it ends.

    def finish(
        self,
        status: EndStatus = "finished",
        timeout_s: float | None = None,
        *,
        message: str | None = None,
        error: BaseException | None = None,
    ) -> bool:
        """End this writer's part of the run, and wait until everything is acknowledged.

        Waits at most `timeout_s` (if None: the setting `finish_timeout_s`, and 10 s for a server that cannot be
        reached), and says what holds it up; then until reads show it. What is not acknowledged then stays on the disk,
        where the sender goes on with it. Returns whether all was acknowledged and nothing was lost. Calling it again
        does nothing.
        """
        return self._finish_quietly(status, timeout_s, message, error)

    def flush_output(self) -> None:
        """Keep what was printed until now, lines that are not complete too. What this returned for survives a kill of
        this process."""
        if self._console is not None:
            self._console.flush(last=True)

    def leave_end_to_exit_code(self, timeout_s: float | None = None) -> None:
        """End as the exit code of this process will tell: the sender reads it when the process is gone. For the end of
        the program; waits as `finish` does."""
        self._finish_quietly(None, timeout_s, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish(status_of(error), error=error)

    def _finish_quietly(
        self, status: EndStatus | None, timeout_s: float | None, message: str | None, error: BaseException | None
    ) -> bool:
        if self._closed:
            return True
        try:
            return self._finish(status, timeout_s, message, error)
        except Exception as fault:  # ending a run must not fail the program that was run
            self._notices.warn(f"finishing run {self.run_id} failed: {fault!r}. What it logged stands in the spool")
            return False

    def _finish(
        self, status: EndStatus | None, timeout_s: float | None, message: str | None, error: BaseException | None
    ) -> bool:
        if isinstance(self._writer, LateWriter) and not self._writer.opened:
            self._closed = True  # a child that never used what it inherited has nothing to end
            self._writer = FinishedWriter(self.run_id, self._notices)
            active.forget(self)
            return True
        # A signal handler that interrupted `log` holds the writer's lock: whoever waited here would wait for itself.
        interrupting = self._writer.inside_call
        if self._background is not None:
            self._background.stop(0 if interrupting else _CAPTURE_TIMEOUT_S)
        self._keep_spool()
        self._closed = self._end(status, message, error)
        if interrupting and not self._closed:
            return False  # closed at the end of the process
        self._closed = True
        active.forget(self)
        try:
            return self._wait(timeout_s)
        finally:
            if not self._exit_code_tells:  # else the lock goes with the process
                self._writer.release()

    def _wait(self, timeout_s: float | None) -> bool:
        """Wait until the server has everything. False if it does not, or if something was lost."""
        if self.mode == "offline":
            folder = self._writer.folder
            self._notices.line(f"run {self.run_id} is kept in {folder}; `runstream sync` sends it")
            return False
        acknowledged, self._position = wait_for_server(
            self._writer,
            self._opening,
            self._notices,
            self._clock,
            timeout_s=self._finish_timeout_s if timeout_s is None else timeout_s,
            given=timeout_s is not None,
            keep_sender=self._ensure_sender,
        )
        return acknowledged and not self._writer.lost and not self._lost_records

    def _end(self, status: EndStatus | None, message: str | None, error: BaseException | None) -> bool:
        """Write the last words and close the writer; without a status the exit code tells it. False if a signal handler
        calls this inside another call of the writer."""
        if self._console is not None:
            self._console.remove()
            self._console.flush(last=True)
        if self._end_status is None and not self._exit_code_tells:
            self._exit_code_tells = status is None and exit_code_goes_to(self._writer.folder)
            if not self._exit_code_tells:
                self._end_status = status or "finished"  # the best guess where nobody tells
                self.event(end_event(self._end_status, message, error, self._writer.at_us(), self.masking.trace))
            self.tell_hidden()
        if not self._writer.seal():
            return False
        if self._exit_code_tells or self._writer.lost:
            told = self.masking.trace(message) if message else None
            at_us = self._writer.at_us()
            leave_end_to_sender(self._writer, self.run_id, self._notices, self._end_status, told, at_us)
        return True

    def _keep_spool(self) -> None:
        """Go on in a new folder where somebody removed this writer's; what was not sent is lost, and counted."""
        writer = self._writer
        if (folder := writer.folder) is None or self._closed:
            return
        if folder.exists():
            self._acknowledged = Acked.read(folder).next_seq
            return
        # A resumed attempt takes the place of the writer that nobody will hear of again.
        opening = replace(self._opening, first_step=writer.last_step + 1, resumed=True)
        wake = self._background.wake if self._background is not None else None
        try:
            self._writer = fresh = open_writer(opening, self._clock, self._notices, wake)
        except Unusable as error:
            what = f"run {self.run_id}: its folder {folder} was removed, and there can be no other"
            self._notices.once(f"{self.run_id} removed", f"{what} ({error}). What it logs until then is lost")
            return
        self._hand_content(fresh)
        lost = max(writer.next_seq - self._acknowledged, 1)
        self._lost_records += lost
        self._acknowledged = 0
        writer.abandon()
        reason = f"the folder {folder} was removed before up to {lost} rows and events of it were sent"
        self.event(PointsDropped(at_us=self._writer.at_us(), count=lost, reason=reason))
        self._notices.warn(f"run {self.run_id}: {reason}: they are lost; it goes on in {self._writer.folder}")

    # What the rest of the package uses.

    def attend(self, background: Background) -> None:
        """Let `background`, which is not started yet, do this run's work off the training thread."""
        self._background = background
        background.on_tick(lambda: self._writer.tick())
        background.every(SENDER_CHECK_S, self._keep_spool)
        background.every(SENDER_CHECK_S, self._ensure_sender)
        background.every(SENDER_CHECK_S, self._tell_deleted)

    def capture_with(self, console: "ConsoleCapture") -> None:
        """Stop `console` and take the rest of what it heard when the run ends."""
        self._console = console

    def terminate(self, message: str) -> None:
        """End as killed, from a signal handler that ends the process after it. Waits for nobody; never raises."""
        if self._closed or (isinstance(self._writer, LateWriter) and not self._writer.opened):
            return
        with contextlib.suppress(Exception):
            self._notices.mute()
            self._writer.take_over()
            self._end("killed", message, None)
            self._writer.release()

    def event(self, event: RunEvent) -> bool:
        """Write a control event. False if it had to be given up; raises for values that are not made of JSON's."""
        return self._writer.write_event(encode_event(event))

    def tell_hidden(self) -> None:
        """Tell what was hidden since the last call, as names. The first call comes from the thread that captures."""
        self._told_hidden = True
        if self.mode != "disabled" and (news := self.masking.news()) is not None:
            self._notices.warn(f"run {self.run_id}: {news}")

    def _tell_hidden_soon(self) -> None:
        """With what is captured at first, so that one notice has all; at once after that, or where nothing captures."""
        if self._told_hidden or self._background is None:
            self.tell_hidden()

    def _tell_deleted(self) -> None:
        """Say that somebody deleted the run, which the sender asks for; again if it happens again."""
        if (folder := self._writer.folder) is None:
            return
        if is_marked_deleted(folder):
            tell_deleted(self.run_id, self._notices)
        else:
            self._notices.forget(deleted_key(self.run_id))

    def _hand_content(self, writer: SpoolWriter) -> None:
        """Tell a new writer who takes values of `log` that are no numbers."""

    def _ensure_sender(self) -> None:
        if self.mode == "online":
            keep_sender(self._opening.spool, self._notices)

    # Other processes.

    def after_fork(self) -> None:
        """In a forked child: forget what is the parent's, and open a writer of our own when one is needed."""
        self._parent = self._writer.folder or self._parent
        self._writer.abandon()
        self._background = None
        self._console = None
        if not isinstance(self._writer, NullWriter) and not self._closed:
            self._writer = LateWriter(self._open_late)

    def _open_late(self) -> Writer:
        """A writer of this process on the run. Never raises."""
        try:
            background = Background(self._clock)
            writer = open_writer(self._opening, self._clock, self._notices, background.wake)
            self._hand_content(writer)
            self.attend(background)
            background.on_tick(writer.tick)
            background.start()
        except Exception as error:
            self._notices.warn(f"process {os.getpid()} cannot write to run {self.run_id}, its points are lost: {error}")
            return NullWriter()
        active.writes_here(self)
        return writer
