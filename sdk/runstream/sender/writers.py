"""One writer's folder as the sender sees it: how far it is, whether its process lives, what was refused."""

import contextlib
import fcntl
import json
import logging
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runstream.clock import Clock
from runstream.events.control import encode_event
from runstream.events.encoding import heartbeat
from runstream.events.frame import InvalidFrame
from runstream.private import NotPrivate, make_inside, open_own, write_own
from runstream.sender.ends import append_event, last_event
from runstream.sender.frames import dropped_frame, frame_from_window
from runstream.spool.ending import exit_code_is_awaited, write_position
from runstream.spool.format import Acked, SpoolCorrupt, WriterInfo, write_private_json
from runstream.spool.reader import Backlog, EventRecord, SpoolReader, Window

#: What a gateway takes for silence begins at 30 s: six beats.
HEARTBEAT_S: Final = 5.0
#: After something that only a person or another gateway can change.
STUCK_RETRY_S: Final = 15.0
#: A file in a writer's folder that says why the rest of it is not sent. Each new sender tries once more.
CORRUPT_MARK: Final = "corrupt"
#: How many records may be set aside at once when refusals follow each other without anything accepted in between.
_MOST_SET_ASIDE: Final = 1 << 20
_UNBOUNDED: Final = 1 << 62
SHA256: Final = re.compile(r"[0-9a-f]{64}\Z")

log = logging.getLogger("runstream.sender")


@dataclass(frozen=True, slots=True)
class Part:
    """One frame of a request. `stand_in`: it takes the place of records that were set aside."""

    writer: "SpooledWriter"
    window: Window
    frame: bytes
    stand_in: bool = False


