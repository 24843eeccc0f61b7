"""Asks Comet's own client what it is told to, and prints the responses as one JSON document.

reader.py runs in the client's environment, without anything of Runstream. On standard input: {label: expression}, each
Python over `api` (comet_ml.API), `exp(key)` (its APIExperiment), `found` and `downloaded` (below) and the names of
comet_ml.query. On standard output: {label: {"value": ...}} or {label: {"error": type, "text": ..., "status": ...}}.
Experiments become their keys; bytes become {"base64": ...}; NaN and the infinities stay what they are.
"""

import base64
import json
import os
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime
from typing import Any

import comet_ml
from comet_ml import query as names

API_EXPERIMENT = comet_ml.APIExperiment


def plain(value: Any) -> Any:
    if isinstance(value, API_EXPERIMENT):
        return value.key
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, (names.QueryVariable, names.QueryExpression)):
        return repr(value)
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def downloaded(api: comet_ml.API, key: str, asset_id: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "file")
        api.download_experiment_asset(key, asset_id, path)
        with open(path, "rb") as file:
            return file.read()


def found_by(api: comet_ml.API) -> Callable[[str, str, str, names.QueryExpression], list[str]]:
    """What `API.query` and `API.search` do without asking for the columns before and for each experiment behind."""
    columns: dict[tuple[str, str], tuple[Any, str]] = {}

    def ask(way: str, workspace: str, project: str, query: names.QueryExpression) -> list[str]:
        if (workspace, project) not in columns:
            project_id = api.get_project(workspace, project)["projectId"]
            columns[workspace, project] = api._client.get_project_columns(workspace, project), project_id
        known, project_id = columns[workspace, project]
        if way == "query":
            response = api._client.query_project(workspace, project, query.get_predicates(known), False)
            return list(response.json()["experimentKeys"])
        response = api._client.search(workspace, project_id, query.get_predicates_for_search(known))
        return [one["experimentKey"] for one in response.json()["experiments"]]

    return ask


def main() -> None:
    requested = json.load(sys.stdin)
    api = comet_ml.API()
    scope = {name: getattr(names, name) for name in names.__all__}
    scope |= {
        "api": api,
        "exp": api.get_experiment_by_key,
        "downloaded": lambda key, asset_id: downloaded(api, key, asset_id),
        "found": found_by(api),
        "datetime": datetime,
        "comet_ml": comet_ml,
    }
    responses: dict[str, Any] = {}
    for label, expression in requested.items():
        try:
            responses[label] = {"value": plain(eval(expression, scope))}
        except Exception as error:
            status = getattr(getattr(error, "response", None), "status_code", None)
            responses[label] = {"error": type(error).__name__, "text": str(error), "status": status}
    json.dump(responses, sys.stdout)


main()
