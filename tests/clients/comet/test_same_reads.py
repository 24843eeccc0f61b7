"""Method by method: what `runstream.API` reads of a server is what the unmodified `comet_ml` client reads of it."""

import base64
import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from kit.comet.logged import ARCHIVED, KEY, ODD_NAME, ODD_RUN, PROJECT, SWEEP, WORKSPACE
from kit.comet.methods import METHODS
from kit.comet.processes import Ask, Logged
from runstream import API
from runstream.api import NotFound, Runs, RunView
from runstream.query import Environment, Metadata, Metric, Other, Parameter, Tag

Read = Callable[[API], Any]


@pytest.fixture(scope="module")
def api(logged: Logged) -> API:
    return API(url=logged.url, api_key=KEY)


def plain(value: Any) -> Any:
    """As reader.py makes the client's responses plain; NaN and the infinities as the texts that they are there."""
    if isinstance(value, RunView):
        return value.key
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, Metric | Parameter | Other | Metadata | Environment | Tag):
        return repr(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | Runs):
        return [plain(item) for item in value]
    return value


def pairs(runs: Any) -> dict[str, tuple[str, Read]]:
    """Comet's expression and ours for every documented method that its client still has in some form."""
    odd, long, first = runs[ODD_RUN], runs["long"], runs["mlp-0"]
    place, keys, old = f"{WORKSPACE!r}, 'sweep'", list(runs.values()), runs[ARCHIVED]
    client, of = "api._client", f"exp({odd!r})"
    slashes = f"{WORKSPACE}/{PROJECT}/{odd}"
    rule = {"field": "acc", "operator": "greater", "value": 0.6}
    predicates = [{"source": "metrics", "query": {"condition": "AND", "rules": [rule]}}]
    posted = f"{client}.query_project({place}, {predicates!r}, False).json()['experimentKeys']"
    return {
        "get": ("api.get()", lambda api: api.get()),
        "get_1": (f"api.get({WORKSPACE!r})", lambda api: api.get(WORKSPACE)),
        "get_2": (f"api.get({place})", lambda api: api.get(WORKSPACE, "sweep")),
        "get_3": (f"api.get({slashes!r})", lambda api: api.get(slashes)),
        "get_none": (f"api.get({place}, 'nobody')", lambda api: api.get(WORKSPACE, "sweep", "nobody")),
        "get_workspaces": ("api.get_workspaces()", lambda api: api.get_workspaces()),
        "get_projects": (
            f"{client}.get_project_jsons({WORKSPACE!r})['projects']",
            lambda api: api.get_projects(WORKSPACE),
        ),
        "get_project": (f"api.get_project({place})", lambda api: api.get_project(WORKSPACE, "sweep")),
        "get_project_none": (f"api.get_project({WORKSPACE!r}, 'no')", lambda api: api.get_project(WORKSPACE, "no")),
        "get_project_by_id": (
            f"api.get_project({place})",
            lambda api: api.get_project(project_id=api.get_project(WORKSPACE, "sweep")["projectId"]),
        ),
        "get_project_notes": (
            f"api.get_project_notes({place})",
            lambda api: api.get_project_notes(api.get_project(WORKSPACE, "sweep")["projectId"]),
        ),
        "get_project_columns": (
            f"{client}.get_project_columns({place})",
            lambda api: api.get_project_columns(WORKSPACE, "sweep"),
        ),
        "get_query_variables": (
            f"api.get_query_variables({place})",
            lambda api: api.get_query_variables(WORKSPACE, "sweep"),
        ),
        "get_project_experiments": (
            f"{{one['experimentKey']: one for one in {client}.get_project_experiments({place})['experiments']}}",
            lambda api: api.get_project_experiments(WORKSPACE, "sweep"),
        ),
        "get_experiments": (f"api.get_experiments({WORKSPACE!r})", lambda api: api.get_experiments(WORKSPACE)),
        "get_experiments_2": (f"api.get_experiments({place})", lambda api: api.get_experiments(WORKSPACE, "sweep")),
        "get_experiments_3": (
            f"api.get_experiments({place}, 'mlp-[12]')",
            lambda api: api.get_experiments(WORKSPACE, "sweep", "mlp-[12]"),
        ),
        "get_experiment": (
            f"api.get_experiment({WORKSPACE!r}, {PROJECT!r}, {odd!r})",
            lambda api: api.get_experiment(WORKSPACE, PROJECT, odd),
        ),
        "get_experiment_by_id": (f"api.get_experiment_by_id({odd!r})", lambda api: api.get_experiment_by_id(odd)),
        "get_experiment_by_key": (f"api.get_experiment_by_key({old!r})", lambda api: api.get_experiment_by_key(old)),
        "get_experiment_by_name": (
            f"api.get_experiment({WORKSPACE!r}, {PROJECT!r}, {ODD_RUN!r})",
            lambda api: api.get_experiment_by_name(ODD_RUN),
        ),
        "get_experiment_metadata": (f"{of}.get_metadata()", lambda api: api.get_experiment_metadata(odd)),
        "get_experiment_name": (f"{of}.get_name()", lambda api: api.get_experiment_name(odd)),
        "get_experiment_url": (
            f"[{of}.url, exp({old!r}).url]",
            # Ours can be followed as it stands: names in it are quoted.
            lambda api: [unquote(api.get_experiment_url(one)) for one in (odd, old)],
        ),
        "get_experiment_tags": (f"{of}.get_tags()", lambda api: api.get_experiment_tags(odd)),
        "get_experiment_html": (f"{of}.get_html()", lambda api: api.get_experiment_html(odd)),
        "get_experiment_code": (f"{of}.get_code()", lambda api: api.get_experiment_code(odd)),
        "get_experiment_output": (f"{of}.get_output()", lambda api: api.get_experiment_output(odd)),
        "get_experiment_graph": (f"{of}.get_model_graph()", lambda api: api.get_experiment_graph(odd)),
        "get_experiment_model_graph": (f"{of}.get_model_graph()", lambda api: api.get_experiment_model_graph(odd)),
        "get_model_graph": (f"{of}.get_model_graph()", lambda api: api.get_model_graph(odd)),
        "get_experiment_installed_packages": (
            f"{of}.get_installed_packages()",
            lambda api: api.get_experiment_installed_packages(odd),
        ),
        "get_experiment_metric": (
            f"{of}.get_metrics({ODD_NAME!r})",
            lambda api: api.get_experiment_metric(odd, ODD_NAME),
        ),
        "get_experiment_metrics_summaries": (
            f"{of}.get_metrics_summary()",
            lambda api: api.get_experiment_metrics_summaries(odd),
        ),
        "get_experiment_parameters_summaries": (
            f"{of}.get_parameters_summary()",
            lambda api: api.get_experiment_parameters_summaries(odd),
        ),
        "get_experiment_others_summaries": (
            f"{of}.get_others_summary()",
            lambda api: api.get_experiment_others_summaries(odd),
        ),
        "get_experiment_asset_list": (f"{of}.get_asset_list()", lambda api: api.get_experiment_asset_list(odd)),
        "get_experiment_asset_list_image": (
            f"{of}.get_asset_list('image')",
            lambda api: api.get_experiment_asset_list(odd, "image"),
        ),
        "get_experiment_asset": (
            f"{of}.get_asset({of}.get_asset_list('image')[0]['assetId'])",
            lambda api: api.get_experiment_asset(odd, api.get_experiment_asset_list(odd, "image")[0]["assetId"]),
        ),
        "get_experiment_asset_by_name": (
            f"[{of}.get_asset_by_name('roc.json', return_type='json'), {of}.get_asset_by_name('none')]",
            lambda api: [
                api.get_experiment_asset_by_name(odd, "roc.json", "json"),
                api.get_experiment_asset_by_name(odd, "none"),
            ],
        ),
        "get_experiment_curves": (f"{of}.get_curves()", lambda api: api.get_experiment_curves(odd)),
        "get_experiment_images": (
            f"[{of}.get_asset(one['assetId']) for one in {of}.get_asset_list('image')]",
            lambda api: api.get_experiment_images(odd),
        ),
        "get_experiment_models": (
            f"{client}.get_experiment_models({odd!r})",
            lambda api: api.get_experiment_models(odd),
        ),
        "get_experiment_model_asset_list": (
            f"{of}.get_model_asset_list('models')",
            lambda api: api.get_experiment_model_asset_list(odd, "models"),
        ),
        "get_metrics_for_chart": (
            f"api.get_metrics_for_chart({keys!r}, ['acc', 'loss', 'wave', {ODD_NAME!r}], ['lr', 'opt'])",
            lambda api: api.get_metrics_for_chart(keys, ["acc", "loss", "wave", ODD_NAME], ["lr", "opt"]),
        ),
        "get_metrics_for_chart_shared": (
            f"api.get_metrics_for_chart([{long!r}], ['wave', 'even'], None, False, True)",
            lambda api: api.get_metrics_for_chart([long], ["wave", "even"], [], False, True),
        ),
        "query": (
            f"api.query({place}, (Metric('acc') > 0.6) & ~Tag('b'))",
            lambda api: api.query(WORKSPACE, "sweep", (Metric("acc") > 0.6) & ~Tag("b")),
        ),
        "query_archived": (
            f"api.query({place}, Metric('acc') > 0, archived=True)",
            lambda api: api.query(WORKSPACE, "sweep", Metric("acc") > 0, archived=True),
        ),
        "query_project": (posted, lambda api: api.query_project(WORKSPACE, "sweep", predicates)),
        "get_panel_experiment_keys": ("api.get_panel_experiment_keys()", lambda api: api.get_panel_experiment_keys()),
        "get_panel_experiments": ("api.get_panel_experiments()", lambda api: api.get_panel_experiments()),
        "get_panel_metrics_names": ("api.get_panel_metrics_names()", lambda api: api.get_panel_metrics_names()),
        "get_panel_options": ("api.get_panel_options()", lambda api: api.get_panel_options()),
        "get_panel_project_id": ("api.get_panel_project_id()", lambda api: api.get_panel_project_id()),
        "get_panel_project_name": ("api.get_panel_project_name()", lambda api: api.get_panel_project_name()),
        "get_panel_workspace": ("api.get_panel_workspace()", lambda api: api.get_panel_workspace()),
        "of_first": (
            f"[exp({first!r}).to_json()]",
            lambda api: [unquoted(api.get_experiment(first).to_json())],
        ),
    }


