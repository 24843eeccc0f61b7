"""Alerts and the dashboard ask for figures that the processes have, and nothing else."""

import asyncio
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import CollectorRegistry

from runstream.events.positions import Positions
from runstream_infra.cluster.following import Following
from runstream_infra.cluster.metrics import GatewayProcessMetrics, QueryMetrics, WorkerMetrics, timed
from runstream_ingest.gateway.metrics import GatewayMetrics
from runstream_processors.store.health import Disk
from runstream_processors.worker.loop import Worker
from runstream_service.metrics import key_counter, process_registry

#: What Prometheus adds to everything that it asks for, and its own figure.
TARGET_LABELS = {"job", "instance"}
OWN = {"up": frozenset[str]()}
SAMPLES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


class Log:
    """Ends of two partitions."""

    async def next_offsets(self) -> dict[int, int]:
        return {0: 5, 1: 7}


@pytest.fixture(scope="session")
def exported() -> dict[str, frozenset[str]]:
    """The samples that the three roles have, with their labels, from the registries that they are served from."""
    following = Following(Log(), lambda: Positions.after(0, 1))  # type: ignore[arg-type]
    following.ends = asyncio.run(Log().next_offsets())
    worker = Worker(SimpleNamespace(partitions=2), None, None, partition=0)  # type: ignore[arg-type]
    worker.resumed = True
    visibility: Any = SimpleNamespace(trouble=None, looked_at_s=0.0)
    gateway, folding, query = process_registry(), process_registry(), process_registry()
    for registry in (gateway, folding, query):
        key_counter(registry)
    GatewayMetrics(gateway)
    gateway.register(GatewayProcessMetrics(SimpleNamespace(pending_bytes=1), visibility))  # type: ignore[arg-type]
    folding.register(WorkerMetrics(SimpleNamespace(workers={0: worker}, counts=worker.counts), following))  # type: ignore[arg-type]
    disks: Any = SimpleNamespace(found=(Disk("host", "default", 1, 2),))
    timed(query)
    query.register(QueryMetrics(following, visibility, disks))
    return {name: labels for registry in (gateway, folding, query) for name, labels in samples_of(registry)}


def samples_of(registry: CollectorRegistry) -> Iterator[tuple[str, frozenset[str]]]:
    for metric in registry.collect():
        labels = frozenset(label for sample in metric.samples for label in sample.labels)
        for ending in SAMPLES.get(metric.type, ()):
            yield metric.name + ending, labels - {"le"} | ({"le"} if ending == "_bucket" else set())
    # A counter with labels has no samples before its first increment.
    for collector in list(registry._collector_to_names):
        if names := getattr(collector, "_labelnames", ()):
            for ending in SAMPLES[collector._type]:  # type: ignore[attr-defined]
                yield collector._name + ending, frozenset(names)  # type: ignore[attr-defined]


def selectors(expression: str) -> Iterator[promql_parser.VectorSelector]:
    """Every series that an expression asks for. Raises ValueError for one that cannot be parsed."""
    found: list[promql_parser.VectorSelector] = []

    def visit(node: Any) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        return True

    promql_parser.walk(promql_parser.parse(expression), visit)
    yield from found


def strangers(expression: str, exported: dict[str, frozenset[str]]) -> list[str]:
    """What an expression asks for and nobody has."""
    known = OWN | exported
    found = []
    for selector in selectors(expression):
        name = str(selector.name)
        if name not in known:
            found.append(name)
            continue
        requested = {matcher.name for matcher in selector.matchers.matchers}
        found += [f"{name}{{{label}}}" for label in sorted(requested - known[name] - TARGET_LABELS)]
    return found


def test_a_figure_that_nobody_has_is_found(exported: dict[str, frozenset[str]]) -> None:
    assert strangers("sum(rate(runstream_gateway_requests_total[5m]))", exported) == []
    assert strangers("rate(runstream_gateway_requests[5m]) > max(x)", exported) == ["runstream_gateway_requests", "x"]
    assert strangers('runstream_lag_records{part="1", job="worker"}', exported) == ["runstream_lag_records{part}"]
    with pytest.raises(ValueError, match="unclosed"):
        list(selectors("sum(rate(runstream_gateway_requests_total[5m])"))


# Alerts


@pytest.fixture(scope="session")
def rules(infra: Path) -> list[dict[str, Any]]:
    written = yaml.safe_load((infra / "prometheus" / "alerts.yaml").read_text())
    return [rule for group in written["groups"] for rule in group["rules"]]


def test_alerts_ask_for_figures_that_are_there(
    rules: list[dict[str, Any]], exported: dict[str, frozenset[str]]
) -> None:
    assert {rule["alert"]: found for rule in rules if (found := strangers(rule["expr"], exported))} == {}
    assert len({rule["alert"] for rule in rules}) == len(rules)


