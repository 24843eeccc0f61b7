"""Writers whose clock is far from the log's, as the API shows them."""

from typing import Any

import numpy as np
import pytest

from kit.query.service import Service
from kit.query.tables import NOW_US, SECOND_US, insert_points, run, summary, watermark

HOUR_S = 3600
RUNNING = {"status": "running", "ended_at": None}


def event(run_id: str, writer: str, at_s: float, kind: str = "run_started.v1", offset: int = 0) -> dict[str, Any]:
    place = {"key": run_id, "part": 0, "offset": offset, "writer": writer, "seq": offset}
    return {**place, "at": NOW_US + round(at_s * SECOND_US), "type": kind, "body": "{}"}


async def point(service: Service, run_id: str, at_s: float) -> None:
    at_us = NOW_US + round(at_s * SECOND_US)
    await insert_points(service.store, run_id, "m", np.arange(1), np.ones(1), at_us=np.array([at_us]), summarised=False)
    await service.insert("summary_states", summary(run_id, "m", last_at=at_us))


async def odd(service: Service) -> dict[str, float]:
    return {row["run"]: row["clock_ahead_s"] for row in (await service.get("clocks"))["runs"]}


async def test_a_clock_that_is_ahead(service: Service) -> None:
    await service.insert("run_states", run("late", **RUNNING), run("fine", **RUNNING), run("over"))
    await service.insert(
        "watermark_states", watermark("late", "a", 5), watermark("fine", "b", 5), watermark("over", "c", 5, ended=True)
    )
    await service.insert(
        "events", event("late", "a", -HOUR_S), event("fine", "b", -HOUR_S), event("over", "c", 3 * HOUR_S)
    )
    await point(service, "late", 2 * HOUR_S)
    await point(service, "fine", HOUR_S - 6)
    detail = await service.get("runs/late")
    assert detail["clock_ahead_s"] == 2 * HOUR_S + 5
    assert [writer["clock_ahead_s"] for writer in detail["writers"]] == [2 * HOUR_S + 5]
    fine = await service.get("runs/fine")
    assert (fine["clock_ahead_s"], fine["writers"][0]["clock_ahead_s"]) == (None, None)
    assert (await service.get("runs/over"))["clock_ahead_s"] == 3 * HOUR_S + 5
    assert await odd(service) == {"late": 2 * HOUR_S + 5}, "only running runs are listed"


async def test_points_of_several_writers_count_for_the_run(service: Service) -> None:
    await service.insert("run_states", run("a", **RUNNING))
    await service.insert("watermark_states", watermark("a", "w0", 5), watermark("a", "w1", 5))
    await service.insert("events", event("a", "w0", 0), event("a", "w1", 2 * HOUR_S, offset=1))
    await point(service, "a", 3 * HOUR_S)
    detail = await service.get("runs/a")
    assert detail["clock_ahead_s"] == 3 * HOUR_S + 5
    assert [writer["clock_ahead_s"] for writer in detail["writers"]] == [None, 2 * HOUR_S + 5]


@pytest.mark.parametrize(
    ("case", "first_heard_s", "newest_s", "ahead_s"),
    [
        # The log heard of the start `first_heard_s` from now, and of the newest point just now.
        ("as late at the start as now", -HOUR_S, -2 * HOUR_S - 5, -2 * HOUR_S),
        ("sent from an offline spool just now", -20, -2 * HOUR_S - 5, None),
        ("idle since its start", -3 * HOUR_S, -3 * HOUR_S, None),
    ],
)
async def test_a_clock_that_is_behind(
    service: Service, case: str, first_heard_s: float, newest_s: float, ahead_s: float | None
) -> None:
    now_us = service.now_us
    service.now_us = now_us + round(first_heard_s * SECOND_US)
    await service.log.append([(b"a", b"")])
    service.now_us = now_us
    await service.insert("run_states", run("a", **RUNNING))
    await service.insert("watermark_states", watermark("a", "w", 5))
    started_s = -3 * HOUR_S  # on its own clock
    await service.insert("events", event("a", "w", started_s))
    await point(service, "a", newest_s)
    detail = await service.get("runs/a")
    assert detail["clock_ahead_s"] == detail["writers"][0]["clock_ahead_s"] == ahead_s, case
    assert await odd(service) == ({} if ahead_s is None else {"a": ahead_s})


async def test_a_run_that_seems_to_begin_later_lasts_no_negative_time(service: Service) -> None:
    ahead = NOW_US + 3 * HOUR_S * SECOND_US
    runs = (run("runs", started_at=ahead, **RUNNING), run("lost", started_at=ahead, **RUNNING))
    await service.insert("run_states", *runs)
    await service.insert("watermark_states", watermark("runs", "w", 5), watermark("lost", "v", 300))
    rows = (await service.get("runs", filter="duration = 0", sort="duration,id"))["runs"]
    assert [(row["run"], row["status"], row["duration_s"]) for row in rows] == [
        ("lost", "crashed", 0.0),
        ("runs", "running", 0.0),
    ]
    assert (await service.get("runs/lost"))["run"]["duration_s"] == 0.0


async def test_a_run_that_nothing_is_known_of_but_its_writer(service: Service) -> None:
    """Its start is in quarantine: nothing says what its clock shows."""
    await service.insert("run_states", run("a", **RUNNING))
    await service.insert("watermark_states", watermark("a", "w", 5))
    detail = await service.get("runs/a")
    assert (detail["clock_ahead_s"], detail["writers"][0]["clock_ahead_s"]) == (None, None)
    assert await odd(service) == {}