def unquoted(experiment: dict[str, Any]) -> dict[str, Any]:
    """An experiment's JSON with its address as Comet's client writes it."""
    return experiment | {"url": unquote(experiment["url"])}


def test_every_method_reads_the_same(ask: Ask, logged: Logged, api: API) -> None:
    requested = pairs(logged.runs)
    of_panel = API(url=logged.url, api_key=KEY, workspace=WORKSPACE, project="sweep")
    theirs = ask(
        {label: expression for label, (expression, _) in requested.items()},
        COMET_WORKSPACE=WORKSPACE,
        COMET_PROJECT_NAME="sweep",
    )
    for label, (_, read) in requested.items():
        ours = plain(read(of_panel if "panel" in label else api))
        assert ours == plain(theirs[label]), label


def test_methods_that_the_client_has_no_more(logged: Logged, api: API) -> None:
    before = api.get_panel_request_count()
    assert api.get_experiment_name(logged.runs[ODD_RUN], max_length=3) == ODD_RUN[:3]
    assert api.get_panel_request_count() == before + 1
    assert api.get_panel_report() == f"{before + 1} requests to {logged.url}"
    assert api.get_experiment_by_name("nobody") is None
    assert api.get_experiment_by_key("0" * 32) is None
    with pytest.raises(NotFound, match="get_experiments"):
        api.get_experiment_metadata("0" * 32)