def test_alerts_say_how_bad_it_is_and_where_to_read_on(rules: list[dict[str, Any]], docs: Path) -> None:
    headings = re.findall(r"^## (.*)$", (docs / "runbook.md").read_text(), re.M)
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    for rule in rules:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("warning", "critical")
        path, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert path == "docs/runbook.md"
        assert anchor in anchors, rule["alert"]
        assert rule["annotations"]["summary"]
        if "for" in rule:
            promql_parser.parse_duration(rule["for"])


def test_labels_in_summaries_are_those_that_the_expression_keeps(rules: list[dict[str, Any]]) -> None:
    for rule in rules:
        used = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        grouped = set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", rule["expr"]))))
        assert used <= grouped | (set() if "by (" in rule["expr"] else TARGET_LABELS), rule["alert"]


def test_what_the_runbook_is_for_has_an_alert(rules: list[dict[str, Any]], docs: Path) -> None:
    named = set(re.findall(r"`(Runstream\w+)`", (docs / "runbook.md").read_text()))
    assert named == {rule["alert"] for rule in rules}


def test_the_operator_gets_the_same_alerts(infra: Path) -> None:
    written = yaml.safe_load((infra / "prometheus" / "alerts.yaml").read_text())
    rule = yaml.safe_load((infra / "k8s" / "components" / "monitoring" / "alerts.yaml").read_text())
    assert rule["kind"] == "PrometheusRule"
    assert rule["spec"] == written


def test_jobs_are_the_roles(infra: Path, compose: Any, manifests: list[dict[str, Any]]) -> None:
    roles = {"gateway", "worker", "query-server"}
    config = yaml.safe_load((infra / "prometheus" / "prometheus.yaml").read_text())
    services = compose(RUNSTREAM_API_KEYS="0123456789abcdef", RUNSTREAM_CLICKHOUSE_PASSWORD="x")["services"]
    assert {job["job_name"] for job in config["scrape_configs"]} == roles
    for job in config["scrape_configs"]:
        [discovery] = job["dns_sd_configs"]
        assert discovery["names"] == [job["job_name"]], "the service's name in compose"
        command = services[job["job_name"]]["command"]
        assert str(discovery["port"]) == command[command.index("--port") + 1]
        assert job["authorization"]["credentials_file"] == "/run/secrets/metrics_key"
    [monitor] = [one for one in manifests if one["kind"] == "PodMonitor"]
    label = monitor["spec"]["jobLabel"]
    pods = [one["spec"]["template"] for one in manifests if one["kind"] == "Deployment"]
    assert {pod["metadata"]["labels"][label] for pod in pods} == roles
    [endpoint] = monitor["spec"]["podMetricsEndpoints"]
    assert {endpoint["port"]} == {pod["spec"]["containers"][0]["ports"][0]["name"] for pod in pods}
    used = set(re.findall(r'job=~?"([^"]*)"', (infra / "prometheus" / "alerts.yaml").read_text()))
    assert {job for one in used for job in one.split("|")} <= roles


# The dashboard


@pytest.fixture(scope="session")
def dashboard(infra: Path) -> dict[str, Any]:
    return json.loads((infra / "grafana" / "runstream.json").read_text())  # type: ignore[no-any-return]


def expressions(dashboard: dict[str, Any]) -> Iterable[tuple[str, str]]:
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"].replace("$__rate_interval", "1m")


def test_panels_ask_for_figures_that_are_there(dashboard: dict[str, Any], exported: dict[str, frozenset[str]]) -> None:
    requested = list(expressions(dashboard))
    assert len(requested) > 30
    assert {title: found for title, expression in requested if (found := strangers(expression, exported))} == {}


def test_every_figure_of_ours_but_a_few_has_a_panel(
    dashboard: dict[str, Any], exported: dict[str, frozenset[str]]
) -> None:
    shown = {str(selector.name) for _, expression in expressions(dashboard) for selector in selectors(expression)}
    ours = {name for name in exported if name.startswith("runstream_") and not name.endswith(("_sum", "_count"))}
    assert ours - shown == {
        "runstream_gateway_in_flight_bytes",
        "runstream_gateway_not_waited_total",
        "runstream_gateway_writers",
        "runstream_worker_records_total",
        "runstream_worker_resumed",
    }


def test_panels_have_ids_of_their_own_and_a_place_of_their_own(dashboard: dict[str, Any]) -> None:
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells, panel["title"]
        assert max(column for column, _ in cells) < 24
        taken |= cells
        references = [target["refId"] for target in panel.get("targets", ())]
        assert len(set(references)) == len(references)


def test_panels_take_the_source_that_the_viewer_chose(infra: Path, dashboard: dict[str, Any]) -> None:
    [variable] = dashboard["templating"]["list"]
    assert (variable["type"], variable["query"]) == ("datasource", "prometheus")
    for panel in dashboard["panels"]:
        if panel["type"] != "row":
            assert panel["datasource"] == {"type": "prometheus", "uid": f"${{{variable['name']}}}"}
            assert {json.dumps(target["datasource"]) for target in panel["targets"]} == {
                json.dumps(panel["datasource"])
            }
    [source] = yaml.safe_load((infra / "grafana" / "datasource.yaml").read_text())["datasources"]
    assert source["type"] == variable["query"]
