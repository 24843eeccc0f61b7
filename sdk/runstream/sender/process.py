"""The sender of one spool directory: finds writers, gives each to a channel, leaves when it is not needed."""

import contextlib
import logging
import os
import random
import resource
import shutil
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from runstream.clock import SYSTEM_CLOCK, Clock
from runstream.events.kafka import InvalidAddress, KafkaAddress
from runstream.private import check_inside
from runstream.sender.assets import AssetUploads
from runstream.sender.channel import MAX_FILES, Channel, Target
from runstream.sender.deletions import LOOK_S, DeletionWatch
from runstream.sender.lock import SpoolLock
from runstream.sender.status import SenderStatus, merged
from runstream.sender.transport import HttpTransport, InvalidTarget, Transport
from runstream.sender.writers import SpooledWriter
from runstream.spool.format import SpoolCorrupt, WriterInfo

#: The file whose age says whether a `sync` in another process wants offline writers sent as well.
SYNC_MARKER: Final = "sync.wanted"
SYNC_MARKER_VALID_S: Final = 15.0
#: With two, one request is made while the gateway syncs the other: 1.1 to 1.3 times the points a second where a
#: response takes 30 ms. A third gained nothing.
CHANNELS: Final = 2
#: A sender that nobody needs leaves after this.
IDLE_EXIT_S: Final = 30.0
_TICK_S: Final = 0.2
#: A folder's time has the resolution of a kernel tick, and a folder appears before what makes it a writer's.
_RESCAN_S: Final = 2.0
_STATUS_S: Final = 1.0
#: How long requests under way may go on once the sender is told to stop, and their threads after they were cut off.
#: What was not acknowledged by then is sent again by the next sender.
_STOP_GRACE_S: Final = 3.0
_STOP_ABORTED_S: Final = 3.0
#: Two descriptors a writer, and some for connections, logs and the interpreter.
_WANTED_DESCRIPTORS: Final = 65_536
#: Kept for connections, uploads, locks of writers that are dead, and a second gateway.
_OTHER_FILES: Final = 100
#: Of one channel's writers, however few there may be.
_LEAST_FILES: Final = 8

log = logging.getLogger("runstream.sender")


@dataclass(slots=True)
class _Gateway:
    """A target's channels and uploads, and the threads that run them."""

    channels: list[Channel]
    uploads: AssetUploads
    #: One a channel, in their order, then that of the uploads.
    threads: list[threading.Thread] = field(default_factory=list)

    def abort(self) -> None:
        """Cut off what is under way."""
        for channel in self.channels:
            channel.abort()
        self.uploads.abort()