def test_every_documented_method_is_there_with_its_arguments() -> None:
    assert [name for name in METHODS.split() if not callable(getattr(API, name, None))] == []
    documented = {
        "get": ["workspace", "project_name", "experiment"],
        "get_experiment": ["experiment_key"],
        "get_experiment_asset": ["experiment_key", "asset_id", "return_type"],
        "get_experiment_asset_by_name": ["experiment_key", "file_name", "return_type"],
        "get_experiment_asset_list": ["experiment_key", "asset_type"],
        "get_experiment_by_id": ["experiment"],
        "get_experiment_by_name": ["experiment_name"],
        "get_experiment_metric": ["experiment_key", "metric"],
        "get_experiment_model_asset_list": ["experiment_key", "model_name"],
        "get_experiment_name": ["experiment_key", "max_length"],
        "get_experiment_project_notes": ["workspace", "project_name"],
        "get_experiments": ["workspace", "project_name", "pattern"],
        "get_metrics_for_chart": ["experiments", "metrics", "parameters", "independent_metrics", "fetch_full"],
        "get_panel_metrics_names": ["include_sys"],
        "get_project": ["workspace", "project_name", "project_id"],
        "get_project_columns": ["workspace", "project_name", "project_id"],
        "get_project_experiments": ["workspace", "project_name"],
        "get_project_notes": ["project_id"],
        "get_projects": ["workspace"],
        "get_query_variables": ["workspace", "project_name", "project_id"],
        "query": ["workspace", "project_name", "query", "archived"],
        "query_project": ["workspace", "project_name", "predicates", "archived"],
    }
    for name in METHODS.split():
        of_one = ["experiment_key"] if name.startswith("get_experiment_") or name == "get_model_graph" else []
        wanted = documented.get(name, of_one)
        assert list(inspect.signature(getattr(API, name)).parameters)[1:][: len(wanted)] == wanted, name


