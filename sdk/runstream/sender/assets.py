"""Files that must be at the gateway before the event that names them: uploaded beside the frames."""

import hashlib
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from runstream.connections import readable
from runstream.events.protocol import ASSET_HEADER, asset_mark
from runstream.private import NotPrivate, open_own
from runstream.sender.backoff import Backoff
from runstream.sender.responses import Failing, Later, Refused, acknowledges, body_of, from_gateway, meaning_of
from runstream.sender.transport import Response, Transport, Unreachable
from runstream.sender.writers import STUCK_RETRY_S

#: How many uploads are remembered as done until their events are acknowledged, per gateway.
_REMEMBERED: Final = 10_000
_IDLE_S: Final = 60.0
_BLOCK_BYTES: Final = 1 << 20
#: What is wrong with these bytes may have happened to them on their way.
_DAMAGED: Final = "asset-mismatch"

log = logging.getLogger("runstream.sender")


@dataclass(frozen=True, slots=True)
class Waiting:
    """Not there yet; being tried."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The gateway has the bytes."""


@dataclass(frozen=True, slots=True)
class Impossible:
    """They will never be there."""

    reason: str


AssetState = Waiting | Stored | Impossible
_WAITING: Final = Waiting()
_STORED: Final = Stored()


class AssetUploads:
    """The uploads to one gateway. `state` is for the channels' threads, `step` for one thread of its own.

    Resumable by being asked again: whether an asset is stored is the gateway's word, never ours. It counts if it names
    the hash and the size of what is here; only then may the copy in the spool go.
    """

    def __init__(
        self,
        transport: Transport,
        headers: Mapping[str, str],
        uniform: Callable[[], float],
        now_unix_s: Callable[[], float],
    ) -> None:
        self._transport = transport
        self._headers = headers
        self._backoff = Backoff(uniform)
        self._now_unix_s = now_unix_s
        self._guard = threading.Lock()
        self._queue: OrderedDict[str, Path] = OrderedDict()
        self._done: OrderedDict[str, Stored | Impossible] = OrderedDict()
        self._wake = threading.Event()
        #: The files whose content was found to be what their names say, as they were then.
        self._checked: OrderedDict[str, tuple[int, ...]] = OrderedDict()
        self.last_error: str | None = None

    def state(self, sha256: str, path: Path) -> AssetState:
        """Whether the gateway has the bytes; if that is not known, `path` is queued. Cheap."""
        with self._guard:
            done = self._done.get(sha256)
            if done is not None:
                return done
            if sha256 not in self._queue:
                self._queue[sha256] = path
                self._wake.set()
            return _WAITING

    def forget(self, sha256: str) -> None:
        """The event was acknowledged, or set aside: ask the gateway again if the same bytes are wanted once more."""
        with self._guard:
            self._done.pop(sha256, None)

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def step(self) -> float:
        """Try the first of the queue. Returns how long to wait before the next step, in seconds."""
        with self._guard:
            if not self._queue:
                self._wake.clear()
                return _IDLE_S
            sha256, path = next(iter(self._queue.items()))
            self._queue.move_to_end(sha256)
        try:
            done, rest_s = self._upload(sha256, path)
        except Unreachable as error:
            done, rest_s = None, self._failed(str(error))
        if done is None:
            return rest_s
        self._backoff.succeeded()
        self.last_error = None
        with self._guard:
            self._queue.pop(sha256, None)
            self._done[sha256] = done
            while len(self._done) > _REMEMBERED:
                self._done.popitem(last=False)
        return 0.0

    def run(self, stop: threading.Event) -> None:
        """Step until `stop` is set, which `wake` makes it notice."""
        while not stop.is_set():
            try:
                wait_s = self.step()
            except Exception:
                log.exception("an upload failed in an unexpected way; it is tried again")
                wait_s = self._backoff.next_wait_s()
            if wait_s == _IDLE_S:
                self._wake.wait(wait_s)
            else:
                stop.wait(wait_s)
        self._transport.close()

    def wake(self) -> None:
        self._wake.set()

    def abort(self) -> None:
        """From any thread: cut off the request under way."""
        self._transport.abort()

    def _upload(self, sha256: str, path: Path) -> tuple[Stored | Impossible | None, float]:
        try:
            file = os.fdopen(open_own(path), "rb")
        except FileNotFoundError:
            return self._without_a_copy(sha256, path)
        except NotPrivate as error:
            return Impossible(f"asset {sha256} is not sent: {error}"), 0.0
        except OSError as error:
            return None, self._failed(f"asset {sha256} cannot be read: {error}")
        with file:
            try:
                wrong = self._wrong_with(file, sha256, path)
            except OSError as error:
                return None, self._failed(f"asset {sha256} cannot be read: {error}")
            if wrong is not None:
                return Impossible(wrong), 0.0
            return self._send(sha256, file)

    def _send(self, sha256: str, file: BinaryIO) -> tuple[Stored | Impossible | None, float]:
        """Send the file unless the gateway has it."""
        size = os.fstat(file.fileno()).st_size
        place = f"/ingest/v1/assets/{sha256}"
        response = self._transport.request("HEAD", place, None, self._headers)
        if response.status == 200 and from_gateway(response):
            if response.headers.get(ASSET_HEADER.lower()) == asset_mark(sha256, size):
                return _STORED, 0.0
            stored = readable(response.headers.get(ASSET_HEADER.lower(), "nothing"))
            return None, self._failed(f"{response.url} says that it stored {stored}, not {asset_mark(sha256, size)}")
        if response.status != 404 or not from_gateway(response):
            return self._not_stored(response, sha256)
        file.seek(0)
        headers = {**self._headers, "Content-Type": "application/octet-stream", "Content-Length": str(size)}
        response = self._transport.request("PUT", place, file, headers)
        if response.status in (200, 201):
            fields = body_of(response)
            if acknowledges(fields) and (fields.get("sha256"), fields.get("size_bytes")) == (sha256, size):
                return _STORED, 0.0
            if from_gateway(response):
                return None, self._failed(f"{response.url} does not say that it stored {asset_mark(sha256, size)}")
        return self._not_stored(response, sha256)

    def _without_a_copy(self, sha256: str, path: Path) -> tuple[Stored | Impossible | None, float]:
        """The copy went after an earlier upload whose event was not acknowledged yet, or it is lost."""
        response = self._transport.request("HEAD", f"/ingest/v1/assets/{sha256}", None, self._headers)
        if not from_gateway(response) or response.status not in (200, 404):
            return self._not_stored(response, sha256)
        if response.status == 404:
            return Impossible(f"asset {sha256} is neither at the gateway nor at {path}"), 0.0
        if response.headers.get(ASSET_HEADER.lower(), "").partition(" ")[0] == sha256:
            return _STORED, 0.0
        return None, self._failed(f"{response.url} does not name the asset that it says it has")

    def _wrong_with(self, file: BinaryIO, sha256: str, path: Path) -> str | None:
        """Why the file must not be sent under that name. Reads it once, and again after it changed: nothing leaves
        that the run did not log."""
        found = os.fstat(file.fileno())
        state = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        if self._checked.get(sha256) == state:
            return None
        digest = hashlib.sha256()
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
        if digest.hexdigest() != sha256:
            return f"asset {sha256} is not sent: {path} has other content ({digest.hexdigest()})"
        self._checked[sha256] = state
        while len(self._checked) > _REMEMBERED:
            self._checked.popitem(last=False)
        return None

    def _not_stored(self, response: Response, sha256: str) -> tuple[Impossible | None, float]:
        match meaning_of(response, self._now_unix_s()):
            case Refused(reason=reason, kind=kind):
                if kind == _DAMAGED:
                    return None, self._failed(reason)
                return Impossible(f"asset {sha256} is refused: {reason}"), 0.0
            case Later(wait_s, reason):
                self.last_error = reason
                return None, self._backoff.jittered_s(wait_s)
            case Failing(reason):
                return None, self._failed(reason)
            case other:
                self._failed(getattr(other, "reason", f"HTTP {response.status}"))
                return None, self._backoff.jittered_s(STUCK_RETRY_S)

    def _failed(self, reason: str) -> float:
        if reason != self.last_error:
            log.warning("uploading assets: %s", reason)
        self.last_error = reason
        return self._backoff.next_wait_s()
