"""`RunView` has what the real client's `APIExperiment` reads, under the same names, with the same arguments and
results; what it lacks is listed here and in docs/comet.md."""

import base64
import inspect
import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from kit.comet.logged import KEY, ODD_NAME, ODD_RUN, WEIGHTS
from kit.comet.processes import Ask, Logged
from runstream.api import API, NotFound, RunView

DOCUMENT = Path(__file__).parents[3] / "docs" / "comet.md"
#: What a `RunView` lacks: it reads a run as it was, and asks the server in one way.
LEFT_OUT = {
    "writes": "add_tag add_tags archive create_symlink delete_asset delete_parameter delete_parameters delete_tags end "
    "log_additional_system_info log_asset log_cpu_metrics log_curve log_gpu_metrics log_html log_image "
    "log_load_metrics log_metric log_metrics log_other log_output log_parameter log_parameters log_ram_metrics "
    "log_table log_video register_model set_code set_command set_end_time set_executable set_filename "
    "set_git_metadata set_git_patch set_gpu_static_info set_hostname set_installed_packages set_ip set_machine "
    "set_model_graph set_name set_network_interface_ips set_os set_os_packages set_os_release set_os_type set_pid "
    "set_processor set_python_version set_python_version_verbose set_start_time set_state set_user update_status",
    "pages": "create_view display display_project get_views",
    "folders of TensorFlow": "download_tensorflow_folder",
}
#: Arguments that say how the bytes come: they come whole, within the time-out of the API.
ARGUMENTS = ("stream", "timeout")
SIGNATURES = (
    "{name: list(__import__('inspect').signature(member).parameters)[1:] if callable(member) else None "
    "for name, member in __import__('inspect').getmembers(comet_ml.APIExperiment) if not name.startswith('_')}"
)


@pytest.fixture(scope="module")
def view(logged: Logged) -> RunView:
    found = API(url=logged.url, api_key=KEY).get_experiment_by_key(logged.runs[ODD_RUN])
    assert found is not None
    return found


def plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


def test_every_name_is_there_with_the_same_arguments_or_listed(ask: Ask, view: RunView) -> None:
    theirs = ask({"members": SIGNATURES, "attributes": f"sorted(vars(exp({view.run!r})))"})
    names = {*theirs["members"], *(name for name in theirs["attributes"] if not name.startswith("_"))}
    left_out = {name for group in LEFT_OUT.values() for name in group.split()}
    assert {name for name in names if not hasattr(view, name)} == left_out
    for name, arguments in theirs["members"].items():
        if arguments is None or name in left_out:
            continue
        ours = list(inspect.signature(getattr(RunView, name)).parameters)[1:]
        assert ours == [one for one in arguments if one not in ARGUMENTS], name


def test_what_is_left_out_is_documented() -> None:
    section = DOCUMENT.read_text().partition("### What `RunView` has")[2].partition("\n## ")[0]
    named = set(re.findall(r"`([a-z_]+)`", section))
    exact = {name for group in LEFT_OUT.values() for name in group.split() if not name.startswith(("log_", "set_"))}
    assert exact - named == set()
    assert {*ARGUMENTS} <= named


def test_every_read_without_arguments_gives_the_same(ask: Ask, view: RunView) -> None:
    reads = [name for name in dir(RunView) if name.startswith("get_") and name != "get_images"]
    reads = [name for name in reads if all(one.default is not one.empty for one in _arguments(name))]
    assert len(reads) > 35, reads
    attributes = ["id", "key", "name", "project_id", "project_name", "workspace", "archived", "file_name"]
    attributes += ["file_path", "optimization_id", "duration_millis", "start_server_timestamp", "end_server_timestamp"]
    of = f"exp({view.run!r})"
    requested = {f"{name}()": f"{of}.{name}()" for name in reads} | {name: f"{of}.{name}" for name in attributes}
    requested["to_json"] = f"{of}.to_json()"
    requested["to_json(full)"] = f"{of}.to_json(full=True)"
    theirs = ask(requested)
    # Names in our address are quoted.
    url = {"url": unquote(view.url)}
    assert plain(theirs["to_json"]) == plain(view.to_json() | url)
    # The client's JSON has NaN, which equals nothing.
    assert repr(plain(theirs["to_json(full)"])) == repr(plain(view.to_json(full=True) | url))
    for name in reads:
        assert repr(plain(getattr(view, name)())) == repr(plain(theirs[f"{name}()"])), name
    for name in attributes:
        assert getattr(view, name) == theirs[name], name