def test_the_documented_query_runs(
    logged: Logged, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    document = (Path(__file__).parents[3] / "docs" / "comet.md").read_text()
    block = document.partition("### The same in `runstream.API`")[2].partition("```python\n")[2].partition("```")[0]
    monkeypatch.setenv("RUNSTREAM_URL", logged.url)
    monkeypatch.setenv("RUNSTREAM_API_KEY", KEY)
    exec(block.replace('"default", "digits"', f'{WORKSPACE!r}, "sweep"'), {})
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["mlp-1", "cnn-3"]


def test_queries_that_comets_client_cannot_ask(logged: Logged, api: API) -> None:
    runs = logged.runs

    def found(query: Any) -> list[str]:
        return [one.key for one in api.query(WORKSPACE, "sweep", query)]

    names = list(SWEEP)
    assert found((Metric("acc") > 0.95) | (Parameter("opt") == "100%")) == [runs["mlp-2"], runs["cnn-3"]]
    grouped = ((Tag("a") | Tag("b")) & (Metric("acc") > 0.6)) | ~(Metric("acc") > -2)
    assert found(grouped) == [runs["mlp-1"], runs["mlp-2"]]
    assert found(Parameter("opt").in_(["adam", "it's"])) == [runs["mlp-0"], runs["cnn-4"]]
    # Every metric was 123 at first.
    assert found(Metric("acc").max > 100) == [runs[name] for name in names[:4]]
    assert found(Metric("acc").first == 123) == [runs[name] for name in names[:4]]
    assert found(Metric("acc").min < 0) == [runs["cnn-3"]]
    assert found('metric.acc.last > 0.6 and "a" in tags') == [runs["mlp-1"]]
