"""A run, as the training code that writes it sees it."""

import contextlib
import os
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from runstream.client.waiting import because, wait_until_acknowledged
from runstream.client.writers import LateWriter, NullWriter, Opening, Writer, open_writer
from runstream.clock import SYSTEM_CLOCK, Clock
from runstream.notices import Notices

if TYPE_CHECKING:
    from runstream.capture.console import ConsoleCapture, Stream
    from runstream.client.background import Background
    from runstream.events.control import RunEvent

EndStatus = Literal["finished", "failed", "killed"]
#: A traceback is there to be read; the end of it says the most.
_MAX_TRACEBACK_CHARS: Final = 30_000
_MAX_MESSAGE_CHARS: Final = 2_000
#: A `finish` that nobody gave a time does not wait for a server that the sender has not reached for this long.
_STALLED_S: Final = 10.0
#: How long `finish` waits for look-ups that still run (git, packages) before it ends the run without them.
_CAPTURE_TIMEOUT_S: Final = 5.0


class Run:
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
        self._opening = opening
        self._writer = writer
        self._notices = notices
        self._clock = clock
        self._finish_timeout_s = finish_timeout_s
        self._parent = parent
        self._background: Background | None = None
        self._console: ConsoleCapture | None = None
        self._ended = False
        self._closed = False

    # Who it is.

    @property
    def run_id(self) -> str:
        """The run's id: 32 hexadecimal characters that sort by time, or what `init` was given."""
        return self._opening.run_id

    @property
    def name(self) -> str | None:
        return self._opening.name

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
        """Where the run can be read."""
        return f"{self._opening.url}/api/v1/runs/{self.run_id}"

    @property
    def joined(self) -> bool:
        """Whether another process started the run, and this one inherited or unpickled it."""
        return self._parent is not None

    @property
    def last_step(self) -> int:
        """The step of the last `log`; -1 (or one below `resume_from_step`) before any."""
        return self._writer.last_step

    @property
    def spool_folder(self) -> Path | None:
        """This writer's folder in the spool; None if it has none."""
        return self._writer.folder

    def __repr__(self) -> str:
        return f"<runstream.Run {self.run_id} {self.workspace}/{self.project} {self._opening.mode}>"

    # What it logs.

    def log(self, data: Mapping[str, Any], step: int | None = None) -> None:
        """Log numbers by metric name. Any order of steps; without one: one above that of the last call.

        A value is anything that has `__float__`: numbers, bool, scalars of numpy and torch, arrays of one number;
        NaN and the infinities are values. Nested dicts are flattened with "/". Takes about a microsecond for ten
        numbers, blocks at most while another thread does the same, and never raises.
        """
        self._writer.log_row(data, step)

    def log_params(self, values: Any) -> None:
        """Log hyper-parameters: a mapping, dataclass, pydantic model or argparse.Namespace. Nested ones are flattened
        with "."; what JSON cannot hold becomes its `str`. A later value of a name replaces the earlier one."""
        from runstream.client.content.plain import as_mapping, flat_parameters
        from runstream.events.control import ParametersLogged

        with self._never_raising("log_params"):
            mapping = as_mapping(values)
            if mapping is None:
                raise TypeError(f"parameters of type {type(values).__name__}: give a dict")
            flat = dict(flat_parameters(mapping))
            for piece in self._json_pieces("parameter", flat):
                self.event(ParametersLogged(at_us=self._clock.at_us(), values=piece))

    config = log_params

    def log_other(self, name: str, value: Any) -> None:
        """Log a single value that is no parameter: a note, a data set's version, a final score."""
        self.log_others({name: value})

    def log_others(self, values: Mapping[str, Any]) -> None:
        """As `log_other`, for several at once."""
        from runstream.events.control import OthersLogged

        with self._never_raising("log_others"):
            for piece in self._json_pieces("value", values):
                self.event(OthersLogged(at_us=self._clock.at_us(), values=piece))

    def add_tags(self, *tags: str | Iterable[str]) -> None:
        """Add tags, given one by one or as lists."""
        from runstream.events.control import TagsAdded

        with self._never_raising("add_tags"):
            self.event(TagsAdded(at_us=self._clock.at_us(), tags=_tags(tags)))

    def remove_tags(self, *tags: str | Iterable[str]) -> None:
        """Remove tags; those that the run does not have are no error."""
        from runstream.events.control import TagsRemoved

        with self._never_raising("remove_tags"):
            self.event(TagsRemoved(at_us=self._clock.at_us(), tags=_tags(tags)))

    def log_text(self, name: str, text: str, *, step: int | None = None) -> str | None:
        """Keep a text as an asset of kind `text`. Returns the asset's id, None if it was left out."""
        with self._never_raising("log_text"):
            data = str(text).encode("utf-8", "replace")
            return self._asset(data, name, "text", step, None, "text/plain; charset=utf-8")
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
            return self._asset(source, name, kind, step, metadata, None)
        return None

    def log_image(
        self, image: Any, name: str = "image.png", *, step: int | None = None, metadata: Mapping[str, Any] | None = None
    ) -> str | None:
        """Keep a picture: a matplotlib figure, a PIL image, an array or tensor ([height, width, channels], [channels,
        height, width] or [height, width]), or the path of an image file. Returns the asset's id, None if left out."""
        from runstream.client.content.images import png_bytes

        with self._never_raising("log_image"):
            source = image if isinstance(image, str | bytes | os.PathLike) else png_bytes(image)
            return self._asset(source, name, "image", step, metadata, None)
        return None

    def rename(self, name: str) -> None:
        """Give the run another name."""
        from runstream.events.control import RunRenamed

        with self._never_raising("rename"):
            self.event(RunRenamed(at_us=self._clock.at_us(), name=name))

    def notes(self, text: str) -> None:
        """Set the run's notes; they replace earlier ones."""
        from runstream.events.control import RunNotesSet

        with self._never_raising("notes"):
            self.event(RunNotesSet(at_us=self._clock.at_us(), notes=str(text).encode("utf-8", "replace").decode()))

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
        reached), and says what holds it up. What is not acknowledged then stays on the disk, where the sender goes on
        with it. Returns whether all was acknowledged. Calling it again does nothing.
        """
        if self._closed:
            return True
        try:
            return self._finish(status, timeout_s, message, error)
        except Exception as fault:  # ending a run must not fail the program that was run
            self._notices.warn(f"finishing run {self.run_id} failed: {fault!r}. What it logged stands in the spool")
            return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish(status_of(error), error=error)

    def _finish(
        self, status: EndStatus, timeout_s: float | None, message: str | None, error: BaseException | None
    ) -> bool:
        if isinstance(self._writer, LateWriter) and not self._writer.opened:
            self._closed = True  # a child that never used what it inherited has nothing to end
            self._writer = NullWriter()
            _forget(self)
            return True
        # A signal handler that interrupted `log` holds the writer's lock: whoever waited here would wait for itself.
        interrupting = self._writer.inside_call
        if self._background is not None:
            self._background.stop(0 if interrupting else _CAPTURE_TIMEOUT_S)
        if self._console is not None:
            self._console.remove()
            self._console.flush(last=True)
        if not self._ended:
            self._ended = True
            self._write_end(status, message, error)
        folder = self._writer.folder
        self._closed = self._writer.close()
        if interrupting and not self._closed:
            return False  # closed at the end of the process
        self._closed = True
        _forget(self)
        if folder is None:
            return True
        if self.mode == "offline":
            self._notices.line(f"run {self.run_id} is kept in {folder}; `runstream sync` sends it")
            return False
        return self._wait(folder, timeout_s)

    def _write_end(self, status: EndStatus, message: str | None, error: BaseException | None) -> None:
        from runstream.events.control import RunFinished

        trace = None
        if error is not None:
            message = message or f"{type(error).__name__}: {error}"
            trace = "".join(traceback.format_exception(error))[-_MAX_TRACEBACK_CHARS:]
        self.event(
            RunFinished(
                at_us=self._clock.at_us(),
                status=status,
                message=_clean(message[:_MAX_MESSAGE_CHARS]) if message else None,
                traceback=_clean(trace) if trace else None,
            )
        )

    def _wait(self, folder: Path, given_timeout_s: float | None) -> bool:
        next_seq = self._writer.next_seq
        timeout_s = self._finish_timeout_s if given_timeout_s is None else given_timeout_s
        stalled_s = _STALLED_S if given_timeout_s is None else None
        if timeout_s > 0 and self.mode == "online":
            self._ensure_sender()  # one that exits when it has nothing to do may have done so just now
        say = self._notices.line
        if wait_until_acknowledged(folder, next_seq, timeout_s, self._clock, time.sleep, say, stalled_s):
            return True
        if timeout_s > 0:
            self._notices.line(
                f"run {self.run_id} is not wholly acknowledged yet{because(folder)}. Nothing is lost: it stands in "
                f"{folder}, and the sender goes on with it; `runstream sync` waits for that"
            )
        return False

    # What the rest of the package uses.

    def attend(self, background: "Background") -> None:
        """Let `background`, which is not started yet, do this run's work off the training thread."""
        from runstream.client.background import SENDER_CHECK_S

        self._background = background
        background.on_tick(self._writer.tick)
        background.every(SENDER_CHECK_S, self._ensure_sender)

    def capture_with(self, console: "ConsoleCapture") -> None:
        """Stop `console` and take the rest of what it heard when the run ends."""
        self._console = console

    def event(self, event: "RunEvent") -> None:
        """Write a control event. Does not raise for a full disk, but for a text that UTF-8 cannot hold."""
        from runstream.events.control import encode_event

        self._writer.write_event(encode_event(event))

    def sample(self, data: Mapping[str, float], step: int) -> None:
        """As `log`, for rows that count steps of their own."""
        self._writer.log_sample(data, step)

    def output(self, stream: "Stream", text: str) -> None:
        """Keep a piece of what was printed."""
        from runstream.events.control import OutputAppended

        self.event(OutputAppended(at_us=self._clock.at_us(), stream=stream, text=_clean(text)))

    def environment(self, section: str, values: Mapping[str, Any]) -> None:
        """Keep facts about what the run runs on."""
        from runstream.events.control import EnvironmentCaptured

        with self._never_raising(f"environment {section}"):
            for piece in self._json_pieces(section, values):
                self.event(EnvironmentCaptured(at_us=self._clock.at_us(), section=section, values=piece))

    def _ensure_sender(self) -> None:
        if self.mode != "online":
            return
        try:
            from runstream.sender.start import ensure_sender

            ensure_sender(self._opening.spool)
        except Exception as error:
            self._notices.once(
                "sender",
                f"no sender can be started ({error}): what is logged stays in {self._opening.spool} until another run "
                "starts one, or `runstream sync` sends it",
            )

    def _asset(
        self,
        source: Any,
        name: str | None,
        kind: str | None,
        step: int | None,
        metadata: Mapping[str, Any] | None,
        content_type: str | None,
    ) -> str | None:
        from runstream.client.content import assets
        from runstream.events.control import AssetLogged
        from runstream.ids import new_id

        if self._closed:
            raise RuntimeError("the run is finished")
        folder = self._writer.assets_folder
        if folder is None:
            return None
        asset_id = new_id()
        file, own_name = assets.open_source(source)
        with file:
            name = name or own_name or asset_id
            content_type = content_type or assets.content_type_of(name)
            # Built before the copy: a name that cannot be used costs no disk.
            draft = AssetLogged(
                at_us=self._clock.at_us(),
                asset_id=asset_id,
                name=name,
                kind=kind or assets.kind_of(name, content_type),
                sha256="0" * 64,
                size_bytes=0,
                content_type=content_type,
                step=int(step) if step is not None else None,
                metadata=self._json_values("metadata", metadata or {}),
            )
            stored = assets.store(file, folder, asset_id)
        self.event(draft.model_copy(update={"sha256": stored.sha256, "size_bytes": stored.size_bytes}))
        return asset_id

    def _json_values(self, what: str, values: Mapping[str, Any]) -> dict[str, Any]:
        from runstream.client.content.plain import json_value

        found: dict[str, Any] = {}
        for name, value in values.items():
            odd: list[str] = []
            found[str(name)] = json_value(value, odd)
            if odd:
                self._notices.once(
                    f"odd {what} {odd[0]}",
                    f"{what} {name!r} of run {self.run_id} holds a {odd[0]}, which JSON cannot: its str() was kept",
                )
        return found

    def _json_pieces(self, what: str, values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        from runstream.client.content.plain import pieces

        return pieces(self._json_values(what, values))

    @contextlib.contextmanager
    def _never_raising(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._notices.warn(f"{what}() of run {self.run_id} was left out: {_first_lines(error)}")

    # Other processes.

    def _after_fork(self) -> None:
        """In a forked child: forget what is the parent's, and open a writer of our own when one is needed."""
        self._parent = self._writer.folder or self._parent
        self._writer.abandon()
        self._background = None
        self._console = None
        if not isinstance(self._writer, NullWriter) and not self._closed:
            self._writer = LateWriter(self._open_late)

    def _open_late(self) -> Writer:
        """A writer of this process on the run. Never raises."""
        from runstream.client.background import Background

        try:
            background = Background(self._clock)
            writer = open_writer(self._opening, self._clock, self._notices, background.wake)
            self.attend(background)
            background.on_tick(writer.tick)
            background.start()
        except Exception as error:
            self._notices.warn(f"process {os.getpid()} cannot write to run {self.run_id}, its points are lost: {error}")
            return NullWriter()
        _at_end_of_worker(self)
        return writer

    def __reduce__(self) -> tuple[Callable[..., "Run"], tuple[Any, ...]]:
        # A pickle can end up in a checkpoint: the key stays behind, and is read from the writer's folder (mode 0600).
        folder = self._writer.folder or self._parent
        return joined, (self._opening.without_key(), folder, self._finish_timeout_s)


def joined(opening: Opening, parent: Path | None, finish_timeout_s: float) -> Run:
    """The run of another process, to be written from this one: what unpickling a run calls."""
    from runstream.client.active import remember
    from runstream.spool.format import SpoolCorrupt, WriterInfo

    api_key = os.environ.get("RUNSTREAM_API_KEY") or None
    if parent is not None:
        with contextlib.suppress(OSError, SpoolCorrupt):
            api_key = WriterInfo.read(parent).api_key
    opening = Opening(**{**{name: getattr(opening, name) for name in Opening.__slots__}, "api_key": api_key})
    run = Run(opening, NullWriter(), Notices(), finish_timeout_s=finish_timeout_s, parent=parent)
    if opening.mode != "disabled":
        run._writer = LateWriter(run._open_late)
        remember(run)
    return run


def status_of(error: BaseException | None) -> EndStatus:
    """How a run ends whose code raised `error`."""
    match error:
        case None:
            return "finished"
        case KeyboardInterrupt():
            return "killed"
        case SystemExit():
            return "failed" if error.code else "finished"
        case _:
            return "failed"


def _forget(run: Run) -> None:
    from runstream.client.active import forget

    forget(run)


def _at_end_of_worker(run: Run) -> None:
    from runstream.client.active import at_end_of_worker

    at_end_of_worker(run)


def _tags(tags: tuple[str | Iterable[str], ...]) -> tuple[str, ...]:
    found: list[str] = []
    for tag in tags:
        found.extend([tag] if isinstance(tag, str) else tag)
    return tuple(dict.fromkeys(found))


def _clean(text: str) -> str:
    """Without lone surrogates, which UTF-8 cannot hold."""
    return text.encode("utf-8", "replace").decode()


def _first_lines(error: Exception) -> str:
    details = getattr(error, "errors", None)
    if callable(details):
        with contextlib.suppress(Exception):
            return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in details())
    return str(error) or type(error).__name__
