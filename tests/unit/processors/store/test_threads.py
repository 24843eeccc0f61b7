"""The threads of a store: what runs beside what, and what a closed store says."""

import asyncio
import threading

import pytest

from runstream_processors.store.threads import StoreThreads
from runstream_service.store import StoreUnavailable


def nothing() -> None:
    """A store that holds nothing to release."""


async def test_commands_run_one_behind_the_other_and_inserts_beside_them() -> None:
    threads = StoreThreads(inserts=2)
    go_on = threading.Event()
    order: list[str] = []

    def first() -> None:
        go_on.wait()
        order.append("first")

    commands = [asyncio.create_task(threads.command(first)), asyncio.create_task(threads.command(order.append, "next"))]
    # Two inserts that need each other: each waits until the other runs.
    both = threading.Barrier(2)
    await asyncio.gather(threads.insert(both.wait), threads.insert(both.wait))
    assert order == []
    go_on.set()
    await asyncio.gather(*commands)
    assert order == ["first", "next"]
    await threads.close(nothing)


async def test_closing_waits_for_what_runs_then_releases_once() -> None:
    threads = StoreThreads(inserts=1)
    began, go_on = threading.Event(), threading.Event()
    order: list[str] = []

    def insert() -> None:
        began.set()
        go_on.wait()
        order.append("inserted")

    running = asyncio.create_task(threads.insert(insert))
    await asyncio.to_thread(began.wait)
    closing = asyncio.create_task(threads.close(lambda: order.append("released")))
    await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable, match="closed: open it again"):
        await threads.insert(order.append, "late")
    await threads.close(lambda: order.append("released again"))
    go_on.set()
    await asyncio.gather(running, closing)
    assert order == ["inserted", "released"]


async def test_what_the_work_raises_is_raised() -> None:
    threads = StoreThreads(inserts=1)
    with pytest.raises(ZeroDivisionError):
        await threads.insert(lambda: 1 // 0)
    await threads.close(nothing)
