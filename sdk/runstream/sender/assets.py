"""Files that must be at the gateway before the event that names them: uploaded beside the frames."""

import logging
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runstream.sender.answers import Failing, Later, Refused, meaning_of
from runstream.sender.backoff import Backoff
from runstream.sender.transport import Answer, Transport, Unreachable
from runstream.sender.writers import STUCK_RETRY_S

SHA256: Final = re.compile(r"[0-9a-f]{64}\Z")
#: How many uploads are remembered as done until their events are acknowledged, per gateway.
_REMEMBERED: Final = 10_000
_IDLE_S: Final = 60.0

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
    """The uploads to one gateway. `state` is for the lanes' threads, `step` for one thread of its own.

    Resumable by being asked again: whether an asset is stored is the gateway's word, never ours.
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

    def _upload(self, sha256: str, path: Path) -> tuple[Stored | Impossible | None, float]:
        place = f"/ingest/v1/assets/{sha256}"
        answer = self._transport.request("HEAD", place, None, self._headers)
        if answer.status in (200, 204):
            return _STORED, 0.0
        if answer.status != 404:
            return self._not_stored(answer, sha256)
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return Impossible(f"asset {sha256} is neither at the gateway nor at {path}"), 0.0
        except OSError as error:
            return None, self._failed(f"asset {sha256} cannot be read: {error}")
        with file:
            size = file.seek(0, 2)
            file.seek(0)
            headers = {**self._headers, "Content-Type": "application/octet-stream", "Content-Length": str(size)}
            answer = self._transport.request("PUT", place, file, headers)
        return (_STORED, 0.0) if answer.status in (200, 201, 204) else self._not_stored(answer, sha256)

    def _not_stored(self, answer: Answer, sha256: str) -> tuple[Impossible | None, float]:
        match meaning_of(answer, self._now_unix_s()):
            case Refused(reason=reason):
                return Impossible(f"asset {sha256} is refused: {reason}"), 0.0
            case Later(wait_s, reason):
                self.last_error = reason
                return None, self._backoff.jittered_s(wait_s)
            case Failing(reason):
                return None, self._failed(reason)
            case other:
                self.last_error = getattr(other, "reason", f"HTTP {answer.status}")
                return None, self._backoff.jittered_s(STUCK_RETRY_S)

    def _failed(self, reason: str) -> float:
        if reason != self.last_error:
            log.warning("uploading assets: %s", reason)
        self.last_error = reason
        return self._backoff.next_wait_s()
