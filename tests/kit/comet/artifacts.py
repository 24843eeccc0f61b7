"""Artifacts by Comet's own client: artifacts.py RESULTS NATIVE

Runs in the client's environment, in an empty directory, without anything of Runstream. Every step's response, by its
name, is written as JSON into the file RESULTS; what raised is {"error": type, "text": ...}. NATIVE is the name of an
artifact of the workspace that Runstream's own API logged.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import comet_ml

from kit.comet.artifacts_told import FILES, METADATA, PLAIN, PROJECT, REMOTE, TIMES, WORKSPACE
from kit.comet.registrar import QUIET


def main(results: str, native: str) -> None:
    outcomes: dict[str, Any] = {}

    def step(name: str, act: Callable[[], Any]) -> None:
        try:
            outcomes[name] = act()
        except Exception as error:
            outcomes[name] = {"error": type(error).__name__, "text": str(error)}

    for name, content in FILES.items():
        os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
        with open(name, "wb") as file:
            file.write(content)
    producer = begun()
    outcomes["producer"] = producer.get_key()
    step("first", lambda: logged(producer))
    api = comet_ml.API(cache=False)
    step("waited", lambda: wait_for(api, "digits ☃", 1))
    step("other type", lambda: of_artifact(producer.log_artifact(comet_ml.Artifact("digits ☃", "model"))))
    step("given", lambda: of_artifact(producer.log_artifact(small("digits ☃", "dataset", version="3.1.0"))))
    step("given again", lambda: of_artifact(producer.log_artifact(small("digits ☃", "dataset", version="3.1.0"))))
    step("next", lambda: of_artifact(producer.log_artifact(small("digits ☃", "dataset", aliases=["best"]))))
    step("waited more", lambda: wait_for(api, "digits ☃", 3))
    step("empty", lambda: of_artifact(producer.log_artifact(comet_ml.Artifact("nothing", "dataset"))))
    step("not final", lambda: not_final(producer, api))
    step("concurrent", concurrently)
    step("waited for all", lambda: wait_for(api, "race", TIMES))
    producer.end()
    reads(step, api, native)
    consumer = begun()
    outcomes["consumer"] = consumer.get_key()
    uses(step, consumer, native)
    consumer.end()
    step("lineage of the producer", lambda: lineage(api, outcomes["producer"]))
    step("lineage of the consumer", lambda: lineage(api, outcomes["consumer"]))
    step("outputs", lambda: lineage(api, outcomes["producer"], "output"))
    step("inputs of the producer", lambda: lineage(api, outcomes["producer"], "input"))
    step("wrong direction", lambda: lineage(api, outcomes["producer"], "sideways"))
    labels(step, api)
    step("assets of the experiment", lambda: names_of(producer_assets(api, outcomes["producer"])))
    with open(results, "w") as responses:
        json.dump(outcomes, responses, default=str)


def begun() -> comet_ml.Experiment:
    return comet_ml.Experiment(workspace=WORKSPACE, project_name=PROJECT, **QUIET)


def small(name: str, kind: str, **fields: Any) -> comet_ml.Artifact:
    artifact = comet_ml.Artifact(name, kind, **fields)
    artifact.add("a.txt")
    return artifact


def logged(experiment: comet_ml.Experiment) -> dict[str, Any]:
    artifact = comet_ml.Artifact(
        "digits ☃", "dataset", aliases=["best", "raw"], metadata=METADATA, version_tags=["seen"]
    )
    for name in FILES:
        artifact.add(name, logical_path=name, metadata={"of": name} if name == "a.txt" else None)
    artifact.add_remote(REMOTE, "far.bin", metadata={"rows": 5}, sync_mode=False)
    artifact.add_remote(PLAIN, "near.csv", sync_mode=False)
    return of_artifact(experiment.log_artifact(artifact))


def of_artifact(found: Any) -> dict[str, Any]:
    return {
        "name": found.name,
        "type": found.artifact_type,
        "version": str(found.version),
        "workspace": found.workspace,
        "aliases": sorted(found.aliases),
        "tags": sorted(found.version_tags),
        "artifact tags": sorted(found.artifact_tags),
        "metadata": dict(found.metadata),
        "size": found.size,
        "source": found.source_experiment_key,
    }


def wait_for(api: comet_ml.API, name: str, versions: int) -> int:
    """Until so many versions have all their files: they are uploaded behind the back of `log_artifact`."""
    deadline_s = time.monotonic() + 120
    while time.monotonic() < deadline_s:
        try:
            found = len(api.get_artifact_details(WORKSPACE, name)["versions"])
        except Exception:
            found = 0
        if found >= versions:
            return found
        time.sleep(0.2)
    raise TimeoutError(f"{name} has {found} versions")


def not_final(experiment: comet_ml.Experiment, api: comet_ml.API) -> Any:
    """A version that was announced and has no files yet."""
    found = experiment.rest_api_client.upsert_artifact(
        artifact_name="open", artifact_type="dataset", experiment_key=experiment.get_key()
    ).json()
    assert found["currentVersion"] == "1.0.0"
    return of_artifact(api.get_artifact(WORKSPACE, "open"))


def concurrently() -> list[str]:
    """Versions of one artifact, logged at once by several processes: the client has one experiment at a time."""
    command = [sys.executable, __file__, "--one-of-many"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes: list[Any] = [subprocess.Popen(command, **pipes) for _ in range(TIMES)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    return sorted(process.communicate()[0].strip() for process in processes)


def one_of_many() -> None:
    """Log a version of an artifact that others log at the same time."""
    experiment = begun()
    print("ready", flush=True)
    sys.stdin.readline()
    print(experiment.log_artifact(small("race", "dataset")).version, flush=True)
    experiment.end()


def reads(step: Callable[[str, Callable[[], Any]], None], api: comet_ml.API, native: str) -> None:
    name = "digits ☃"
    step("newest", lambda: of_artifact(api.get_artifact(WORKSPACE, name)))
    step("by version", lambda: of_artifact(api.get_artifact(WORKSPACE, name, version="1.0.0")))
    step("by alias", lambda: of_artifact(api.get_artifact(WORKSPACE, name, alias="best")))
    step("unknown", lambda: of_artifact(api.get_artifact(WORKSPACE, "nobody's")))
    step("unknown workspace", lambda: of_artifact(api.get_artifact("nowhere", name)))
    step("unknown version", lambda: of_artifact(api.get_artifact(WORKSPACE, name, version="9.9.9")))
    step("unknown alias", lambda: of_artifact(api.get_artifact(WORKSPACE, name, alias="nope")))
    step("list", lambda: api.get_artifact_list(WORKSPACE)["artifacts"])
    step("list of a type", lambda: [one["name"] for one in api.get_artifact_list(WORKSPACE, "panel")["artifacts"]])
    step("list of nothing", lambda: api.get_artifact_list("nowhere"))
    step("details", lambda: api.get_artifact_details(WORKSPACE, name))
    step("details by id", lambda: api.get_artifact_details(artifact_id=api.get_artifact(WORKSPACE, name)._artifact_id))
    step("details of nobody", lambda: api.get_artifact_details(WORKSPACE, "nobody's"))
    step("files", lambda: api.get_artifact_files(WORKSPACE, name, version="1.0.0")["files"])
    step("files by alias", lambda: names_of(api.get_artifact_files(WORKSPACE, name, alias="best")["files"]))
    step("files of nobody", lambda: api.get_artifact_files(WORKSPACE, name, version="9.9.9"))
    first = api.get_artifact(WORKSPACE, name, version="1.0.0")
    step("assets", lambda: [about(one) for one in sorted(first.assets)])
    step("remote", lambda: [about(one) for one in sorted(first.remote_assets)])
    step("asset", lambda: about(first.get_asset("sub/b.bin")))
    step("no asset", lambda: about(first.get_asset("nothing")))
    step("download", lambda: downloaded(first, "all"))
    step("download without sync", lambda: downloaded(first, "plain", sync_mode=False))
    step("download again", lambda: downloaded(first, "all"))
    step("download over", lambda: over(first, "OVERWRITE"))
    step("download beside", lambda: over(first, False))
    step("download kept", lambda: over(first, "PRESERVE"))
    step("wrong strategy", lambda: downloaded(first, "all", overwrite_strategy="maybe"))
    step("one asset", lambda: content_of(first.get_asset("a.txt").download("one").local_path_or_data))
    step("remote asset", lambda: content_of(first.get_asset("far.bin").download("one").local_path_or_data))
    step("source", lambda: first.get_source_experiment().id)
    step("native", lambda: of_artifact(api.get_artifact(WORKSPACE, native)))
    step("native files", lambda: downloaded(api.get_artifact(WORKSPACE, native, version="1.0.0"), "native"))


def names_of(files: Any) -> list[str]:
    return [one["fileName"] for one in files]


def about(asset: Any) -> dict[str, Any]:
    return {
        "path": asset.logical_path,
        "remote": asset.remote,
        "size": asset.size,
        "link": asset.link,
        "metadata": asset.metadata,
        "type": asset.asset_type,
    }


def downloaded(found: Any, folder: str, **options: Any) -> dict[str, Any]:
    artifact = found.download(folder, **options)
    names = sorted(os.path.join(where, name) for where, _, names in os.walk(folder) for name in names)
    assets = sorted((one.logical_path, one.remote, one.link) for one in artifact.assets)
    return {"files": {os.path.relpath(name, folder): content_of(name) for name in names}, "assets": assets}


def over(found: Any, strategy: Any) -> str:
    path = os.path.join("all", "a.txt")
    with open(path, "w") as file:
        file.write("changed")
    found.download("all", overwrite_strategy=strategy)
    return content_of(path)


def content_of(path: str) -> str:
    with open(path, "rb") as file:
        return file.read().decode("latin-1")


def uses(step: Callable[[str, Callable[[], Any]], None], consumer: comet_ml.Experiment, native: str) -> None:
    step("used", lambda: of_artifact(consumer.get_artifact("digits ☃:1.0.0")))
    step("used again", lambda: of_artifact(consumer.get_artifact("digits ☃", version_or_alias="1.0.0")))
    step("used by full name", lambda: of_artifact(consumer.get_artifact(f"{WORKSPACE}/{native}:latest")))
    step("used nothing", lambda: of_artifact(consumer.get_artifact("nobody's")))
    step("logged anew", lambda: of_artifact(consumer.log_artifact(edited(consumer))))


def edited(consumer: comet_ml.Experiment) -> comet_ml.Artifact:
    """A version that was downloaded, changed and is logged as another artifact."""
    artifact = consumer.get_artifact("digits ☃:1.0.0").download("edited")
    artifact.name = "edited"
    return artifact


def lineage(api: comet_ml.API, key: str, direction: str = "all") -> list[list[str]]:
    experiment = api.get_experiment_by_key(key)
    found = experiment.get_artifact_lineage(direction)["artifacts"]
    return sorted([one["direction"], one["artifactName"], one["version"]] for one in found)


def labels(step: Callable[[str, Callable[[], Any]], None], api: comet_ml.API) -> None:
    def change() -> None:
        found = api.get_artifact(WORKSPACE, "digits ☃", version="1.0.0")
        found.update_aliases(["best", "old", "Latest"])
        found.update_version_tags(["checked"])
        found.update_artifact_tags(["numbers"])

    step("changed", change)
    step("relabelled", lambda: of_artifact(api.get_artifact(WORKSPACE, "digits ☃", version="1.0.0")))
    step("alias moved", lambda: of_artifact(api.get_artifact(WORKSPACE, "digits ☃")))


def producer_assets(api: comet_ml.API, key: str) -> Any:
    return api.get_experiment_by_key(key).get_asset_list()


if __name__ == "__main__":
    if sys.argv[1:] == ["--one-of-many"]:
        one_of_many()
    else:
        main(*sys.argv[1:])
