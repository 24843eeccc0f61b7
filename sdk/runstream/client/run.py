"""A run, as the training code that writes it sees it."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from runstream.capture.masking import Masking
from runstream.client import active
from runstream.client.background import SENDER_CHECK_S, Background
from runstream.client.content.assets import Description, keep
from runstream.client.content.images import png_bytes
from runstream.client.content.plain import as_mapping, flat_parameters, json_values, pieces
from runstream.client.content.text import clean, flat_tags, reason_of
from runstream.client.ending import EndStatus, end_event, status_of
from runstream.client.finishing import leave_end_to_sender, wait_for_server
from runstream.client.leaving import exit_code_goes_to
from runstream.client.opening import OpenedRun, Opening
from runstream.client.sending import keep_sender
from runstream.client.writers import FinishedWriter, LateWriter, NullWriter, Writer, open_writer
from runstream.clock import SYSTEM_CLOCK, Clock
from runstream.events.control import (
    EnvironmentCaptured,
    OthersLogged,
    OutputAppended,
    ParametersLogged,
    PointsDropped,
    RunEvent,
    RunNotesSet,
    RunRenamed,
    TagsAdded,
    TagsRemoved,
    encode_event,
)
from runstream.ids import new_id
from runstream.notices import Notices
from runstream.settings import origin_of
from runstream.spool.format import Acked, SpoolCorrupt, WriterInfo

if TYPE_CHECKING:
    from runstream.capture.console import ConsoleCapture, Stream

#: How long `finish` waits for look-ups that still run (git, packages) before it ends the run without them.
_CAPTURE_TIMEOUT_S: Final = 5.0


class Run(OpenedRun):
    """One writer on one run: what `init` returns.

    Every method may be called from any thread. None of them raises for bad data, a full disk or an absent server: it
    says once what was left out, and why, and goes on. What a method returned for stands on the disk and survives a
    kill of the process. A forked child that uses a run it inherited gets a writer of its own on the same run; so does
    a process that unpickles one.
    """

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
        self._notices = notices
        self._clock = clock
        self._finish_timeout_s = finish_timeout_s
        self._parent = parent
        #: Hides secrets in what is captured and in parameters.
        self.masking = Masking(opening.allow_secrets)
        self._background: Background | None = None
        self._console: ConsoleCapture | None = None
        self._ended = False
        self._closed = False
        self._exit_code_tells = False
        self._told_hidden = False
        #: What the gateway had at the last look, what went with a folder that was removed, and where in the log it is.
        self._acknowledged = 0
        self._lost_records = 0
        self._position = ""

    # Who it is.

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

    # What it logs.

    def log(self, data: Mapping[str, Any], step: int | None = None) -> None:
        """Log numbers by metric name. Any order of steps; without one: one above the highest so far.

        A value is anything that has `__float__`: numbers, bool, scalars of numpy and torch, arrays of one number;
        NaN and the infinities are values. Nested dicts are flattened with "/". Takes about a microsecond for ten
        numbers, blocks at most while another thread does the same, and never raises.
        """
        self._writer.log_row(data, step)

    def log_params(self, values: Any) -> None:
        """Log hyper-parameters: a mapping, dataclass, pydantic model or argparse.Namespace. Nested ones are flattened
        with "."; what JSON cannot hold becomes its `str`. A later value of a name replaces the earlier one."""
        with self._never_raising("log_params"):
            mapping = as_mapping(values)
            if mapping is None:
                raise TypeError(f"parameters of type {type(values).__name__}: give a dict")
            flat = dict(flat_parameters(mapping))
            for piece in self._json_pieces("parameter", flat):
                self.event(ParametersLogged(at_us=self._clock.at_us(), values=piece))
        self._tell_hidden_soon()

    config = log_params

    def log_other(self, name: str, value: Any) -> None:
        """Log a single value that is no parameter: a note, a data set's version, a final score."""
        self.log_others({name: value})

    def log_others(self, values: Mapping[str, Any]) -> None:
        """As `log_other`, for several at once."""
        with self._never_raising("log_others"):
            for piece in self._json_pieces("value", values):
                self.event(OthersLogged(at_us=self._clock.at_us(), values=piece))
        self._tell_hidden_soon()

    def add_tags(self, *tags: str | Iterable[str]) -> None:
        """Add tags, given one by one or as lists."""
        with self._never_raising("add_tags"):
            self.event(TagsAdded(at_us=self._clock.at_us(), tags=flat_tags(tags)))

    def remove_tags(self, *tags: str | Iterable[str]) -> None:
        """Remove tags; those that the run does not have are no error."""
        with self._never_raising("remove_tags"):
            self.event(TagsRemoved(at_us=self._clock.at_us(), tags=flat_tags(tags)))

    def log_text(self, name: str, text: str, *, step: int | None = None) -> str | None:
        """Keep a text as an asset of kind `text`. Returns the asset's id, None if it was left out."""
        with self._never_raising("log_text"):
            data = str(text).encode("utf-8", "replace")
            return self._asset(data, name, "text", step, content_type="text/plain; charset=utf-8")
        return None

    def log_asset(
        self,
        source: str | os.PathLike[str] | bytes | Any,
        name: str | None = None,
        kind: str | None = None,
        step: int | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> str | None:
        """Keep a file of the run: a path, bytes, or an open file (read from where it stands).

        It is copied into the spool before this returns, so it may be changed or deleted afterwards. `kind` is guessed
        from the name: image, text, table, audio, video, model or asset. Returns the asset's id, None if left out.
        """
        with self._never_raising("log_asset"):
            return self._asset(source, name, kind, step, metadata)
        return None

    def log_image(
        self, image: Any, name: str = "image.png", *, step: int | None = None, metadata: Mapping[str, Any] | None = None
    ) -> str | None:
        """Keep a picture: a matplotlib figure, a PIL image, an array or tensor ([height, width, channels], [channels,
        height, width] or [height, width]), or the path of an image file. Returns the asset's id, None if left out."""
        with self._never_raising("log_image"):
            source = image if isinstance(image, str | bytes | os.PathLike) else png_bytes(image)
            return self._asset(source, name, "image", step, metadata)
        return None

    def rename(self, name: str) -> None:
        """Give the run another name."""
        with self._never_raising("rename"):
            self.event(RunRenamed(at_us=self._clock.at_us(), name=name))

    def notes(self, text: str) -> None:
        """Set the run's notes; they replace earlier ones."""
        with self._never_raising("notes"):
            self.event(RunNotesSet(at_us=self._clock.at_us(), notes=clean(str(text))))

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
        if self._closed:
            return True
        try:
            return self._finish(status, timeout_s, message, error)
        except Exception as fault:  # ending a run must not fail the program that was run
            self._notices.warn(f"finishing run {self.run_id} failed: {fault!r}. What it logged stands in the spool")
            return False

    def leave_end_to_exit_code(self, timeout_s: float | None = None) -> None:
        """End as the exit code of this process will tell: the sender reads it when the process is gone. For the end of
        the program; waits as `finish` does."""
        if not self._closed:
            try:
                self._finish(None, timeout_s, None, None)
            except Exception as fault:
                self._notices.warn(f"ending run {self.run_id} failed: {fault!r}. What it logged stands in the spool")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish(status_of(error), error=error)

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
        if not self._ended:
            self._ended = True
            self._exit_code_tells = status is None and exit_code_goes_to(self._writer.folder)
            if not self._exit_code_tells:
                end = status or "finished"  # the best guess where nobody tells
                self.event(end_event(end, message, error, self._clock.at_us(), self.masking.trace))
            self.tell_hidden()
        if not self._writer.seal():
            return False
        if self._exit_code_tells or self._writer.lost:
            told = self.masking.trace(message) if message else None
            leave_end_to_sender(self._writer, self.run_id, self._notices, status, told, self._clock.at_us())
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
        self._writer = open_writer(opening, self._clock, self._notices, wake)
        lost = max(writer.next_seq - self._acknowledged, 1)
        self._lost_records += lost
        self._acknowledged = 0
        writer.abandon()
        reason = f"the folder {folder} was removed before up to {lost} rows and events of it were sent"
        self.event(PointsDropped(at_us=self._clock.at_us(), count=lost, reason=reason))
        self._notices.warn(f"run {self.run_id}: {reason}: they are lost; it goes on in {self._writer.folder}")

    # What the rest of the package uses.

    def attend(self, background: Background) -> None:
        """Let `background`, which is not started yet, do this run's work off the training thread."""
        self._background = background
        background.on_tick(lambda: self._writer.tick())
        background.every(SENDER_CHECK_S, self._keep_spool)
        background.every(SENDER_CHECK_S, self._ensure_sender)

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

    def event(self, event: RunEvent) -> None:
        """Write a control event. Does not raise for a full disk, but for a text that UTF-8 cannot hold."""
        self._writer.write_event(encode_event(event))

    def sample(self, data: Mapping[str, float], step: int) -> None:
        """As `log`, for rows that count steps of their own."""
        self._writer.log_sample(data, step)

    def output(self, stream: "Stream", text: str) -> None:
        """Keep a piece of what was printed."""
        self.event(OutputAppended(at_us=self._clock.at_us(), stream=stream, text=clean(text)))

    def environment(self, section: str, values: Mapping[str, Any]) -> None:
        """Keep facts about what the run runs on."""
        with self._never_raising(f"environment {section}"):
            for piece in pieces(self.masking.facts(section, self._json_values(section, values))):
                self.event(EnvironmentCaptured(at_us=self._clock.at_us(), section=section, values=piece))

    def tell_hidden(self) -> None:
        """Tell what was hidden since the last call, as names. The first call comes from the thread that captures."""
        self._told_hidden = True
        if self.mode != "disabled" and (news := self.masking.news()) is not None:
            self._notices.warn(f"run {self.run_id}: {news}")

    def _tell_hidden_soon(self) -> None:
        """With what is captured at first, so that one notice has all; at once after that, or where nothing captures."""
        if self._told_hidden or self._background is None:
            self.tell_hidden()

    def _ensure_sender(self) -> None:
        if self.mode == "online":
            keep_sender(self._opening.spool, self._notices)

    def _asset(
        self,
        source: Any,
        name: str | None,
        kind: str | None,
        step: int | None,
        metadata: Mapping[str, Any] | None = None,
        content_type: str | None = None,
    ) -> str | None:
        if self._closed:
            self._notices.finished(self.run_id)
            return None
        folder = self._writer.assets_folder
        if folder is None:
            return None
        asset_id = new_id()
        described = Description(
            name,
            kind,
            step,
            self.masking.values("metadata", self._json_values("metadata", metadata or {})),
            content_type,
        )
        self.event(keep(source, folder, described, asset_id, self._clock.at_us()))
        return asset_id

    def _json_values(self, what: str, values: Mapping[str, Any]) -> dict[str, Any]:
        def tell(name: str, odd: str) -> None:
            of = f"{what} {name!r} of run {self.run_id}"
            self._notices.once(f"odd {what} {odd}", f"{of} holds a {odd}, which JSON cannot: its str() was kept")

        return json_values(values, tell)

    def _json_pieces(self, what: str, values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        return pieces(self.masking.values(what, self._json_values(what, values)))

    @contextlib.contextmanager
    def _never_raising(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._notices.warn(f"{what}() of run {self.run_id} was left out: {reason_of(error)}")

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
            self.attend(background)
            background.on_tick(writer.tick)
            background.start()
        except Exception as error:
            self._notices.warn(f"process {os.getpid()} cannot write to run {self.run_id}, its points are lost: {error}")
            return NullWriter()
        active.writes_here(self)
        return writer

    def __reduce__(self) -> tuple[Callable[..., "Run"], tuple[Any, ...]]:
        # A pickle can end up in a checkpoint: the key stays behind, and is read from the writer's folder (mode 0600).
        folder = self._writer.folder or self._parent
        return joined, (self._opening.without_key(), folder, self._finish_timeout_s)


def joined(opening: Opening, parent: Path | None, finish_timeout_s: float) -> Run:
    """The run of another process, to be written from this one: what unpickling a run calls."""
    named = os.environ.get("RUNSTREAM_URL") or opening.url
    api_key = os.environ.get("RUNSTREAM_API_KEY") or None if origin_of(named) == origin_of(opening.url) else None
    if parent is not None:
        with contextlib.suppress(OSError, SpoolCorrupt):
            api_key = WriterInfo.read(parent).api_key
    opening = Opening(**{**{name: getattr(opening, name) for name in Opening.__slots__}, "api_key": api_key})
    run = Run(opening, NullWriter(), Notices(), finish_timeout_s=finish_timeout_s, parent=parent)
    if opening.mode != "disabled":
        run._writer = LateWriter(run._open_late)
        active.remember(run)
    return run
