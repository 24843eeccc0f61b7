"""Writes what was folded, one insert behind the other, while the next batch is folded.

Order is all that matters here: points of a batch, then on a flush every other table, then the states of artifacts, then
the commit row. A crash after any of them is mended by the next start (docs/design/exactly-once.md). Between the other
tables of a flush there is no order, so where the way to the store is long they may be on it together.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from runstream.events.positions import Positions
from runstream_processors.worker.inserting import Inserting
from runstream_processors.worker.inserts import LAST, Insert


@dataclass(frozen=True, slots=True)
class Written:
    """One task of the writer: inserts in order, and what is visible after the last of them."""

    inserts: Sequence[Insert]
    visible: Positions | None = None


class TableWriter:
    """A queue of inserts of bounded depth. Used from one event loop.

    at_once: insert the tables of a flush beside each other, those in `LAST` after all of them.
    `on_inserted` is called after each insert, `on_visible` after the last one of a task that makes something visible.
    `on_step` is called with "before TABLE" and "after TABLE" around each insert; fault tests end the process there.
    """

    def __init__(
        self,
        inserting: Inserting,
        on_visible: Callable[[Positions], None],
        *,
        at_once: bool = False,
        on_inserted: Callable[[Insert], None] = lambda insert: None,
        depth: int = 2,
        on_step: Callable[[str], None] = lambda step: None,
    ) -> None:
        self._insert = inserting
        self._on_visible = on_visible
        self._at_once = at_once
        self._on_inserted = on_inserted
        self._on_step = on_step
        self._queue: asyncio.Queue[Written] = asyncio.Queue(depth)
        self._failure: BaseException | None = None
        self._under_way = asyncio.Lock()
        self._task = asyncio.create_task(self._run())

    async def put(self, written: Written) -> None:
        """Queue it, waiting while the queue is full. Raises what an earlier insert raised."""
        self._raise_failure()
        await self._queue.put(written)
        self._raise_failure()

    async def drain(self) -> None:
        """Wait until everything queued is written. Raises what an insert raised."""
        await self._queue.join()
        self._raise_failure()

    async def close(self) -> None:
        """Wait for the insert that is running; what is still queued is dropped (and folded again later).

        An insert cannot be taken back. Whoever looked into the tables while it runs would not see its rows, and would
        insert them once more.
        """
        async with self._under_way:
            self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def _run(self) -> None:
        while True:
            written = await self._queue.get()
            try:
                if self._failure is None:
                    await self._write(written)
            except Exception as error:
                # Kept for the next put or drain; nothing behind a failed insert may be written.
                self._failure = error
            finally:
                self._queue.task_done()

    async def _write(self, written: Written) -> None:
        in_order = written.inserts
        if self._at_once and written.visible is not None:
            together = [insert for insert in in_order if insert.table not in LAST]
            in_order = [insert for insert in in_order if insert.table in LAST]
            await self._write_together(together)
        for insert in in_order:
            async with self._under_way:
                await self._write_one(insert)
        if written.visible is not None:
            self._on_visible(written.visible)

    async def _write_together(self, inserts: Sequence[Insert]) -> None:
        async with self._under_way:
            # All of them end before the first failure is told: none can be taken back.
            outcomes = await asyncio.gather(*map(self._write_one, inserts), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def _write_one(self, insert: Insert) -> None:
        self._on_step(f"before {insert.table}")
        await self._insert(insert)
        self._on_inserted(insert)
        self._on_step(f"after {insert.table}")