class SpooledWriter:
    """Used by one thread, that of its channel; `abandoned` may be set by another.

    `place` is where the first record begins that is not acknowledged. Records are read from there as often as needed,
    so nothing that was not acknowledged lives in memory alone.
    """

    def __init__(self, folder: Path, info: WriterInfo, rejected_dir: Path, clock: Clock) -> None:
        self.folder = folder
        self.info = info
        self.reader = SpoolReader(folder)
        self.place = Acked.read(folder)
        #: Why this writer does not go on, and whether it never will (its spool is damaged).
        self.problem: str | None = None
        self.corrupt = False
        self.set_aside_count = 0
        #: The event in front of which it waits for an upload, if nothing before it is left to send.
        self.held_by: EventRecord | None = None
        self.gone = False
        self.abandoned = False
        self.hold_until_s = 0.0
        self.next_look_s = 0.0
        #: Its files are closed until the next look, because too many are open.
        self.parked = False
        #: When the gateway last heard of it, and when its lock was last seen to be held.
        self.heard_s = clock.monotonic_s()
        self.seen_alive_s = float("-inf")
        self._rejected_dir = rejected_dir
        self._clock = clock
        self._lock_descriptor: int | None = None
        self._acked_descriptor: int | None = None
        #: After a refusal: the most records a window may have until something is accepted, and how many of them may
        #: be set aside at once.
        self._max_seqs: int | None = None
        self._may_set_aside = 1
        self._stand_in: tuple[Window, str] | None = None
        with contextlib.suppress(OSError):
            (folder / CORRUPT_MARK).unlink()
        if self.place == Acked() and (first := self._first()) is not None:
            self.place = first
            self.reader.close()  # many may be found before the first is looked at

    @property
    def writer_id(self) -> str:
        return self.info.writer_id

    @property
    def settled(self) -> bool:
        """Whether nothing more will come of it: removed, or dead and damaged."""
        return self.gone or self.abandoned or (self.corrupt and self._lock_descriptor is not None)

    @property
    def ending(self) -> bool:
        """Whether its process has ended the run, or is about to: then its lock tells more than its records."""
        return self.reader.ended or exit_code_is_awaited(self.folder)

    def asset_path(self, sha256: str) -> Path:
        """Where the writer put its copy of a file that is to be uploaded."""
        return self.folder / "assets" / sha256

    def begun_more(self) -> bool:
        """Whether a record begins behind what is acknowledged: a look at memory, for which a parked one is not
        opened."""
        return not (self.corrupt or self.parked) and self.reader.has_more(self.place)

    @property
    def open_files(self) -> int:
        """How many files it has open, without the lock of a dead writer."""
        return self.reader.open_segments + (self._acked_descriptor is not None)

    def park(self) -> None:
        """Close its files until it is looked at again. Nothing of it is lost: all of it stands on the disk."""
        self.parked = True
        self.reader.close()
        self._close_acked()

    def next_part(self, after: Acked, max_bytes: int, may_send: Callable[[EventRecord], bool]) -> Part | None:
        """The frame of what is committed from `after` on; None if there is nothing that may be sent now."""
        if self.corrupt:
            return None
        if self._stand_in is not None:
            window, reason = self._stand_in
            frame = dropped_frame(self.writer_id, self.info.run_id, window, reason, self._clock.at_us())
            return Part(self, window, frame, stand_in=True) if after == window.start else None
        if self._max_seqs is not None and after != self.place:
            return None  # alone in its request until what was refused is found
        try:
            window = self.reader.read(after, max_bytes, self._max_seqs or _UNBOUNDED, may_send)
        except SpoolCorrupt as error:
            self.give_up(str(error))
            return None
        if after == self.place:
            self.held_by = window.held_by if not window.seqs else None
        if not window.seqs:
            return None
        try:
            return Part(self, window, frame_from_window(self.writer_id, self.info.run_id, window))
        except InvalidFrame as error:
            if after != self.place:
                return None  # when what is before it is acknowledged
            self.refused([Part(self, window, b"")], str(error))
            return self.next_part(after, max_bytes, may_send)

    def beat(self) -> Part:
        """A heartbeat: a frame that covers nothing."""
        window = Window(self.place, self.place)
        return Part(self, window, heartbeat(self.writer_id, self.info.run_id, self.place.next_seq))

    def acknowledged(self, parts: list[Part], next_seq: int, position: str = "") -> None:
        """The gateway has everything before `next_seq`, after `parts` were sent (in this order).

        A response acknowledges what was sent and nothing else. A number beyond that is what remains after a crash that
        lost the `acked` file: the records up to it are sent once more, and the gateway drops them as duplicates.
        `position` is where in the log they are: whoever ended the run may wait until it can be read.
        """
        if position and self.ending:
            with contextlib.suppress(OSError):  # then nobody waits
                write_position(self.folder, position)
        self.heard_s = self._clock.monotonic_s()
        self.problem = None if not self.corrupt else self.problem
        for part in parts:
            if part.window.end.next_seq > next_seq:
                break
            if part.window.seqs:
                self._advanced(part)
        if next_seq < self.place.next_seq:
            self.moved_back(next_seq)
        elif next_seq > self.place.next_seq:
            self._gateway_is_ahead(next_seq)

    def moved_back(self, next_seq: int) -> bool:
        """Go on at `next_seq`, which the gateway expects and which lies before what it was sent. False if it does not,
        or if the spool has it no more."""
        if next_seq >= self.place.next_seq or self.corrupt:
            return False
        try:
            found = self.reader.locate(next_seq)
        except SpoolCorrupt as error:
            self.give_up(str(error))
            return False
        if found is not None:
            log.warning("writer %s goes on at %d instead of %d", self.writer_id, next_seq, self.place.next_seq)
            self._stand_in = None
            self._store(found)
            return True
        self.hold(
            f"the gateway expects number {next_seq} of writer {self.writer_id}, but its spool no longer has that "
            f"(it is at {self.place.next_seq}): the gateway lost data that it had acknowledged, or it is another one"
        )
        return False

    def _gateway_is_ahead(self, next_seq: int) -> None:
        """The gateway says that it has more than it was sent. Only what the spool never had may be passed over."""
        try:
            end = self.reader.last(self.place)
        except SpoolCorrupt as error:
            self.give_up(str(error))
            return
        if next_seq <= end.next_seq:
            return
        if self.alive():
            self.hold(
                f"the gateway expects number {next_seq} of writer {self.writer_id}, but that has only written up to "
                f"{end.next_seq}: two writers with one id, or a spool that was put back from a copy"
            )
        elif end == self.place:
            log.warning("the gateway has writer %s up to %d, its spool ends before", self.writer_id, next_seq)
            self.reader.ended = True

    def refused(self, parts: list[Part], reason: str) -> None:
        """The gateway will never take one of `parts`. Narrow down which record it is, or set it aside."""
        part = parts[0]
        if part.stand_in or not part.window.seqs:
            self.hold(reason)
        elif len(parts) > 1:
            self._max_seqs = part.window.seqs
        elif part.window.seqs > self._may_set_aside:
            self._max_seqs = max(part.window.seqs // 2, self._may_set_aside)
        else:
            self.set_aside(part.window, part.frame, reason)
            self._max_seqs = self._may_set_aside = min(self._may_set_aside * 2, _MOST_SET_ASIDE)

    def set_aside(self, window: Window, frame: bytes, reason: str) -> None:
        """Keep `window` and the files that it names under rejected/ with the reason, and send a word about it in its
        place."""
        make_inside(self._rejected_dir)
        self._keep_assets(window)
        name = f"{self.writer_id}-{window.start.next_seq}-{window.end.next_seq}"
        if frame:
            write_own(self._rejected_dir / f"{name}.frame", frame)
        else:
            pieces = [event.data for event in window.events]
            pieces += [piece for group in window.groups.values() for piece in group.pieces]
            write_own(self._rejected_dir / f"{name}.records", b"".join(pieces))
        told: dict[str, object] = {
            "writer_id": self.writer_id,
            "run_id": self.info.run_id,
            "url": self.info.url,
            "reason": reason,
        }
        numbers: dict[str, object] = {
            "first_seq": window.start.next_seq,
            "end_seq": window.end.next_seq,
            "at_us": self._clock.at_us(),
        }
        write_private_json(self._rejected_dir / f"{name}.json", told | numbers)
        log.error("set aside %d records of writer %s as %s: %s", window.seqs, self.writer_id, name, reason)
        self.set_aside_count += window.seqs
        self._stand_in = (window, f"set aside by the sender as {name}: {reason}")

    def _keep_assets(self, window: Window) -> None:
        """The copies of files go with the writer's folder: what was not stored anywhere stays under rejected/."""
        for event in window.events:
            sha256 = str(event.fields.get("sha256"))
            if event.type != "asset_logged.v1" or not SHA256.match(sha256):
                continue
            path, kept = self.asset_path(sha256), self._rejected_dir / f"{sha256}.asset"
            try:
                os.close(open_own(path))
                os.link(path, kept, follow_symlinks=False)
            except (FileNotFoundError, FileExistsError, NotPrivate):
                continue  # nothing of ours, or there already
            except OSError:  # a file system without links, another user's file
                path.replace(kept)

    def set_aside_next(self, reason: str) -> None:
        """Set the next record alone aside: something that it needs will never be there."""
        window = self.reader.read(self.place, max_seqs=1)
        self.held_by = None
        if window.seqs:
            self.set_aside(window, b"", reason)

    def hold(self, reason: str, wait_s: float = STUCK_RETRY_S) -> None:
        """Leave this writer alone for `wait_s`, and say why."""
        if reason != self.problem:
            log.error("writer %s: %s", self.writer_id, reason)
        self.problem = reason
        self.hold_until_s = self._clock.monotonic_s() + wait_s

    def alive(self) -> bool:
        """Whether the writing process still holds its lock. If not, this takes it and keeps it."""
        if self._lock_descriptor is not None:
            return False
        try:
            descriptor = open_own(self.folder / "lock", os.O_RDWR | os.O_CREAT)
        except FileNotFoundError:
            self.gone = True
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return True
        self._lock_descriptor = descriptor
        return False

    def conclude(self) -> bool:
        """With a writer that is dead and of which everything is acknowledged: say how it ended, unless it did so
        itself; then remove its folder. True once it is gone. Raises OSError (a full disk); may be called again."""
        if self.alive() or self.corrupt or self.reader.unsure:
            return self.gone
        end = self.reader.last(self.place)
        if end.next_seq != self.place.next_seq:
            return False
        # Behind it may stand a set of metrics whose first row was never written.
        if not self.reader.ended and self.place.next_seq:
            last = last_event(self.folder, self.info, self.place.next_seq, self._clock.at_us())
            log.info("writer %s of run %s: %s", self.writer_id, self.info.run_id, last)
            self.reader.close()
            append_event(self.folder, self.writer_id, end, encode_event(last), self._clock.at_us())
            return False
        self._remove()
        return True

    def backlog(self) -> Backlog:
        """What waits; nothing where the spool cannot be read (then `problem` says so)."""
        if self.corrupt:
            return Backlog(0, 0)
        try:
            return self.reader.backlog(self.place)
        except SpoolCorrupt:
            return Backlog(0, 0)  # `next_part` comes upon it as well, and says so

    def close(self) -> None:
        """Release maps, descriptors and the lock."""
        self.reader.close()
        self._close_acked()
        if self._lock_descriptor is not None:
            os.close(self._lock_descriptor)
        self._lock_descriptor = None

    def _close_acked(self) -> None:
        if self._acked_descriptor is not None:
            os.close(self._acked_descriptor)
        self._acked_descriptor = None

    def _advanced(self, part: Part) -> None:
        self._store(part.window.end)
        if part.stand_in:
            self._stand_in = None
            return
        self._may_set_aside = 1
        if self._max_seqs is not None:
            self._max_seqs = self._max_seqs * 2 if self._max_seqs < _MOST_SET_ASIDE else None
        for event in part.window.events:
            if event.type == "asset_logged.v1":
                with contextlib.suppress(OSError):
                    self.asset_path(Path(str(event.fields.get("sha256"))).name).unlink(missing_ok=True)

    def _store(self, place: Acked) -> None:
        if self._acked_descriptor is None:
            self._acked_descriptor = open_own(self.folder / "acked", os.O_WRONLY | os.O_CREAT)
        os.pwrite(self._acked_descriptor, place.pack(), 0)
        if self.parked:
            self._close_acked()
        if place.segment > self.place.segment:
            self.reader.forget_before(place)
        self.place = place

    def _first(self) -> Acked | None:
        try:
            return self.reader.first()
        except SpoolCorrupt as error:
            self.give_up(str(error))
            return None

    def give_up(self, reason: str) -> None:
        """Its spool is damaged: leave the rest of it where it is."""
        log.error("writer %s is set aside as corrupt: %s", self.writer_id, reason)
        self.problem, self.corrupt = reason, True
        mark = {"reason": reason, "next_seq": self.place.next_seq, "at_us": self._clock.at_us()}
        with contextlib.suppress(OSError):
            write_own(self.folder / CORRUPT_MARK, json.dumps(mark).encode())

    def _remove(self) -> None:
        """Out of the way in one step, so that no half of a folder is ever taken for a writer."""
        removed = self.folder.parent.parent / "removed"
        make_inside(removed)
        target = removed / self.folder.name
        self.folder.rename(target)
        self.gone = True
        self.close()
        shutil.rmtree(target, ignore_errors=True)