def _arguments(name: str) -> list[inspect.Parameter]:
    return list(inspect.signature(getattr(RunView, name)).parameters.values())[1:]


def test_reads_with_arguments_give_the_same(ask: Ask, view: RunView) -> None:
    of = f"exp({view.run!r})"
    (curve,) = view.get_asset_list("curve")
    theirs = ask(
        {
            "assets": f"{of}.get_assets_by_name('remarks.txt', return_type='text')",
            "asset": f"{of}.get_asset_by_name('remarks.txt', return_type='text')",
            "of another type": f"{of}.get_asset_by_name('remarks.txt', 'image')",
            "none": f"{of}.get_assets_by_name('nothing')",
            "curve": f"{of}.get_curve({curve['assetId']!r})",
            "model": f"{of}.get_model_data('models')",
            "lineage": f"{of}.get_artifact_lineage('input')",
        }
    )
    assert view.get_assets_by_name("remarks.txt", return_type="text") == theirs["assets"]
    assert view.get_asset_by_name("remarks.txt", return_type="text") == theirs["asset"]
    assert view.get_asset_by_name("remarks.txt", "image") is theirs["of another type"] is None
    assert view.get_assets_by_name("nothing") is theirs["none"] is None
    assert view.get_curve(curve["assetId"]) == theirs["curve"]
    assert view.get_model_data("models") == theirs["model"]
    assert view.get_artifact_lineage("input") == theirs["lineage"]


def test_bytes_that_are_no_text_are_read_with_replacements(view: RunView) -> None:
    (image,) = view.get_asset_list("image")
    assert "\N{REPLACEMENT CHARACTER}" in view.get_asset(image["assetId"], "text")


def test_a_model_is_downloaded(view: RunView, tmp_path: Path) -> None:
    view.download_model("models", str(tmp_path / "whole"))
    assert (tmp_path / "whole" / "best.bin").read_bytes() == WEIGHTS
    view.download_model("models", str(tmp_path), expand=False)
    with zipfile.ZipFile(io.BytesIO((tmp_path / "models.zip").read_bytes())) as archive:
        assert archive.read("best.bin") == WEIGHTS
    with pytest.raises(NotFound, match="no model 'nothing'"):
        view.download_model("nothing", str(tmp_path))


def test_every_point_of_a_metric_is_a_row_of_a_table(view: RunView) -> None:
    pytest.importorskip("pandas")
    table, points = view.get_metric_total_df(ODD_NAME), view.get_metrics(ODD_NAME)
    assert list(table.columns) == ["value", "timestamp", "step", "epoch", "datetime", "duration"]
    assert table["timestamp"].tolist() == [one["timestamp"] / 1_000 for one in points]
    assert table["step"].tolist() == [one["step"] for one in points]
    assert view.get_metric_total_df("nothing") is None


def test_an_api_is_made_of_a_key_as_comets(logged: Logged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSTREAM_URL", logged.url)
    assert API(KEY).get_workspaces() == API(url=logged.url, api_key=KEY, cache=False).get_workspaces() != []


def test_charts_take_lists_and_the_clients_names(logged: Logged, view: RunView) -> None:
    api = API(url=logged.url, api_key=KEY)
    assert api.get_metrics_for_chart(experiment_keys=[view.run], metrics=["acc"]) == api.get_metrics_for_chart(
        [view], ["acc"]
    )
    wrong: list[tuple[Any, Any, Any]] = [
        (view.run, ["acc"], None),
        ([view.run], "acc", None),
        ([view.run], ["acc"], "lr"),
    ]
    for arguments in wrong:
        with pytest.raises(TypeError, match="give a list"):
            api.get_metrics_for_chart(*arguments)


def test_notes_of_an_experiments_project(logged: Logged, view: RunView) -> None:
    api = API(url=logged.url, api_key=KEY)
    notes = api.get_experiment_project_notes(view.workspace, view.project)
    assert notes == api.get_project_notes(view.workspace, view.project)
