"""How many requests the methods of `api.comet` take, and how many statements stand behind them."""

import asyncio
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from kit.query.service import Service
from kit.query.tables import attribute, run, summary
from runstream.api import API, UnknownName
from runstream.connections import Connection
from runstream.errors import Invalid
from runstream.panel_context import VARIABLE, PanelContext
from runstream.query import Environment, Metric

RUNS, METRICS = 100, 10


@pytest.fixture
async def requested(service: Service, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A server with 100 runs of 10 metrics. Each request adds its number of statements to the list."""
    names = [f"r{number:03}" for number in range(RUNS)]
    await service.insert("run_states", *(run(name, project="p", name=f"run {name}") for name in names))
    await service.insert("attribute_states", *(attribute(name, "lr", 0.1) for name in names))
    program = [attribute(name, "command.program", f"/x/{name}.py", kind="environment") for name in names]
    await service.insert("attribute_states", *program)
    await service.insert(
        "summary_states", *(summary(name, f"m{metric}", float(metric)) for name in names for metric in range(METRICS))
    )
    counts: list[int] = []
    made = Connection.request

    def request(self: Connection, *arguments: Any, **options: Any) -> Any:
        counts.append(len(service.reads.requested))
        return made(self, *arguments, **options)

    monkeypatch.setattr(Connection, "request", request)
    return counts


async def ask(service: Service, question: Callable[[API], Any], **place: Any) -> Any:
    return await asyncio.to_thread(question, API(url=str(service.client.make_url("")), **place))


async def test_a_query_and_the_metadata_of_100_results_is_one_request(service: Service, requested: list[int]) -> None:
    def question(api: API) -> list[tuple[str | None, str | None, list[str], int]]:
        found = api.query("w", "p", Metric("m3") > 1)
        assert len(requested) == 1
        return [(one.get_name(), one.get_metadata()["fileName"], one.get_tags(), one.duration_millis) for one in found]

    before = len(service.reads.requested)
    responses = await ask(service, question)
    assert [response[:2] for response in responses] == [
        (f"run r{number:03}", f"r{number:03}.py") for number in range(RUNS)
    ]
    assert len(requested) == 1
    assert len(service.reads.requested) - before <= 5


@pytest.mark.parametrize(
    "question",
    [
        lambda api: [one.get_metadata() for one in api.get_experiments("w", "p")],
        lambda api: [one.get_metadata() for one in api.get_experiments("w")],
        lambda api: [one.get_metadata() for one in api.get_panel_experiments()],
        lambda api: list(api.get_project_experiments("w", "p")),
        lambda api: [one.name for one in api.get_experiments("w", "p", "run r0.*")],
    ],
)
async def test_lists_are_one_request_however_long(service: Service, requested: list[int], question: Any) -> None:
    assert len(await ask(service, question, workspace="w", project="p")) == RUNS
    assert len(requested) == 1


async def test_a_scope_narrows_what_is_not_given_and_nothing_else(service: Service, requested: list[int]) -> None:
    await service.insert("run_states", run("other", project="q", name="else"), run("far", workspace="v", project="p"))

    def question(api: API) -> Any:
        by_key = [one.key for name in ("other", "far") if (one := api.get_experiment_by_key(name)) is not None]
        lists = [api.get_experiments("w"), api.get_experiments("w", "q"), api.get_experiments(), api.query(query="")]
        return by_key, [len(found) for found in lists], api.get_experiment_by_name("else")

    scoped = await ask(service, question, workspace="w", project="p")
    assert scoped == (["other", "far"], [RUNS + 1, 1, RUNS, RUNS], None)
    by_key, counts, named = await ask(service, question)
    assert (by_key, counts, named.key) == (["other", "far"], [RUNS + 1, 1, RUNS + 2, RUNS + 2], "other")


async def test_a_chart_of_1000_curves_is_one_request(service: Service, requested: list[int]) -> None:
    names = [f"m{metric}" for metric in range(METRICS)]

    def question(api: API) -> Any:
        keys = [one.key for one in api.get_experiments("w", "p")]
        return api.get_metrics_for_chart(keys, names, ["lr"])

    before = len(service.reads.requested)
    charts = await ask(service, question)
    assert (len(charts), {chart["params"]["lr"] for chart in charts.values()}) == (RUNS, {0.1})
    assert len(requested) == 2
    assert len(service.reads.requested) - before <= 12


async def test_experiments_of_a_panel_come_in_its_order(
    service: Service, requested: list[int], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = ["r007", "r003", "gone", "r050"]
    (tmp_path / "panel.json").write_text(PanelContext("w", "p", "", chosen, {"Metric": "m1"}).to_json())
    monkeypatch.setenv(VARIABLE, str(tmp_path / "panel.json"))

    def question(api: API) -> Any:
        return [api.get_panel_experiment_keys(), api.get_panel_options(), api.get_panel_metrics_names(), len(requested)]

    assert await ask(service, question) == [
        ["r007", "r003", "r050"],
        {"Metric": "m1"},
        [f"m{metric}" for metric in range(METRICS)],
        3,
    ]
    (tmp_path / "panel.json").write_text(PanelContext("w", "p", 'name endswith "r05"').to_json())
    assert await ask(service, lambda api: api.get_panel_experiment_keys()) == []
    (tmp_path / "panel.json").write_text(PanelContext("w", "p", 'name endswith "5"').to_json())
    assert len(await ask(service, lambda api: api.get_panel_experiment_keys())) == RUNS / 10
    found = await ask(service, lambda api: api.get_experiment_by_name("run r011"))
    assert found.project == "p"
    (tmp_path / "panel.json").write_text("{}")
    with pytest.raises(Invalid, match="unset it"):
        await ask(service, lambda api: api.get_panel_workspace())


async def test_nobody_is_warned_of_the_column_that_the_api_adds(service: Service) -> None:
    await service.insert("run_states", run("r1", project="p"))
    methods: list[Callable[[API], Any]] = [
        lambda api: api.get_experiments("w", "p"),
        lambda api: api.query("w", "p", Metric("loss") > 1),
        lambda api: api.query("w", "p", Environment("command.program") == "x.py"),
    ]
    told = []
    for method in methods:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            await ask(service, method)
        told.append([str(one.message) for one in caught if one.category is UnknownName])
    assert told == [
        [],
        ["no run there has the metric 'loss'"],
        ["no run there has the value of the environment 'command.program'"],
    ]


async def test_outside_of_a_panel_its_methods_say_so(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(Invalid, match="runstream panel run"):
        await ask(service, lambda api: api.get_panel_experiments())
