"""Assignments of an optimizer whose experiments never began, over the fold and the tables that they end in."""

import asyncio
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from kit.query import tables
from kit.query.entities import FoldingRecorder, context_of
from kit.query.service import CountingStore, Service
from runstream_ingest.assets.local import LocalAssets
from runstream_protocols.comet.optimizer import handlers, state
from runstream_protocols.comet.optimizer import models as m
from runstream_protocols.comet.optimizer.assigning import assign
from runstream_protocols.comet.optimizer.configs import Config
from runstream_service.routing import Call

pytestmark = pytest.mark.store

CONFIG = Config("grid", {"x": {"type": "integer", "min": 0, "max": 1}}, {"retryAssignLimit": 1}, 1)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    store = tables.open_store(tmp_path / "store")
    yield Service(store, CountingStore(store), LocalAssets(tmp_path / "assets"))
    asyncio.run(store.close())


async def test_it_is_given_again_as_often_as_it_may_and_shown_as_aborted(service: Service) -> None:
    recorder = FoldingRecorder(service)
    context = context_of(recorder, "default")
    now = state.OptimizerSide(cast(Any, recorder), cast(Any, None), context)
    late = dataclasses.replace(now, context=dataclasses.replace(context, now_us=lambda: state.BEGIN_US + 10**6))
    optimizer = await state.create(now, None, CONFIG)

    async def shown(side: state.OptimizerSide) -> Any:
        call: Any = Call(cast(Any, None), {}, m.OptimizerRequest(id=optimizer.id), cast(Any, None), cast(Any, None))
        return (await handlers.status(side, call)).root

    first, second = await assign(now, optimizer), await assign(now, optimizer)
    assert first is not None
    assert second is not None
    assert await assign(now, optimizer) is None, "both may begin yet"
    about = {"optimizer_id": optimizer.id, "optimizer_pid": optimizer.pid(second.number), "optimizer_trial": 0}
    await service.insert("run_states", tables.run("begun", workspace="default", project="general"))
    await service.insert(
        "attribute_states", *[tables.attribute("begun", name, value, "other") for name, value in about.items()]
    )
    assert (await shown(late)).state == {"total": 2, "assigned": 2, "running": 1, "completed": 0, "aborted": 1}
    assert (await shown(now)).state["running"] == 2
    again = await assign(late, optimizer)
    assert again is not None
    assert (again.number, again.tries) == (first.number, 2)
    assert await assign(late, optimizer) is None, "once more, and no more"
