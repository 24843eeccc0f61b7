"""`API.query` and `API.search` with every operator and combination that the client has words for."""

from typing import Any

import pytest

from kit.comet.logged import ARCHIVED, PROJECT, SWEEP, WORKSPACE
from kit.comet.processes import Ask, Logged

#: expression -> the runs of the sweep that match it. Those without the value match neither a test nor its opposite.
QUERIES = {
    "Metric('acc') > 0.5": "mlp-1 mlp-2",
    "Metric('acc') >= 0.5": "mlp-0 mlp-1 mlp-2",
    "Metric('acc') < 0.9": "mlp-0 cnn-3",
    "Metric('acc') <= 0.9": "mlp-0 mlp-1 cnn-3",
    "Metric('acc') == 0.99": "mlp-2",
    "Metric('acc') != 0.99": "mlp-0 mlp-1 cnn-3",
    "Metric('acc') == None": "cnn-4",
    "Metric('acc') != None": "mlp-0 mlp-1 mlp-2 cnn-3",
    "Metric('acc').between(0.5, 0.9)": "mlp-0 mlp-1",
    "~Metric('acc').between(0.5, 0.9)": "mlp-2 cnn-3",
    "~(Metric('acc') > 0.5)": "mlp-0 cnn-3",
    "~~(Metric('acc') > 0.5)": "mlp-1 mlp-2",
    # NaN has no order, and is unequal to every number.
    "Metric('loss') > -1e300": "mlp-0 mlp-1 cnn-4",
    "Metric('loss') != 1.0": "mlp-1 mlp-2 cnn-4",
    "Metric('loss') == float('inf')": "cnn-4",
    "Metric('loss') == float('nan')": "mlp-2",
    "Parameter('lr') >= 0.01": "mlp-0 mlp-1 cnn-4",
    "Parameter('lr') == '0.01'": "mlp-1",
    "Parameter('lr') == 5": "cnn-4",
    "Parameter('seed') == 2": "mlp-1 mlp-2",
    "Parameter('seed') == '2'": "mlp-1 mlp-2",
    "Parameter('opt') == 'adam'": "mlp-0",
    "Parameter('opt') != 'adam'": "mlp-1 mlp-2 cnn-3 cnn-4",
    "Parameter('opt').contains('dam')": "mlp-0 mlp-1",
    "~Parameter('opt').contains('dam')": "mlp-2 cnn-3 cnn-4",
    "Parameter('opt').startswith('adamw')": "mlp-1",
    "~Parameter('opt').startswith('a')": "mlp-2 cnn-3 cnn-4",
    "Parameter('opt').endswith('m')": "mlp-0",
    "~Parameter('opt').endswith('m')": "mlp-1 mlp-2 cnn-3 cnn-4",
    "Parameter('opt').contains('%')": "cnn-3",
    "Parameter('opt').contains('_')": "",
    "Parameter('opt').contains('\\'')": "cnn-4",
    "Parameter('opt') == \"x' OR 1=1 --\"": "",
    "Parameter('opt') > 'adam'": "mlp-1 mlp-2 cnn-4",
    "Parameter('flag') == True": "mlp-0 cnn-4",
    "Parameter('flag') == False": "mlp-1",
    "Parameter('flag') != True": "mlp-1",
    "Parameter('flag') == None": "mlp-2 cnn-3",
    "~(Parameter('flag') == None)": "mlp-0 mlp-1 cnn-4",
    # EMPTY and NULL are two things; a logged null is no value.
    "Other('note') == ''": "mlp-1",
    "Other('note') != ''": "mlp-0 cnn-4",
    "~(Other('note') == '')": "mlp-0 cnn-4",
    "Other('note') == None": "mlp-2 cnn-3",
    "Other('note').endswith('%_')": "cnn-4",
    "Other('note').startswith('ü')": "cnn-4",
    "Other('Name') == 'mlp-1'": "mlp-1",
    "Other('Name').startswith('mlp')": "mlp-0 mlp-1 mlp-2",
    "Tag('a')": "mlp-0 mlp-1",
    "~Tag('a')": "mlp-2 cnn-3 cnn-4",
    "Tag('x y/z ü')": "cnn-3",
    "Metadata('duration') >= 0": "mlp-0 mlp-1 mlp-2 cnn-3 cnn-4",
    "Metadata('duration') > 3600": "",
    "Metadata('duration').between(0, 3600)": "mlp-0 mlp-1 mlp-2 cnn-3 cnn-4",
    "Metadata('start_server_timestamp') > datetime(2020, 1, 1)": "mlp-0 mlp-1 mlp-2 cnn-3 cnn-4",
    "Metadata('start_server_timestamp') > datetime(2120, 1, 1, 5, 6, 7, 89)": "",
    "Metadata('end_server_timestamp') < datetime.fromisoformat('2120-01-01T00:00:00+00:00')": (
        "mlp-0 mlp-1 mlp-2 cnn-3 cnn-4"
    ),
    "Metadata('end_server_timestamp') == None": "",
    "Metadata('status') == 'failed'": "mlp-0",
    "Metadata('status') == 'nonsense'": "",
    "Metadata('experiment_name').endswith('3')": "cnn-3",
    "Environment('os') == 'Linux'": "mlp-0 mlp-1 mlp-2 cnn-3 cnn-4",
    "Environment('host.system').contains('win')": "",
    # Combinations.
    "(Metric('acc') > 0.6) & (Metric('loss') < 1)": "mlp-1",
    "(Metric('acc') > 0.4) & (Parameter('lr') < 0.05) & Tag('b')": "mlp-1 mlp-2",
    "Tag('a') & Tag('b')": "mlp-1",
    "Tag('a') & ~Tag('b')": "mlp-0",
    # The loss of mlp-2 is NaN, which is neither below 1 nor not below it.
    "~((Metric('acc') > 0.6) & (Metric('loss') < 1))": "mlp-0 cnn-3 cnn-4",
    "~((Metric('acc') > 0.6) & (Metric('loss') < 1) & (Metric('acc') < 10))": "mlp-0 cnn-3 cnn-4",
    "(Metric('acc') > 0.95) | (Metric('acc') < 0)": "mlp-2 cnn-3",
    "~((Metric('acc') > 0.95) | (Metric('acc') < 0))": "mlp-0 mlp-1",
    "(Metric('acc') > 0.95) | (Parameter('lr') == 0.1)": "mlp-0 mlp-2",
    "(Metric('acc') > 0.95) | Tag('x y/z ü')": "mlp-2 cnn-3",
    "((Metric('acc') > 0.4) & (Metric('acc') < 0.6)) | (Parameter('lr') == 5)": "mlp-0 cnn-4",
    "((Parameter('opt') == 'sgd') & (Parameter('lr') < 1)) | ((Metric('loss') > 0) & (Metric('loss') < 0.5))": (
        "mlp-1 mlp-2"
    ),
    "((Metric('acc') > 0.95) | (Parameter('lr') == 0.1)) & Tag('b')": "mlp-2",
    "((Metric('acc') > 0.95) | (Metric('acc') < 0)) & (Metric('acc') > 0)": "mlp-2",
}
#: The newer `search` says the same but for these, where `query` loses what was meant on the way to the server (it sends
#: `~(A & B)` over two sources as if it were `~A & ~B`).
ONLY_SEARCH = {
    "~((Metric('acc') > 0.6) & (Parameter('lr') < 0.005))": "mlp-0 mlp-1 cnn-3 cnn-4",
}