class Sender:
    """Runs in the calling thread (`run`), with threads of its own for every gateway. The caller holds the lock.

    `connect` makes the transport to a URL, `connect_kafka` the one of frames to a topic; both may raise InvalidTarget.
    `channels` is how many requests to one gateway may be under way at once (a writer is always in the same channel);
    `look_s` is how often the servers are asked for runs that were deleted.
    """

    def __init__(
        self,
        spool_dir: Path,
        *,
        include_offline: bool = False,
        channels: int = CHANNELS,
        clock: Clock = SYSTEM_CLOCK,
        uniform: Callable[[], float] = random.random,
        connect: Callable[[str], Transport] = HttpTransport,
        connect_kafka: Callable[[str, Clock], Transport] | None = None,
        look_s: float = LOOK_S,
    ) -> None:
        self.spool_dir = spool_dir
        self._stop = threading.Event()
        self._asked_to_stop = False
        self._include_offline = include_offline
        self._channel_count = channels
        self._max_files = MAX_FILES
        self._clock = clock
        self._uniform = uniform
        self._connect = connect
        self._connect_kafka = connect_kafka or connected_to_kafka
        self._gateways: dict[Target, _Gateway] = {}
        self._known: dict[str, SpooledWriter] = {}
        self._deletions = DeletionWatch(self._known_writers, look_s)
        self._offline: dict[str, WriterInfo] = {}
        self._unusable: dict[str, str] = {}
        self._scanned_ns: int | None = None
        self._scan_again_s = float("-inf")
        self._started_us = clock.at_us()
        self._trouble = ""
        self._written: SenderStatus | None = None
        self._write_at_s = float("-inf")

    def request_stop(self) -> None:
        """Make `run` return soon. For signal handlers and other threads: it only sets a flag."""
        self._asked_to_stop = True

    def run(self, lock: SpoolLock, idle_exit_s: float = IDLE_EXIT_S) -> None:
        """Send until `request_stop`, or until nobody needed this for `idle_exit_s`.

        Finishes the requests that are under way and gives the lock back before it returns.
        """
        self._max_files = max((raise_descriptor_limit() - _OTHER_FILES) // (2 * self._channel_count), _LEAST_FILES)
        removed = self.spool_dir / "removed"
        with contextlib.suppress(OSError):
            check_inside(removed)  # a named pipe would hold up what removes directories
            shutil.rmtree(removed, ignore_errors=True)
        needed_s = self._clock.monotonic_s()
        threading.Thread(target=self._deletions.run, args=(self._stop,), name="deletions", daemon=True).start()
        try:
            while not self._asked_to_stop:
                self._scan_or_tell()
                now = self._clock.monotonic_s()
                if self.needed():
                    needed_s = now
                elif now - needed_s >= idle_exit_s and self._leave(lock):
                    break
                self._tell(now, "running")
                self._stop.wait(_TICK_S)
        finally:
            self.close()
            if lock.held:
                self._tell(float("inf"), "stopped")
                lock.release()

    def needed(self) -> bool:
        """Whether a writer lives or has something to send."""
        return any(channel.busy() for gateway in self._gateways.values() for channel in gateway.channels)

    def _known_writers(self) -> list[tuple[Path, WriterInfo]]:
        return [(writer.folder, writer.info) for writer in list(self._known.values())]

    def _scan_or_tell(self) -> None:
        """A spool that cannot be read now may be read later; what was found before goes on."""
        try:
            self.scan()
            self._trouble = ""
        except OSError as error:
            if str(error) != self._trouble:
                log.error("the spool cannot be looked at: %s", error)
            self._trouble = str(error)

    def scan(self) -> None:
        """Find new writers and give each to its channel; let go of those whose folders are gone."""
        writers_dir = self.spool_dir / "writers"
        now = self._clock.monotonic_s()
        offline_too = self._include_offline or self._sync_wanted()
        if not offline_too:
            self._let_go_of_offline()
        try:
            changed_ns = writers_dir.stat().st_mtime_ns
        except FileNotFoundError:
            if not self.spool_dir.exists():
                # Somebody removed the whole spool: there is nothing to send any more, and nobody to be told.
                self.request_stop()
            return
        if changed_ns == self._scanned_ns and now < self._scan_again_s and not (offline_too and self._offline):
            return
        if changed_ns != self._scanned_ns or now >= self._scan_again_s:
            self._scan_again_s = now + _RESCAN_S
        self._scanned_ns = changed_ns
        check_inside(writers_dir)
        names = {entry.name for entry in os.scandir(writers_dir) if entry.is_dir(follow_symlinks=False)}
        for name in [name for name in self._known if name not in names]:
            self._known.pop(name).abandoned = True
        for name in [name for name in self._offline if name not in names]:
            del self._offline[name]
        for name in names - self._known.keys():
            self._meet(writers_dir / name, offline_too)

    def status(self, state: str) -> SenderStatus:
        targets = [merged([channel.status for channel in gateway.channels]) for gateway in self._gateways.values()]
        return SenderStatus(
            os.getpid(),
            installed_version(),
            state,
            self._started_us,
            self._clock.at_us(),
            tuple(targets),
            dict(self._unusable),
            len(self._offline),
        )

    def close(self) -> None:
        """Stop the threads, each after the request that it has under way, and release what they hold. A request that
        does not end in time is cut off: no gateway, however it answers, keeps a sender from stopping."""
        self._stop.set()
        gateways = list(self._gateways.values())
        threads = [thread for gateway in gateways for thread in gateway.threads]
        for gateway in gateways:
            gateway.uploads.wake()
        if not _joined(threads, _STOP_GRACE_S):
            for gateway in gateways:
                gateway.abort()
            if not _joined(threads, _STOP_ABORTED_S):
                log.warning("a request could not be cut off; it is left behind and sends nothing any more")
        for gateway in gateways:
            for channel, thread in zip(gateway.channels, gateway.threads, strict=False):
                if not thread.is_alive():
                    channel.close()

    def _meet(self, folder: Path, offline_too: bool) -> None:
        # An offline writer's target may have changed until somebody wants it sent.
        info = None if offline_too else self._offline.get(folder.name)
        if info is None:
            try:
                check_inside(folder)
                info = WriterInfo.read(folder)
                with contextlib.suppress(FileNotFoundError):
                    check_inside(folder / "assets")
            except FileNotFoundError:
                return  # being made; it is looked for again
            except (OSError, SpoolCorrupt) as error:
                self._pass_over(folder, str(error))
                return
        self._unusable.pop(folder.name, None)
        if info.mode == "offline" and not offline_too:
            self._offline[folder.name] = info
            return
        try:
            gateway = self._gateway(Target(info.url, info.api_key, info.ingest))
        except InvalidTarget as error:
            self._pass_over(folder, str(error))
            return
        self._offline.pop(folder.name, None)
        writer = self._known[folder.name] = SpooledWriter(folder, info, self.spool_dir / "rejected", self._clock)
        gateway.channels[zlib.crc32(info.writer_id.encode()) % len(gateway.channels)].adopt(writer)

    def _pass_over(self, folder: Path, reason: str) -> None:
        if self._unusable.get(folder.name) != reason:
            log.error("writer %s is passed over: %s", folder.name, reason)
        self._unusable[folder.name] = reason

    def _gateway(self, target: Target) -> _Gateway:
        gateway = self._gateways.get(target)
        if gateway is None:
            headers = target.headers()
            unix_s = self._unix_s
            uploads = AssetUploads(self._connect(target.url), headers, self._uniform, unix_s)
            channels = [
                Channel(target, self._frames_transport(target), uploads, self._clock, self._uniform, self._max_files)
                for _ in range(self._channel_count)
            ]
            gateway = self._gateways[target] = _Gateway(channels, uploads)
            gateway.threads = [
                threading.Thread(target=self._run_channel, args=(channel,), name=f"channel-{number}", daemon=True)
                for number, channel in enumerate(channels)
            ]
            gateway.threads.append(
                threading.Thread(target=uploads.run, args=(self._stop,), name="uploads", daemon=True)
            )
            for thread in gateway.threads:
                thread.start()
        return gateway

    def _frames_transport(self, target: Target) -> Transport:
        return self._connect_kafka(target.ingest, self._clock) if target.ingest else self._connect(target.url)

    def _run_channel(self, channel: Channel) -> None:
        while not self._stop.is_set():
            try:
                rest_s = channel.step()
            except Exception:
                # A fault of ours must not end a thread on which other runs depend.
                log.exception("a channel to %s failed in an unexpected way; it goes on", channel.target.url)
                rest_s = 1.0
            if rest_s > 0:
                self._stop.wait(rest_s)

    def _leave(self, lock: SpoolLock) -> bool:
        """Give the lock back, unless a writer came in the meantime. A writer's folder is there before it looks for a
        sender: either it finds the lock free and starts one, or it is found here."""
        self._tell(float("inf"), "stopped")
        lock.release()
        self._scanned_ns = None
        self.scan()
        if not self.needed():
            return True
        # If somebody else has the lock by now, a new sender runs.
        return not lock.take()

    def _sync_wanted(self) -> bool:
        try:
            age_s = self._unix_s() - (self.spool_dir / SYNC_MARKER).lstat().st_mtime
        except OSError:
            return False
        return abs(age_s) < SYNC_MARKER_VALID_S

    def _let_go_of_offline(self) -> None:
        for name, writer in list(self._known.items()):
            if writer.info.mode == "offline":
                writer.abandoned = True
                self._offline[name] = writer.info
                del self._known[name]

    def _tell(self, now: float, state: str) -> None:
        """Write sender.json about once a second if something changed, and now and then as a sign of life."""
        if now < self._write_at_s:
            return
        self._write_at_s = self._clock.monotonic_s() + _STATUS_S
        status = self.status(state)
        before = self._written
        if before is not None and state == before.state and status.updated_us - before.updated_us < 5_000_000:
            same = (status.targets, status.unusable, status.offline_writers)
            if same == (before.targets, before.unusable, before.offline_writers):
                return
        try:
            status.write(self.spool_dir)
            self._written = status
        except OSError as error:
            log.warning("sender.json cannot be written: %s", error)

    def _unix_s(self) -> float:
        return self._clock.time_ns() / 1e9


def connected_to_kafka(ingest: str, clock: Clock) -> Transport:
    """The transport of frames to the topic at `ingest`. Raises InvalidTarget, also where Kafka's client is missing."""
    try:
        from runstream.sender.kafka import KafkaTransport

        return KafkaTransport(KafkaAddress.parse(ingest), clock=clock)
    except InvalidAddress as error:
        raise InvalidTarget(f"{ingest!r} {error} (RUNSTREAM_INGEST)") from None
    except ModuleNotFoundError as error:
        raise InvalidTarget(
            f"frames for {ingest} need the package {error.name}: pip install 'runstream[kafka]' where this sender runs"
        ) from error


def _joined(threads: Sequence[threading.Thread], within_s: float) -> bool:
    """Whether all of them ended within that time."""
    until_s = time.monotonic() + within_s
    for thread in threads:
        thread.join(max(until_s - time.monotonic(), 0.0))
    return not any(thread.is_alive() for thread in threads)


def installed_version() -> str:
    try:
        return version("runstream")
    except PackageNotFoundError:
        return "unknown"


def raise_descriptor_limit() -> int:
    """Allow this process as many descriptors as a thousand writers take, more than a shell gives; returns how many it
    may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _WANTED_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return _WANTED_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft
