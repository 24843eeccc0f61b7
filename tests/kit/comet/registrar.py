"""The model registry by Comet's own client: registrar.py RESULTS

Runs in the client's environment, in an empty directory, without anything of Runstream. Every step's response, by its
name, is written as JSON into the file RESULTS; what raised is {"error": type, "text": ...}.
"""

import json
import os
import sys
import zipfile
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import comet_ml
from comet_ml import model_downloader

from kit.comet.registrar_told import FILES, WORKSPACE

QUIET: dict[str, bool | int] = {
    "log_code": False,
    "log_git_metadata": False,
    "log_git_patch": False,
    "log_env_details": False,
    "auto_output_logging": False,
    "display_summary_level": 0,
    "log_env_gpu": False,
    "log_env_cpu": False,
}


class Step(Protocol):
    """Do something and keep its response, or what it raised, by the name."""

    def __call__(self, name: str, act: Callable[[], Any]) -> None: ...


def main(results: str) -> None:
    outcomes: dict[str, Any] = {}

    def step(name: str, act: Callable[[], Any]) -> None:
        try:
            response = act()
        except Exception as error:
            response = {"error": type(error).__name__, "text": str(error)}
        outcomes[name] = response.json() if hasattr(response, "status_code") else response

    key = trained()
    outcomes["key"] = key
    api = comet_ml.API(cache=False)
    experiment = api.get_experiment_by_key(key)
    registered(step, api, experiment)
    of_experiment(step, experiment)
    read(step, api)
    changed(step, api)
    history(step, api)
    deleted(step, api)
    with open(results, "w") as file:
        json.dump(outcomes, file)


def trained() -> str:
    """A live experiment with two models, of which it registers one itself."""
    os.makedirs("net/config")
    for name, content in FILES.items():
        with open(os.path.join("net", name), "wb") as file:
            file.write(content)
    experiment = comet_ml.Experiment(workspace=WORKSPACE, project_name="models", **QUIET)
    experiment.log_model("net", "net", prepend_folder_name=False, metadata={"epoch": 3})
    experiment.log_remote_model("far", "s3://bucket/dir/weights.bin", metadata={"checksum": "☃"}, sync_mode=False)
    experiment.log_remote_model("linked", "https://example.org/far.bin", sync_mode=False)
    experiment.register_model(
        "net", "1.0.0", description="a ☃ net", comment="the first", tags=["a", "b c"], status="Staging", public=True,
        metadata={"acc": 0.5, "data": {"rows": 7}}, sync=True, timeout=30,
    )  # fmt: skip
    experiment.end()
    return str(experiment.get_key())


def registered(step: Step, api: comet_ml.API, experiment: comet_ml.APIExperiment) -> None:
    """More versions and models, and what is refused."""
    step("models of the experiment", experiment.get_model_names)
    step("second", lambda: experiment.register_model("net", "1.10.0", comment="ünï", description="is not said again"))
    step("third", lambda: experiment.register_model("net", "1.9.0", tags=["b c"]))
    step("preview", lambda: experiment.register_model("net", "2.0.0-rc.1", status="Development"))
    step("far", lambda: experiment.register_model("far", registry_name="Far Model"))
    step("linked", lambda: experiment.register_model("linked"))
    step("again", lambda: experiment.register_model("net", "1.9.0", tags=["b c"]))
    step("no version", lambda: experiment.register_model("net", "first"))
    step("no model", lambda: experiment.register_model("nothing", "1.0.0"))
    step("bad name", lambda: experiment.register_model("net", "1.0.0", registry_name="a/b"))
    step("configured", lambda: experiment.register_model(
        "net", "1.0.0", registry_name="configured",
        status_configuration={
            "status": "Production",
            "is_review_required": True,
            "status_configuration_items": [{"key": "deployment", "value": "enabled"}],
            "comment": "once it is reviewed",
        },
    ))  # fmt: skip


