"""`runstream.API` against a running service: what a person reads is what was stored."""

import asyncio
import contextlib
import hashlib
import math
import subprocess
import sys
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web

import runstream
from kit.query.service import Service
from kit.query.tables import asset, attribute, insert_points, run, summary
from runstream.api import API, Curve, Envelope, NotFound, Refused, ServerUnreachable, Session, UnknownName
from runstream.events.protocol import PROTOCOL, PROTOCOL_HEADER


@pytest.fixture
def api(service: Service) -> API:
    return API(url=str(service.client.make_url("")))


async def filled(service: Service) -> None:
    await service.insert("run_states", *(run(f"r{n}", tags=[f"t{n}"], offset=n) for n in range(1, 4)))
    await service.insert("attribute_states", attribute("r1", "lr", 0.1), attribute("r2", "lr", 0.2))
    values = np.array([1.0, math.nan, math.inf])
    await insert_points(service.store, "r1", "loss", np.arange(3), values, offset=1)
    await service.insert("summary_states", summary("r1", "acc", -math.inf, offset=1))
    service.advance(3)


async def test_runs_as_values_and_as_a_table(service: Service, api: API) -> None:
    await filled(service)
    found = await asyncio.to_thread(
        api.runs, 'param.lr < 0.15 or tag = "t3"', "-id", columns=["param.lr", "metric.loss.max"]
    )
    assert [(view.id, view.tags) for view in found] == [("r3", ("t3",)), ("r1", ("t1",))]
    assert found[1].columns == {"param.lr": 0.1, "metric.loss.max": math.inf}
    frame = found.to_pandas()
    assert list(frame["run"]) == ["r3", "r1"]
    assert list(frame["param.lr"])[1] == 0.1
    assert str(frame["created_at"].dt.tz) == "UTC"
    view = await asyncio.to_thread(api.run, "r2")
    assert await asyncio.to_thread(view.parameters) == {"lr": 0.2}


async def test_nothing_warns_of_optional_columns(service: Service, api: API) -> None:
    await filled(service)
    with pytest.warns(UnknownName, match="'los'; did you mean loss"):
        await asyncio.to_thread(api.runs, columns="metric.los")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UnknownName)
        found = await asyncio.to_thread(api.runs, optional_columns=["metric.los", "param.lr"], sort="id")
    assert [run.columns for run in found] == [{"param.lr": 0.1}, {"param.lr": 0.2}, {}]


async def test_all_pages_are_read(service: Service) -> None:
    api = API.over(Session(str(service.client.make_url("")), page_rows=2))
    await service.insert("run_states", *(run(f"r{n}") for n in range(7)))
    assert [view.id for view in await asyncio.to_thread(api.runs, sort="id")] == [f"r{n}" for n in range(7)]
    first = await asyncio.to_thread(api.runs, limit=3)
    assert (len(first), first.more) == (3, True)
    assert not (await asyncio.to_thread(api.runs, limit=7)).more