#: With all requests that the client makes for them. What no run of the project has, it asks of nobody.
WHOLE = {
    "Metric('acc') > 0.5": "mlp-1 mlp-2",
    "~Tag('a')": "mlp-2 cnn-3 cnn-4",
    "(Metric('acc') > 0.95) | (Parameter('lr') == 0.1)": "mlp-0 mlp-2",
    "Metric('unknown') > 1": "",
}


@pytest.fixture(scope="module")
def responses(ask: Ask) -> dict[str, Any]:
    where = f"{WORKSPACE!r}, 'sweep'"
    requested = {f"query {text}": f"found('query', {where}, {text})" for text in QUERIES}
    requested |= {f"search {text}": f"found('search', {where}, {text})" for text in QUERIES | ONLY_SEARCH}
    requested |= {f"whole query {text}": f"api.query({where}, {text})" for text in WHOLE}
    requested |= {f"whole search {text}": f"api.search({where}, {text})" for text in WHOLE}
    requested |= {
        "archived": f"api.query({where}, Tag('a'), archived=True)",
        "archived search": f"api.search({where}, Tag('a'), archived=True)",
        "another project": f"api.query({WORKSPACE!r}, {PROJECT!r}, Metadata('duration') >= 0)",
        "pages": f"[api.search({where}, Metadata('duration') >= 0, page=n, page_size=2) for n in (1, 2, 3, 4)]",
        "no project": f"api.query({WORKSPACE!r}, 'none', Metric('acc') > 1)",
        "no project search": f"api.search({WORKSPACE!r}, 'none', Metric('acc') > 1)",
        "wrong type": f"api.query({where}, Metric('acc').contains('1'))",
        "unknown operator": (
            f"api._client.query_project({where}, [{{'source': 'metrics', 'query': {{'condition': 'AND', 'rules': "
            "[{'field': 'acc', 'operator': 'resembles', 'value': 1}]}}])"
        ),
        "unknown source": (
            f"api._client.query_project({where}, [{{'source': 'stars', 'query': {{'condition': 'AND', 'rules': "
            "[{'field': 'acc', 'operator': 'equal', 'value': 1}]}}])"
        ),
    }
    return ask(requested)