def of_experiment(step: Step, experiment: comet_ml.APIExperiment) -> None:
    """The same files without the registry, and by the addresses that the client's integrations load models from."""
    step("archive", lambda: [experiment.download_model("net", "archive"), content_of("archive")][-1])
    places = {
        "by key": f"experiment://{experiment.id}/net",
        "by name": f"experiment://{WORKSPACE}/models/named/net",
        "registry": f"registry://{WORKSPACE}/net:1.0.0",
    }
    experiment.set_name("named")
    for name, place in places.items():
        step(name, partial(fetched, place))


def fetched(place: str) -> dict[str, bool]:
    folder = place.partition(":")[0] + str(place.count("/"))
    model_downloader.download(place, folder)
    return content_of(folder)


def read(step: Step, api: comet_ml.API) -> None:
    step("names", lambda: api.get_registry_model_names(WORKSPACE))
    step("models", lambda: api._client.get_registry_models(WORKSPACE))
    step("count", lambda: api.get_registry_model_count(WORKSPACE))
    step("elsewhere", lambda: [api.get_registry_model_names("no such"), api.get_registry_model_count("no such")])
    step("versions", lambda: api.get_registry_model_versions(WORKSPACE, "net"))
    step("details", lambda: api.get_registry_model_details(WORKSPACE, "net"))
    step("details of one", lambda: api.get_registry_model_details(WORKSPACE, "net", "1.0.0"))
    step("details of none", lambda: api.get_registry_model_details(WORKSPACE, "net", "9.9.9"))
    step("unknown", lambda: api.get_registry_model_details(WORKSPACE, "nothing"))
    step("latest", lambda: api.get_latest_registry_model_version_details(WORKSPACE, "net"))
    step("latest 1", lambda: api.get_latest_registry_model_version_details(WORKSPACE, "net", version_major=1))
    step("latest 1.9", lambda: api.get_latest_registry_model_version_details(
        WORKSPACE, "net", version_major=1, version_minor=9
    ))  # fmt: skip
    step("latest b c", lambda: api.get_latest_registry_model_version_details(WORKSPACE, "net", stage="b c"))
    step("latest of none", lambda: api.get_latest_registry_model_version_details(WORKSPACE, "net", stage="no"))
    step("assets of a stage", lambda: api.get_model_registry_version_assets(WORKSPACE, "net", stage="a"))
    step("no notes", lambda: api.get_registry_model_notes(WORKSPACE, "net"))
    step("statuses", lambda: api.model_registry_allowed_status_values(WORKSPACE))
    model = api.get_model(WORKSPACE, "net")
    step("name", lambda: model.name)
    step("no such model", lambda: api.get_model(WORKSPACE, "nothing"))
    step("tags", lambda: model.tags("1.0.0"))
    step("status", lambda: [model.status(version) for version in ("1.0.0", "1.9.0")])
    step("found", lambda: [
        model.find_versions(),
        model.find_versions(version_prefix="1"),
        model.find_versions(status="Staging"),
        model.find_versions(status="None"),
        model.find_versions(tag="b c", version_prefix="1.9"),
    ])  # fmt: skip
    step("item", lambda: model.get_details("1.0.0"))
    step("no item", lambda: model.get_details("9.9.9"))
    step("assets", lambda: model.get_assets("1.0.0"))
    step("far assets", lambda: api.get_model(WORKSPACE, "Far Model").get_assets("1.0.0"))
    step("downloaded", lambda: downloaded(model))
    step("linked downloaded", lambda: api.get_model(WORKSPACE, "linked").download("1.0.0", "nothing"))
    step("zip", lambda: unpacked(api, version="1.0.0"))
    step("zip of a stage", lambda: unpacked(api, stage="a"))
    step("metadata", lambda: model.get_registry_model_metadata("1.0.0"))
    step("no configuration", lambda: model.get_registry_model_status_configuration("1.0.0"))
    step("configuration", lambda: api.get_model(WORKSPACE, "configured").get_registry_model_status_configuration(
        "1.0.0"
    ).to_payload_dict())  # fmt: skip


def downloaded(model: comet_ml.api.model.Model) -> dict[str, bool]:
    model.download("1.0.0", "downloaded")
    return content_of("downloaded")


