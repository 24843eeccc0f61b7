"""Steps of a program that keeps artifacts and models with ML Aide's own client, as in `steps`."""

import hashlib
import importlib
import os
import random
import sys
import tempfile
import threading
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

from mlaide._api_client.api import artifact_api
from mlaide.model import ArtifactRef, ModelStage

from kit.mlaide.steps import THREADS, Steps, main, started

LARGE_BYTES = 20_000_000
#: Names of files, and what is in each; the last content of a name counts.
FILES = (
    ("rows.csv", b"a,b\n1,2\n"),
    ("sub/größe \u2603.txt", b"deep"),
    ("../../data/up.csv", b"up"),
    ("/etc/absolute", b"absolute"),
    ('quo"te.txt', b"quoted"),
    ("back\\slash.txt", b"slash"),
    ("empty", b""),
    ("rows.csv", b"a,b\n3,4\n"),
)


def fields(value: Any) -> Any:
    """Return a value of the client, and what is in it, as JSON."""
    if isinstance(value, list):
        return [fields(one) for one in value]
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return {name: fields(one) for name, one in vars(value).items()} if hasattr(value, "__dict__") else value


class ArtifactSteps(Steps):
    """The steps; each is a method without arguments."""

    def making(self) -> Any:
        """A version with files of all kinds of names, of bytes and of a path; and its like by another run."""
        run = started(self.client("shelf"), "e", "maker")
        made = run.create_artifact("data", "dataset", {"rows": "2", "größe": "\u2603"})
        for name, content in FILES:
            assert run.add_artifact_file(made, BytesIO(content), name) is None
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            Path("here").mkdir()
            Path("here/below.txt").write_bytes(b"below")
            run.add_artifact_file(made, "here/below.txt")
            os.chdir("/")
        second = started(self.client("shelf"), "e", "second").create_artifact("data", "dataset", None)
        third = run.create_artifact("data", "model", {})
        return {"run": run.run.key, "made": fields(made), "next": [fields(second), fields(third)]}

    def getting(self) -> Any:
        client = self.client("shelf")
        return [fields(client.get_artifact("data", version).artifact) for version in (1, None)]

    def loading(self) -> Any:
        """What is in each file, by name; and what a download writes."""
        found = self.client("shelf").get_artifact("data", 1)
        loaded = {name: found.load(name).read().decode() for name in {**dict(FILES), "here/below.txt": b""}}
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "deep" / "target"
            target.mkdir(parents=True)
            found.download(str(target))
            written = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
            everywhere = {path for path in Path(folder).rglob("*") if path.is_file()}
        return {"loaded": loaded, "written": sorted(written), "outside": len(everywhere) - len(written)}

    def empty(self) -> Any:
        """An artifact without files: a download of nothing, and no file to load."""
        client = self.client("shelf")
        started(client, "e", None).create_artifact("nothing", "dataset", None)
        found = client.get_artifact("nothing", None)
        with tempfile.TemporaryDirectory() as folder:
            found.download(folder)
            written = list(Path(folder).iterdir())
        try:
            found.load("x")
        except StopIteration:
            return written
        return "loaded"

    def large(self) -> Any:
        content = random.Random(7).randbytes(LARGE_BYTES)
        client = self.client("shelf")
        run = started(client, "e", None)
        run.add_artifact_file(run.create_artifact("large", "dataset", None), BytesIO(content), "large.bin")
        loaded = client.get_artifact("large", None).load("large.bin").read()
        return [hashlib.sha256(one).hexdigest() for one in (content, loaded)]

    def modelling(self) -> Any:
        """Two versions of a model, and one that is no model."""
        client = self.client("shelf")
        run = started(client, "e", "trainer")
        for slope in (1.0, 2.0):
            run.log_model(line(slope), "net", {"slope": str(slope)})
        run.create_artifact("net", "model", None)
        return fields(client.get_artifact("net", 2).artifact)

    def models(self) -> Any:
        """The slope of each model that is loaded."""
        client = self.client("shelf")
        found = {f"version {number}": client.load_model("net", number).predict(1) for number in (1, 2)}
        stages = (ModelStage.PRODUCTION, ModelStage.STAGING)
        return found | {stage.name: client.load_model("net", stage=stage).predict(1) for stage in stages}

    def using(self) -> Any:
        used = [ArtifactRef("data", 1), ArtifactRef("data", None), ArtifactRef("net", "latest"), ArtifactRef("data", 1)]
        run = self.client("shelf").start_new_run("e", "user", used_artifacts=used)
        run.create_artifact("report", "text", None)
        return run.run.key

    def at_once(self) -> Any:
        """The versions that threads get of one name, which is not there yet, of two types."""
        run = started(self.client("rush"), "e", None)
        versions: list[Any] = []
        failed: list[str] = []
        barrier = threading.Barrier(THREADS)

        def make(number: int) -> None:
            barrier.wait()
            try:
                versions.append(run.create_artifact("one", ("dataset", "model")[number % 2], None).version)
            except Exception as error:
                failed.append(f"{number}: {error!r} {vars(error)}")

        threads = [threading.Thread(target=make, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return {"versions": sorted(versions), "failed": failed}

    def half_made(self) -> Any:
        """Add a file, say so, wait for a line on standard input, and add another."""
        run = started(self.client("patient"), "e", "maker")
        made = run.create_artifact("kept", "dataset", None)
        run.add_artifact_file(made, BytesIO(b"before"), "before")
        print(run.run.key, flush=True)
        sys.stdin.readline()
        run.add_artifact_file(made, BytesIO(b"behind"), "behind")
        found = self.client("patient").get_artifact("kept", None)
        return [found.load(name).read().decode() for name in ("before", "behind")]

    def without_artifact(self) -> Any:
        return self.client("shelf").get_artifact("nowhere", 1)

    def without_version(self) -> Any:
        return self.client("shelf").get_artifact("data", 99)

    def without_stage(self) -> Any:
        return self.client("shelf").load_model("net", stage=ModelStage.DEPRECATED)

    def without_models(self) -> Any:
        return self.client("shelf").load_model("data", stage=ModelStage.NONE)

    def of_a_bad_name(self) -> Any:
        return started(self.client("shelf"), "e", None).create_artifact(" data ", "dataset", None)

    def of_a_bad_type(self) -> Any:
        return started(self.client("shelf"), "e", None).create_artifact("data", "", None)

    def of_reserved_metadata(self) -> Any:
        return started(self.client("shelf"), "e", None).create_artifact("data", "dataset", {"@type": "x"})

    def using_nothing(self) -> Any:
        return self.client("shelf").start_new_run("e", used_artifacts=[ArtifactRef("nowhere", 1)])

    def using_no_version(self) -> Any:
        return self.client("shelf").start_new_run("e", used_artifacts=[ArtifactRef("data", 99)])

    def adding_to_nothing(self) -> Any:
        run = started(self.client("shelf"), "e", None)
        made = run.create_artifact("lost", "dataset", None)
        made.version = 99
        return run.add_artifact_file(made, BytesIO(bytes(LARGE_BYTES)), "x")

    def adding_to_a_sealed_one(self) -> Any:
        client = self.client("shelf")
        sealed = client.get_artifact("sealed", 1).artifact
        return started(client, "e", None).add_artifact_file(sealed, BytesIO(b"x"), "x")

    def adding_a_folder(self) -> Any:
        run = started(self.client("shelf"), "e", None)
        return run.add_artifact_file(run.create_artifact("odd", "dataset", None), BytesIO(b"x"), "folder/")

    def with_both(self) -> Any:
        return failure(lambda: self.client("shelf").load_model("net", 1, ModelStage.STAGING))

    def a_directory(self) -> Any:
        """Documented, but the client has it not made."""
        run = started(self.client("shelf"), "e", None)
        made = run.create_artifact("folders", "dataset", None)
        return failure(lambda: run.add_artifact_file(made, tempfile.gettempdir()))

    def any_model(self) -> Any:
        """A model of another library: the client creates the version, and fails then."""
        run = started(self.client("shelf"), "e", None)
        return failure(lambda: run.log_model({"slope": 1}, "anything"))

    def reading_only(self) -> Any:
        return self.client("shelf").get_artifact("data", 1).load("rows.csv").read().decode()

    def adding_to_data(self) -> Any:
        """With a key that may not."""
        about = {"artifact_name": "data", "artifact_version": 1, "filename": "x", "file": BytesIO(b"x")}
        return artifact_api.upload_file(client=self.api(), project_key="shelf", **about)

    def promoting(self) -> Any:
        """With a key that may not."""
        about = {"artifact_name": "data", "artifact_version": 1}
        return artifact_api.create_model(client=self.api(), project_key="shelf", **about)

    def api(self) -> Any:
        return self.client("shelf")._MLAideClient__api_client


def failure(call: Callable[[], Any]) -> str:
    """Return which error the client itself raises."""
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return "none"


def line(slope: float) -> Any:
    return importlib.import_module("sklearn_like").Line(slope)


if __name__ == "__main__":
    main(ArtifactSteps)