async def test_curves(service: Service, api: API) -> None:
    await filled(service)
    series = api.series("r1", "loss")
    curve = (await asyncio.to_thread(list, series))[0]
    assert isinstance(curve, Curve)
    assert curve.steps == [0, 1, 2]
    assert np.array_equal(curve.values, [1.0, math.nan, math.inf], equal_nan=True)
    table = await asyncio.to_thread(series.to_arrow)
    assert table.column_names == ["run", "metric", "step", "at", "value", "writer"]
    assert curve.epochs is None
    with_epochs = api.series("r1", "loss", epochs=True)
    assert (await asyncio.to_thread(list, with_epochs))[0].epochs == [None] * 3
    assert (await asyncio.to_thread(with_epochs.to_arrow)).column_names[-1] == "epoch"
    assert list((await asyncio.to_thread(series.to_pandas))["run"].astype(str)) == ["r1"] * 3
    envelope = (await asyncio.to_thread(list, api.series(["r1"], ["l*"], max_points=2)))[0]
    assert isinstance(envelope, Envelope)
    assert (sum(envelope.count), sum(envelope.nan_count)) == (3, 1)
    assert max(envelope.maximum) == math.inf
    fields = await asyncio.to_thread(lambda: api.runs.fields(kinds=["metric", "run"]))
    loss = next(field for field in fields if field.field == "metric.loss")
    assert (loss.runs >= 1, loss.distinct, loss.values) == (True, None, [])
    assert next(field for field in fields if field.name == "project").values[0][0]
    assert "loss" in set(fields.to_pandas()["name"])
    [chart] = await asyncio.to_thread(lambda: api.series.charts("r1", "loss", 2, x="relative"))
    assert (chart.run, chart.metric, chart.total, sum(chart.count), sum(chart.nan_count)) == ("r1", "loss", 3, 3, 1)
    assert (len(chart), max(chart.maximum), chart.exact) == (2, math.inf, False)
    [whole] = await asyncio.to_thread(lambda: api.series.charts("r1", "loss", x_from=0, x_to=1))
    assert (whole.x, whole.exact, whole.width) == ([0, 1], True, 1)
    assert next(low for _, low, _, _ in whole) == 1.0
    assert "<svg" in whole._repr_html_()
    [by_value] = await asyncio.to_thread(lambda: api.series.charts("r1", "loss", x="metric:loss", x_to=1.5))
    assert (by_value.x, by_value.minimum, by_value.width, by_value.total) == ([1.0], [1.0], 0.0, 3)
    [written] = await asyncio.to_thread(lambda: api.series.charts("r1", "loss", by="writer"))
    assert (written.writer, written.rank, written.attempt, written.total) == (f"{7:016x}", None, None, 3)
    assert whole.writer is None
    [near] = await asyncio.to_thread(lambda: api.series.nearest("r1", "loss", 2, 2))
    assert (near.steps, near.epochs) == ([1, 2], [None, None])
    [group] = await asyncio.to_thread(lambda: api.series.groups("r1", "loss", "job_type", 2))
    assert (group.group, group.size, group.metric) == ({"job_type": ""}, 1, "loss")
    assert (list(group.runs), max(group.maximum), math.isnan(group.sd[0])) == ([1] * len(group), math.inf, True)
    assert "job_type" in group._repr_html_()


async def test_a_list_of_the_past(service: Service, api: API) -> None:
    await service.insert("run_states", run("early", offset=1), run("late", offset=5))
    service.advance(9)
    assert [one.run for one in await asyncio.to_thread(lambda: api.runs(as_of="next:0:3"))] == ["early"]


async def test_summaries(service: Service, api: API) -> None:
    await filled(service)
    found = await asyncio.to_thread(api.summaries, ["r1", "r2"], "acc")
    assert [(item.run, item.metric, item.last, item.mean) for item in found] == [("r1", "acc", -math.inf, -math.inf)]
    assert list(found.to_pandas()["count"]) == [1]


async def test_files(service: Service, api: API, tmp_path: Path) -> None:
    content = b"x" * 3_000_000
    sha256 = hashlib.sha256(content).hexdigest()

    async def chunks() -> AsyncIterator[bytes]:
        yield content

    await service.assets.write(sha256, chunks(), 10**7)
    await service.insert("run_states", run("a"))
    await service.insert("asset_states", asset("a", "x", "models/best.bin", sha256, len(content), context="train"))
    (found,) = await asyncio.to_thread(api.assets, "a")
    assert found.context == "train"
    path = await asyncio.to_thread(api.download, found, tmp_path)
    assert path == tmp_path / "best.bin"
    assert path.read_bytes() == content
    assert [file.name for file in tmp_path.glob("*.part")] == []


async def test_places_output_and_history(service: Service, api: API) -> None:
    await filled(service)
    assert [(item.project, item.runs) for item in await asyncio.to_thread(api.projects)] == [("p", 3)]
    assert (await asyncio.to_thread(api.workspaces))[0].workspace == "w"
    assert list(await asyncio.to_thread(api.experiments)) == []
    assert await asyncio.to_thread(api.output, "r1") == ""
    assert await asyncio.to_thread(lambda: list(api.history("r1"))) == []