@pytest.mark.parametrize("text", [*QUERIES])
def test_query_and_search_find_the_runs(responses: dict[str, Any], logged: Logged, text: str) -> None:
    wanted = [logged.runs[name] for name in QUERIES[text].split()]
    assert responses[f"query {text}"] == wanted
    assert responses[f"search {text}"] == wanted


@pytest.mark.parametrize("text", [*WHOLE])
def test_the_methods_as_a_whole(responses: dict[str, Any], logged: Logged, text: str) -> None:
    wanted = [logged.runs[name] for name in WHOLE[text].split()]
    assert responses[f"whole query {text}"] == responses[f"whole search {text}"] == wanted


def test_search_keeps_what_query_loses(responses: dict[str, Any], logged: Logged) -> None:
    for text, names in ONLY_SEARCH.items():
        assert responses[f"search {text}"] == [logged.runs[name] for name in names.split()]


def test_archived_runs_are_found_only_if_requested(responses: dict[str, Any], logged: Logged) -> None:
    assert responses["archived"] == responses["archived search"] == [logged.runs[ARCHIVED]]


def test_projects_and_pages(responses: dict[str, Any], logged: Logged) -> None:
    sweep = [logged.runs[name] for name in SWEEP]
    assert len(responses["another project"]) == 2
    assert responses["pages"] == [sweep[:2], sweep[2:4], sweep[4:], []]
    for label in ("no project", "no project search"):
        assert (responses[label]["error"], responses[label]["status"]) == ("NotFound", 404)
        assert "there is no project" in responses[label]["text"]


def test_mistakes_are_told_and_not_tried_again(responses: dict[str, Any]) -> None:
    assert responses["wrong type"]["error"] == "ValueError", "the client refuses, by the column's type"
    for label, word in (("unknown operator", "resembles"), ("unknown source", "stars")):
        assert responses[label]["status"] == 400
        assert word in responses[label]["text"]
