"""Artifacts and charts of the unmodified `sagemaker-experiments`: where they are, and what the run has of them."""

from pathlib import Path
from typing import Any

import pytest

from kit.sagemaker.server import Server

Logged = dict[str, Any]
PREFIX = "s3://sagemaker-eu-west-1-000000000000/trial-component-artifacts"
OUTPUT, INPUT = "output-artifact", "input-artifact"


@pytest.fixture(scope="module")
def kept(server: Server) -> Logged:
    """What came of the steps of artifacts."""
    told = server.told("artifacts", "charts", "chart_contents", "lineage")
    return {name: one["value"] for name, one in told.items()}


def test_files_are_in_the_bucket_that_the_client_makes(kept: Logged) -> None:
    found, prefix = kept["artifacts"], f"{PREFIX}/{kept['artifacts']['name']}"
    assert found["status"] == {"primary_status": "Completed"}
    assert found["inputs"] == {"train.csv": {"value": f"{prefix}/train.csv", "media_type": "text/csv"}}
    assert found["outputs"] == {
        "model": {"value": f"{prefix}/model.bin", "media_type": "application/octet-stream"},
        "typed": {"value": f"{prefix}/model.bin", "media_type": "application/x-weights"},
        "one": {"value": f"{prefix}/one.json", "media_type": "application/json"},
        "two": {"value": f"{prefix}/two.unknown"},
        "elsewhere": {"value": "s3://another-bucket/x", "media_type": "text/plain"},
    }
    assert found["read"] == {"model": "weights", "typed": "weights", "one": "{}", "two": "two"}


def test_files_are_those_of_the_run_for_every_reader(server: Server, kept: Logged, tmp_path: Path) -> None:
    api, run = server.api(), kept["artifacts"]["name"]
    assets = {(one.kind, one.name): one for one in api.assets(run)}
    assert set(assets) == {(OUTPUT, name) for name in ("model", "typed", "one", "two", "elsewhere")} | {
        (INPUT, "train.csv")
    }
    assert assets[INPUT, "train.csv"].content_type == "text/csv"
    assert assets[OUTPUT, "typed"].content_type == "application/x-weights"
    assert assets[OUTPUT, "elsewhere"].location == "s3://another-bucket/x"
    assert assets[OUTPUT, "model"].location is None
    path = api.download(assets[OUTPUT, "one"], tmp_path / "one.json")
    assert Path(path).read_text() == "{}"


def test_comets_interface_lists_and_gives_them_too(server: Server, kept: Logged) -> None:
    run, headers = kept["artifacts"]["name"], {"Authorization": server.key}
    path = f"api/rest/v2/experiment/asset/list?experimentKey={run}&type=all"
    status, told = server.requested(path, headers)
    listed = {one["fileName"]: one for one in told["assets"]}
    assert (status, set(listed)) == (200, {"model", "typed", "one", "two", "elsewhere", "train.csv"})
    assert (listed["one"]["type"], listed["one"]["fileSize"]) == (OUTPUT, 2)


def test_a_file_that_is_logged_again_is_the_new_one(server: Server, kept: Logged, tmp_path: Path) -> None:
    assert kept["artifacts"]["again"] == kept["artifacts"]["outputs"]["model"]
    api, run = server.api(), kept["artifacts"]["name"]
    (asset,) = [one for one in api.assets(run) if one.name == "model"]
    path = api.download(asset, tmp_path / "model")
    assert Path(path).read_text() == "better weights"


def test_charts_have_the_shapes_that_the_client_documents(kept: Logged) -> None:
    charts = kept["chart_contents"]
    assert sorted(kept["charts"]["keys"]) == ["matrix.json", "precision.json", "roc of it.json", "values.json"]
    assert charts["values.json"] == {
        "type": "Table",
        "version": 0,
        "title": "values",
        "fields": [{"name": "x", "type": "string"}, {"name": "y", "type": "string"}],
        "data": {"x": [1, 2, 3], "y": [0.5, "NaN", 2.5]},
    }
    matrix = charts["matrix.json"]
    assert (matrix["type"], matrix["confusionMatrix"]) == ("ConfusionMatrix", [[1, 1], [1, 2]])
    precision = charts["precision.json"]
    assert (precision["type"], precision["noSkill"]) == ("PrecisionRecallCurve", 0.6)
    assert len(precision["precision"]) == len(precision["recall"]) == 6
    assert precision["averagePrecisionScore"] == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    roc = charts["roc of it.json"]
    assert (roc["type"], roc["areaUnderCurve"]) == ("ROCCurve", pytest.approx(2 / 3))
    assert (roc["falsePositiveRate"][-1], roc["truePositiveRate"][-1]) == (1.0, 1.0)


def test_charts_are_files_of_the_run(server: Server, kept: Logged, tmp_path: Path) -> None:
    api, run = server.api(), kept["charts"]["name"]
    assets = {one.kind: one for one in api.assets(run)}
    assert {kind: one.name for kind, one in assets.items()} == {
        "sagemaker-table": "values",
        "sagemaker-confusion-matrix": "matrix",
        "sagemaker-precision-recall-curve": "precision",
        "sagemaker-roc-curve": "roc of it",
    }
    assert {one.content_type for one in assets.values()} == {"application/json"}
    path = api.download(assets["sagemaker-confusion-matrix"], tmp_path / "matrix.json")
    assert "confusionMatrix" in Path(path).read_text()
    assert kept["charts"]["artifacts"] == {}, "as at AWS, where charts are associated alone"


def test_lineage_tells_what_a_component_made_and_used(kept: Logged) -> None:
    assert kept["charts"]["lineage"] == {
        "made": [
            ["matrix", "ConfusionMatrix"],
            ["precision", "PrecisionRecallCurve"],
            ["values", "Table"],
        ],
        "used": [["roc of it", "ROCCurve", "ContributedTo"]],
        "sources": ["matrix.json", "precision.json", "values.json"],
        "etags": [["S3ETag"]] * 3,
    }


def test_artifacts_and_associations_come_and_go(server: Server, kept: Logged) -> None:
    found = kept["lineage"]
    associated = found.pop("associated")
    assert sorted(associated) == ["ContributedTo", "DerivedFrom"]
    assert found == {
        "is_listed": True,
        "of_source": ["data 3"],
        "described": ["renamed", "DataSet", {"rows": "6"}],
        "tags": [{"Key": "team", "Value": "vision"}],
        "twice": "ValidationException",
        "held": "ValidationException",
        "by_source": True,
        "gone": "ResourceNotFound",
        "unknown": "ResourceNotFound",
        "deleted_twice": "ResourceNotFound",
        "other": "ValidationException",
    }
    assert list(server.api().assets("of-lineage")) == [], "the file went with its association"