async def test_live_changes(service: Service, api: API) -> None:
    await filled(service)

    def first() -> list[Any]:
        stream = api.live(since="0:2", reconnect=False)
        return [next(stream)]

    (change,) = await asyncio.to_thread(first)
    assert (change.kind, change.run.id) == ("run", "r3")


async def test_errors_say_what_the_server_says(service: Service, api: API) -> None:
    with pytest.raises(Refused, match=r"(?s)a value, found the end.*\n {13}\^") as refused:
        await asyncio.to_thread(api.runs, "metric.loss <")
    assert refused.value.problem["column"] == 14
    with pytest.raises(NotFound, match="'nobody'"):
        await asyncio.to_thread(api.run, "nobody")
    with pytest.raises(ServerUnreachable, match="runstream up"):
        await asyncio.to_thread(API(url="http://127.0.0.1:9").runs)


@contextlib.asynccontextmanager
async def taking_commands(*told: dict[str, str]) -> AsyncIterator[tuple[API, list[tuple[str | None, Any]]]]:
    """A server that takes commands and tells one of these places in the log after the other, and what it got."""
    got: list[tuple[str | None, Any]] = []

    async def take(request: web.Request) -> web.Response:
        got.append((request.headers.get("Authorization"), await request.json()))
        response = {**told[len(got) - 1], "visible": True}
        return web.json_response(response, headers={PROTOCOL_HEADER: str(PROTOCOL)})

    app = web.Application()
    app.router.add_post("/base/ingest/v1/commands", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        yield API(url=f"http://{host}:{port}/base", api_key="k" * 20), got
    finally:
        await runner.cleanup()


async def test_commands_carry_the_event_and_the_key() -> None:
    told = {"position": "next:0:8", "positions": "0:7"}
    async with taking_commands(told, told) as (api, got):
        assert await asyncio.to_thread(api.rename, "a", "better") == "next:0:8"
        assert api.position == "next:0:8"
        await asyncio.to_thread(api.add_tags, "a", "x")
    assert got[0] == (f"Bearer {'k' * 20}", {"key": "a", "event": {"type": "run_renamed.v1", "name": "better"}})
    assert got[1][1]["event"] == {"type": "tags_added.v1", "tags": ["x"]}


async def test_a_server_from_before_the_new_spelling_gets_its_own_back() -> None:
    """It would refuse `next:`. What it told means the same here: the last record that is covered."""
    async with taking_commands({"positions": "0:7"}, {"positions": "1:2"}) as (api, _):
        assert await asyncio.to_thread(api.rename, "a", "better") == "0:7"
        assert api.position == "0:7"
        await asyncio.to_thread(api.rename, "a", "best")
        assert api.position == "0:7,1:2"


async def test_a_server_that_is_upgraded_meanwhile_gets_its_own_spelling() -> None:
    async with taking_commands({"positions": "0:7"}, {"position": "next:1:3", "positions": "1:2"}) as (api, _):
        await asyncio.to_thread(api.rename, "a", "better")
        await asyncio.to_thread(api.rename, "a", "best")
        assert api.position == "next:0:8,1:3"


def test_reading_needs_nothing_but_the_base_install() -> None:
    """pyarrow and pandas are imported when a table is asked for, and their lack says what to install."""
    program = (
        "import sys\n"
        "for name in ('pyarrow', 'pandas', 'numpy', 'aiohttp'): sys.modules[name] = None\n"
        "import runstream\n"
        "from runstream.api import Runs\n"
        "api = runstream.API(url='http://127.0.0.1:9')\n"
        "for ask in (lambda: Runs([]).to_pandas(), lambda: api.series('a').to_arrow()):\n"
        "    try: ask()\n"
        "    except ImportError as error: assert \"pip install 'runstream[data]'\" in str(error), error\n"
        "    else: raise SystemExit('no error')\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
    assert runstream.API is API
