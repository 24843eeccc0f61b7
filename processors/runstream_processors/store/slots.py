"""Slots for queries: how many of a class run beside each other, how many wait, and how one is ended early."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Final, Generic, TypeVar

from runstream_service.store import (
    ClassLimits,
    QueryClass,
    QueryLimitExceeded,
    QueryLimits,
    StoreOverloaded,
    StoreUnavailable,
)

logger = logging.getLogger(__name__)

C = TypeVar("C")
T = TypeVar("T")

#: The engine ends a query at its time limit, but looks at the clock between two blocks only. After so much more the
#: caller is told without it, and the query is killed.
_GRACE_S: Final = 2.0
#: A query that is still being planned cannot be killed yet, so the kill is repeated.
_KILL_EVERY_S: Final = 0.1


class _Slot(Generic[C]):
    """One query at a time, over one connection, which the first query opens."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.connection: C | None = None


class _Query(Generic[C]):
    """A query between the call and its end."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        #: All below belong to `lock`.
        self.slot: _Slot[C] | None = None
        self.started_at: float | None = None
        self.ended = False


class QuerySlots(Generic[C]):
    """The slots of one class. `connect` opens the connection of a slot by its number, in the slot's thread; `kill` ends
    what runs on the slots with these numbers, as far as it runs already; `discard` closes a connection after work that
    raised: the next query of the slot gets a new one.

    `run` may be called from any event loop and thread.
    """

    def __init__(
        self,
        of: QueryClass,
        limits: QueryLimits,
        connect: Callable[[int], C],
        kill: Callable[[Sequence[int]], None],
        discard: Callable[[C], None],
    ) -> None:
        """Starts no thread and opens no connection yet."""
        self._of = of
        self._limits = limits
        self._connect = connect
        self._kill = kill
        self._discard = discard
        self._free: list[_Slot[C]] = [_Slot(number) for number in reversed(range(limits.slots))]
        self._threads = ThreadPoolExecutor(limits.slots, f"store-{of.value}")
        self._lock = threading.Lock()
        #: Queries that wait or run; those to be ended; whether a thread ends them. All belong to `_lock`.
        self._held = 0
        self._unwanted: set[_Query[C]] = set()
        self._killing = False

    async def run(self, work: Callable[[C], T]) -> T:
        """Run `work` with the connection of a free slot, in a thread. If the caller is cancelled, work that has not
        begun never does, and the query of work that runs is killed.

        Raises StoreOverloaded, QueryLimitExceeded, StoreUnavailable once `close` was called, and what `work` raises.
        """
        query: _Query[C] = _Query()
        future = self._submit(query, work)
        waiting = asyncio.wrap_future(future)
        late = self._deadline(query, future, waiting)
        try:
            return await waiting
        except asyncio.CancelledError:
            if late is not None and late.met is not None:
                raise late.met from None
            if not future.cancel():
                self._end(query)
            raise
        finally:
            if late is not None:
                late.handle.cancel()

    def close(self) -> None:
        """Take nothing more and wait for what runs. Blocks."""
        self._threads.shutdown(wait=True)

    def _submit(self, query: _Query[C], work: Callable[[C], T]) -> "Future[T]":
        limits = self._limits
        with self._lock:
            if limits.queue is not None and self._held >= limits.slots + limits.queue:
                raise self._overloaded(
                    f"{limits.slots} {self._of.value} queries run and {limits.queue} wait, which is the limit", "queue"
                )
            self._held += 1
        try:
            future = self._threads.submit(self._work, query, work)
        except RuntimeError as error:
            self._release()
            raise StoreUnavailable("the store is closing: open it again") from error
        future.add_done_callback(lambda _: self._release())
        return future

    def _release(self) -> None:
        with self._lock:
            self._held -= 1

    def _work(self, query: _Query[C], work: Callable[[C], T]) -> T:
        # As many threads as slots: one is free.
        with self._lock:
            slot = self._free.pop()
        try:
            if slot.connection is None:
                slot.connection = self._connect(slot.number)
            with query.lock:
                query.slot, query.started_at = slot, time.monotonic()
            return work(slot.connection)
        except BaseException:
            if slot.connection is not None:
                connection, slot.connection = slot.connection, None
                self._discard(connection)
            raise
        finally:
            with query.lock:
                query.ended = True
            with self._lock:
                self._free.append(slot)

    def _deadline(self, query: _Query[C], future: "Future[T]", waiting: "asyncio.Future[T]") -> "_Late | None":
        limits = self._limits
        if limits.wait_s is None:
            return None
        loop = asyncio.get_running_loop()
        late = _Late()

        def look() -> None:
            if future.cancel():
                late.met = self._overloaded(f"no slot for {self._of.value} queries was free in time", "wait_s")
            elif limits.time_s is not None and not future.done():
                with query.lock:
                    began = query.started_at or time.monotonic()
                left_s = began + limits.time_s + _GRACE_S - time.monotonic()
                if left_s > 0:
                    late.handle = loop.call_later(left_s, look)
                    return
                late.met = time_limit_exceeded(self._of, limits.time_s)
                self._end(query)
                waiting.cancel()

        late.handle = loop.call_later(limits.wait_s, look)
        return late

    def _overloaded(self, message: str, setting: str) -> StoreOverloaded:
        return StoreOverloaded(
            f"{message}: ask again in a moment", of=self._of, setting=setting, retry_after_s=retry_after_s(self._limits)
        )

    def _end(self, query: _Query[C]) -> None:
        """Kill a query that runs, without waiting for its end."""
        with self._lock:
            self._unwanted.add(query)
            if self._killing:
                return
            self._killing = True
        threading.Thread(target=self._kill_unwanted, name=f"store-kill-{self._of.value}", daemon=True).start()

    def _kill_unwanted(self) -> None:
        while True:
            with self._lock:
                self._unwanted = {query for query in self._unwanted if not query.ended}
                if not self._unwanted:
                    self._killing = False
                    return
                unwanted = list(self._unwanted)
            # A query whose lock is held here cannot end, so its slot cannot go to the next one.
            held: list[_Query[C]] = []
            try:
                for query in unwanted:
                    query.lock.acquire()
                    held.append(query)
                numbers = [query.slot.number for query in held if query.slot is not None and not query.ended]
                if numbers:
                    self._kill(numbers)
            except Exception as error:
                # The time limit of the class ends it all the same.
                logger.warning("a %s query that nobody waits for cannot be ended: %s", self._of.value, error)
            finally:
                for query in held:
                    query.lock.release()
            time.sleep(_KILL_EVERY_S)


class _Late:
    """The timer of a query's deadlines, and what it found."""

    handle: asyncio.TimerHandle
    met: Exception | None = None


class StoreSlots(Generic[C]):
    """The slots of every class that has limits; the others share WORKER's."""

    def __init__(
        self,
        limits: ClassLimits,
        connect: Callable[[QueryClass, int], C],
        kill: Callable[[QueryClass, Sequence[int]], None],
        discard: Callable[[C], None],
    ) -> None:
        """`limits` has WORKER."""
        self._slots = {
            of: QuerySlots(of, limits_of, partial(connect, of), partial(kill, of), discard)
            for of, limits_of in limits.items()
        }

    def of(self, of: QueryClass) -> QuerySlots[C]:
        return self._slots.get(of) or self._slots[QueryClass.WORKER]

    def close(self) -> None:
        """Take nothing more and wait for what runs. Blocks."""
        for slots in self._slots.values():
            slots.close()


def retry_after_s(limits: QueryLimits) -> int:
    """When a slot is likely to be free: half of what a query may take, between 1 and 10 seconds."""
    return int(min(10.0, max(1.0, (limits.time_s or 2.0) / 2)))


def time_limit_exceeded(of: QueryClass, time_s: float) -> QueryLimitExceeded:
    return QueryLimitExceeded(f"it took more than {time_s:g} s", of=of, limit="time_s", value=time_s)
