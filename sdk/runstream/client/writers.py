"""Where a run's records go: into a spool writer, nowhere, or into a writer that is opened when it is first needed."""

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from runstream._version import VERSION
from runstream.client.opening import Opening, run_started
from runstream.clock import SYSTEM_CLOCK, Clock
from runstream.events.control import encode_event
from runstream.ids import new_id
from runstream.notices import Notices
from runstream.spool.backlog import Lost
from runstream.spool.format import WriterInfo
from runstream.spool.values import clean_rows
from runstream.spool.writer import SpoolWriter


class Writer(Protocol):
    """What a run needs of a writer. `SpoolWriter` says what each method promises."""

    @property
    def folder(self) -> Path | None:
        """The writer's folder; None while there is none."""

    @property
    def assets_folder(self) -> Path | None: ...
    @property
    def next_seq(self) -> int: ...
    @property
    def last_step(self) -> int: ...
    @property
    def inside_call(self) -> bool: ...
    def at_us(self) -> int: ...
    def log_row(self, data: Any, step: Any = None) -> None: ...
    def log_sample(self, data: Any, step: int) -> None: ...
    def write_event(self, payload: bytes) -> bool: ...
    def tick(self) -> None: ...
    @property
    def lost(self) -> Lost: ...
    def seal(self) -> bool: ...
    def release(self) -> None: ...
    def last_values(self) -> dict[str, float]: ...
    def take_over(self) -> None: ...
    def abandon(self) -> None: ...


class NullWriter:
    """Keeps nothing but the last values, which programs read of any run: mode `disabled`."""

    folder: Path | None = None
    assets_folder: Path | None = None
    next_seq = 0
    last_step = -1
    inside_call = False
    lost = Lost()

    def at_us(self) -> int:
        return SYSTEM_CLOCK.at_us()

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def last_values(self) -> dict[str, float]:
        return dict(self._last)

    def log_row(self, data: Any, step: Any = None) -> None:
        with contextlib.suppress(Exception):
            for row in clean_rows(data)[0]:
                self._last.update(zip(row.names, row.values, strict=True))

    def log_sample(self, data: Any, step: int) -> None:
        self.log_row(data, step)

    def write_event(self, payload: bytes) -> bool:
        return False

    def tick(self) -> None:
        return

    def seal(self) -> bool:
        return True

    def release(self) -> None:
        return

    def take_over(self) -> None:
        return

    def abandon(self) -> None:
        return


class FinishedWriter(NullWriter):
    """Refuses everything and says so once: for a run that was finished before it had a writer."""

    def __init__(self, run_id: str, notices: Notices) -> None:
        super().__init__()
        self._run_id = run_id
        self._notices = notices

    def log_row(self, data: Any, step: Any = None) -> None:
        self._notices.finished(self._run_id)

    def write_event(self, payload: bytes) -> bool:
        self._notices.finished(self._run_id)
        return False


def open_writer(
    opening: Opening, clock: Clock, notices: Notices, want_reserve: Callable[[], None] | None
) -> SpoolWriter:
    """A new writer of this process on the run, its `run_started` written. Raises Unusable, pydantic.ValidationError."""
    import psutil

    now_us = clock.at_us()
    started = run_started(opening, now_us)
    info = WriterInfo(
        writer_id=new_id(),
        run_id=opening.run_id,
        workspace=opening.workspace,
        project=opening.project,
        rank=opening.rank,
        pid=os.getpid(),
        process_started_s=psutil.Process().create_time(),
        url=opening.url,
        api_key=opening.api_key,
        mode=opening.mode,
        created_us=now_us,
        sdk_version=VERSION,
        ingest=opening.ingest,
    )
    writer = SpoolWriter(
        opening.spool, info, clock=clock, notices=notices, first_step=opening.first_step, want_reserve=want_reserve
    )
    writer.write_event(encode_event(started))
    return writer


class LateWriter:
    """Stands for a writer that is opened at the first use: in a forked child, or where a run was unpickled.

    `open_now` is called once and must not raise; what it returns does the work from then on.
    """

    def __init__(self, open_now: Callable[[], Writer]) -> None:
        self._open_now = open_now
        self._opened: Writer | None = None
        self._lock = threading.RLock()

    @property
    def opened(self) -> bool:
        return self._opened is not None

    @property
    def folder(self) -> Path | None:
        return self._opened.folder if self._opened is not None else None

    @property
    def assets_folder(self) -> Path | None:
        return self._writer().assets_folder

    @property
    def last_step(self) -> int:
        return self._opened.last_step if self._opened is not None else -1

    @property
    def next_seq(self) -> int:
        return self._opened.next_seq if self._opened is not None else 0

    @property
    def inside_call(self) -> bool:
        return self._opened is not None and self._opened.inside_call

    def at_us(self) -> int:
        return self._writer().at_us()

    def last_values(self) -> dict[str, float]:
        return self._opened.last_values() if self._opened is not None else {}

    def log_row(self, data: Any, step: Any = None) -> None:
        self._writer().log_row(data, step)

    def log_sample(self, data: Any, step: int) -> None:
        self._writer().log_sample(data, step)

    def write_event(self, payload: bytes) -> bool:
        return self._writer().write_event(payload)

    def tick(self) -> None:
        if self._opened is not None:
            self._opened.tick()

    @property
    def lost(self) -> Lost:
        return self._opened.lost if self._opened is not None else Lost()

    def seal(self) -> bool:
        return self._opened.seal() if self._opened is not None else True

    def release(self) -> None:
        if self._opened is not None:
            self._opened.release()

    def take_over(self) -> None:
        if self._opened is not None:
            self._opened.take_over()

    def abandon(self) -> None:
        self._lock = threading.RLock()
        if self._opened is not None:
            self._opened.abandon()

    def _writer(self) -> Writer:
        if self._opened is None:
            with self._lock:
                if self._opened is None:
                    self._opened = self._open_now()
        return self._opened