def unpacked(api: comet_ml.API, **which: str) -> dict[str, bool]:
    folder = "unpacked-" + "-".join(which)
    api.download_registry_model(WORKSPACE, "net", output_path=folder, **which)
    os.makedirs("packed", exist_ok=True)
    api.download_registry_model(WORKSPACE, "net", output_path="packed", expand=False, **which)
    (archive,) = os.listdir("packed")
    with zipfile.ZipFile(os.path.join("packed", archive)) as packed:
        assert packed.testzip() is None
    os.remove(os.path.join("packed", archive))
    return content_of(folder)


def content_of(folder: str) -> dict[str, bool]:
    """Whether each file is what was logged."""
    found = {}
    for path, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(path, name), "rb") as file:
                relative = os.path.relpath(os.path.join(path, name), folder)
                found[relative] = file.read() == FILES.get(relative)
    return found


def changed(step: Step, api: comet_ml.API) -> None:
    model = api.get_model(WORKSPACE, "net")
    step("add tag", lambda: [model.add_tag("1.0.0", "new"), model.add_tag("1.0.0", "new"), model.tags("1.0.0")])
    step("delete tag", lambda: [model.delete_tag("1.0.0", "b c"), model.tags("1.0.0")])
    step("add stage", lambda: api.add_registry_model_version_stage(WORKSPACE, "net", "1.0.0", "stage"))
    step("delete stage", lambda: api.delete_registry_model_version_stage(WORKSPACE, "net", "1.0.0", "a"))
    step("set status", lambda: [model.set_status("1.0.0", "Production"), model.status("1.0.0")])
    step("own status", lambda: [model.set_status("1.9.0", "Retired"), model.status("1.9.0")])
    step("statuses in use", lambda: api.model_registry_allowed_status_values(WORKSPACE))
    step("update version", lambda: api.update_registry_model_version(WORKSPACE, "net", "1.9.0", "better", ["x", "y"]))
    step("updated version", lambda: model.get_details("1.9.0"))
    step("too long", lambda: api.update_registry_model(WORKSPACE, "net", description="x" * 60_000))
    step("unknown version", lambda: api.add_registry_model_version_stage(WORKSPACE, "net", "9.9.9", "a"))
    step("update", lambda: api.update_registry_model(WORKSPACE, "net", description="an old net", public=False))
    step("notes", lambda: api.update_registry_model_notes(WORKSPACE, "net", "Nötes"))
    step("updated", lambda: api.get_registry_model_details(WORKSPACE, "net"))
    step("read notes", lambda: api.get_registry_model_notes(WORKSPACE, "net"))
    step("add metadata", lambda: model.update_registry_model_metadata({"acc": 0.75, "why": "☃"}, version="1.0.0"))
    step("new metadata", lambda: model.get_registry_model_metadata("1.0.0"))
    step("other metadata", lambda: model.get_registry_model_metadata("1.9.0"))


def history(step: Step, api: comet_ml.API) -> None:
    step("history", lambda: api.get_model(WORKSPACE, "net").get_version_history("1.0.0"))


def deleted(step: Step, api: comet_ml.API) -> None:
    step("delete version", lambda: api.delete_registry_model_version(WORKSPACE, "net", "1.10.0"))
    step("left", lambda: api.get_registry_model_versions(WORKSPACE, "net"))
    step("delete", lambda: api.delete_registry_model(WORKSPACE, "configured"))
    step("names left", lambda: api.get_registry_model_names(WORKSPACE))
    step("rename", lambda: api.update_registry_model(WORKSPACE, "Far Model", new_name="nearer", description="moved"))
    step("renamed", lambda: api.get_registry_model_details(WORKSPACE, "nearer"))
    step("rename to a name that is taken", lambda: api.update_registry_model(WORKSPACE, "linked", new_name="nearer"))
    step("names in the end", lambda: api.get_registry_model_names(WORKSPACE))
    step("delete again", lambda: api.delete_registry_model(WORKSPACE, "configured"))


if __name__ == "__main__":
    main(sys.argv[1])
