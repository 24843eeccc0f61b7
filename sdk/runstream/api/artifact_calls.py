"""What `runstream.API` does with artifacts: named, typed things (models, panels, data sets) with numbered versions."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from runstream.api.artifact_files import Files, fetch, sources_of, upload
from runstream.api.artifact_views import Artifact, ArtifactContents, ArtifactFile, ArtifactTable, ArtifactVersion, Place
from runstream.api.errors import NameTaken, NotFound, Refused, ServerFailed, VersionTaken
from runstream.api.saving import saved, targets_of
from runstream.api.transport import Transport, next_page, segment
from runstream.api.views import RunView
from runstream.errors import Invalid
from runstream.events import limits
from runstream.events.artifacts import (
    ArtifactCreated,
    ArtifactDeleted,
    ArtifactEvent,
    ArtifactUpdated,
    ArtifactVersionDeleted,
    ArtifactVersionLogged,
    ArtifactVersionUpdated,
    artifact_id,
)
from runstream.events.control import encode_event

_PAGE: Final = 500
_JSON: Final = {"Content-Type": "application/json"}


class ArtifactCalls:
    """A part of `API`. `project` None is an artifact of the whole workspace; `workspace` None is the API's, else
    `default`.

    What changes something returns, or raises, once every read shows it. A call that raised ServerUnreachable or
    ServerFailed may have been done all the same: look before it is made again.
    """

    _transport: Transport
    _workspace: str | None
    _project: str | None

    def artifacts(
        self,
        artifact_type: str | None = None,
        *,
        workspace: str | None = None,
        project: str | None = None,
        name: str | None = None,
        wait_for: str | None = None,
        wait_s: float | None = None,
    ) -> ArtifactTable[Artifact]:
        """Artifacts, by place, type and name. `project` "" leaves those of projects out."""
        narrowed = self._project if project is None else project
        scope = {"workspace": workspace or self._workspace, "project": narrowed, "type": artifact_type, "name": name}
        rows = self._pages("/api/v1/artifacts", "artifacts", {**scope, "wait_for": wait_for, "wait_s": wait_s})
        return ArtifactTable([Artifact.of(self, row) for row in rows])

    def artifact(
        self,
        name: str,
        artifact_type: str,
        *,
        workspace: str | None = None,
        project: str | None = None,
        as_of: str | None = None,
        wait_for: str | None = None,
        wait_s: float | None = None,
    ) -> Artifact:
        """One artifact. Raises NotFound."""
        path = _path(artifact_id(self._of(workspace), project, artifact_type, name))
        return Artifact.of(self, self._transport.get(path, as_of=as_of, wait_for=wait_for, wait_s=wait_s))

    def create_artifact(
        self,
        name: str,
        artifact_type: str,
        *,
        workspace: str | None = None,
        project: str | None = None,
        description: str = "",
        notes: str = "",
        tags: str | Sequence[str] = (),
        public: bool = False,
        exist_ok: bool = False,
    ) -> Artifact:
        """Create an artifact without a version. A name is created once, however many ask for it at the same time and
        wherever: NameTaken for all others; with `exist_ok` they get it as it is."""
        place = self._artifact_place(name, artifact_type, workspace, project)
        texts = {"description": description, "notes": notes, "tags": _labels(tags), "public": public}
        outcome = self._decided(ArtifactCreated, {**place, **texts}, allowed=("name taken",) if exist_ok else ())
        return Artifact.of(self, self._transport.get(_path(outcome["artifact"])))

    def update_artifact(
        self,
        artifact: Artifact,
        *,
        description: str | None = None,
        notes: str | None = None,
        tags: str | Sequence[str] | None = None,
        public: bool | None = None,
    ) -> Artifact:
        """Change what is said about an artifact; None stays as it is. Raises NotFound."""
        texts = {"description": description, "notes": notes, "tags": _labels(tags), "public": public}
        outcome = self._decided(ArtifactUpdated, {**_place_of(artifact), **texts})
        return Artifact.of(self, self._transport.get(_path(outcome["artifact"])))

    def delete_artifact(self, artifact: Artifact) -> None:
        """Delete an artifact and its versions. Its name is free again, the numbers are not. Raises NotFound."""
        self._decided(ArtifactDeleted, _place_of(artifact))

    def log_artifact_version(
        self,
        name: str,
        artifact_type: str,
        files: Files = (),
        *,
        workspace: str | None = None,
        project: str | None = None,
        version: str | None = None,
        comment: str = "",
        tags: str | Sequence[str] = (),
        aliases: str | Sequence[str] = (),
        stages: str | Sequence[str] = (),
        status: str = "",
        metadata: Mapping[str, Any] | None = None,
        run: str | None = None,
    ) -> ArtifactVersion:
        """Add a version, and the artifact if it is missing, and return it with the number that it got.

        `files`: a path, several, or a mapping from the names that they get to paths, bytes or `Link`s; a directory
        stands for all files in it. They are stored before the version is there. `version` is what it is called: its
        number if it is None; VersionTaken if another one is. `aliases` move here from the versions that had them.
        Raises Invalid (before anything is sent, if there are too many files), OSError.
        """
        place = self._artifact_place(name, artifact_type, workspace, project)
        labels = {"tags": _labels(tags), "aliases": _labels(aliases), "stages": _labels(stages), "status": status}
        more = {"version": version, "comment": comment, "metadata": dict(metadata or {}), "run": run, **labels}
        _event(ArtifactVersionLogged, {**place, **more})  # what is wrong with it is said before files are read
        sources = sources_of(files)
        event = _event(ArtifactVersionLogged, {**place, **more, "files": tuple(source.file for source in sources)})
        for source in sources:
            upload(self._transport, source)
        outcome = self._decide(event)
        return self._version(place, outcome["ordinal"])

    def artifact_versions(
        self,
        artifact: Artifact,
        *,
        version: str | None = None,
        alias: str | None = None,
        as_of: str | None = None,
        wait_for: str | None = None,
        wait_s: float | None = None,
    ) -> ArtifactTable[ArtifactVersion]:
        """The versions of an artifact, the newest first: all, those that are called so, the one with that alias."""
        asked = {"version": version, "alias": alias, "as_of": as_of, "wait_for": wait_for, "wait_s": wait_s}
        rows = self._pages(f"{_path(artifact.artifact)}/versions", "versions", asked)
        place = _place_of(artifact)
        return ArtifactTable([ArtifactVersion.of(self, place, row) for row in rows])

    def artifact_version(
        self, artifact: Artifact, version: int | str | None = None, *, as_of: str | None = None
    ) -> ArtifactVersion:
        """One version: by its number (an int), by what it is called or, failing that, by an alias (a str); None is the
        one with the highest number. Raises NotFound."""
        if isinstance(version, int):
            return self._version(_place_of(artifact), version, as_of)
        path = f"{_path(artifact.artifact)}/versions"
        for asked in ({},) if version is None else ({"version": version}, {"alias": version}):
            if found := self._transport.get(path, **asked, limit=1, as_of=as_of)["versions"]:
                return ArtifactVersion.of(self, _place_of(artifact), found[0])
        missing = (
            f"{artifact.artifact_type} {artifact.name!r} has no version {version or 'at all'}: versions() lists them"
        )
        raise NotFound(missing, {"detail": missing})

    def run_artifacts(self, run: str | RunView) -> ArtifactTable[ArtifactVersion]:
        """The versions that came from a run, by type, name and number. Raises NotFound if there is no such run."""
        run_id = run if isinstance(run, str) else run.run
        rows = self._transport.get(f"/api/v1/runs/{segment(run_id)}/artifacts")["versions"]
        return ArtifactTable([ArtifactVersion.of(self, _place_in(row), row) for row in rows])

    def artifact_contents(self, version: ArtifactVersion) -> ArtifactContents:
        """The metadata of a version, and its files by name. Raises NotFound."""
        answer = self._transport.get(f"{_path(version.artifact)}/versions/{version.ordinal}")
        return ArtifactContents(answer["metadata"], tuple(ArtifactFile(**file) for file in answer["files"]))

    def update_artifact_version(
        self,
        version: ArtifactVersion,
        *,
        comment: str | None = None,
        status: str | None = None,
        tags: str | Sequence[str] | None = None,
        aliases: str | Sequence[str] | None = None,
        stages: str | Sequence[str] | None = None,
        add_tags: str | Sequence[str] = (),
        remove_tags: str | Sequence[str] = (),
        add_aliases: str | Sequence[str] = (),
        remove_aliases: str | Sequence[str] = (),
    ) -> ArtifactVersion:
        """Change what is said about a version; None stays as it is. `tags`, `aliases` and `stages` replace all that it
        has; what is added or removed leaves alone what others change at the same time. An alias moves here from the
        version that had it. Raises NotFound."""
        changes = {
            "comment": comment,
            "status": status,
            "tags": _labels(tags),
            "aliases": _labels(aliases),
            "stages": _labels(stages),
            "tags_added": _labels(add_tags),
            "tags_removed": _labels(remove_tags),
            "aliases_added": _labels(add_aliases),
            "aliases_removed": _labels(remove_aliases),
        }
        self._decided(ArtifactVersionUpdated, {**_place_of(version), "ordinal": version.ordinal, **changes})
        return self._version(_place_of(version), version.ordinal)

    def delete_artifact_version(self, version: ArtifactVersion) -> None:
        """Delete a version. Its number is never given again. Raises NotFound."""
        self._decided(ArtifactVersionDeleted, {**_place_of(version), "ordinal": version.ordinal})

    def download_artifact(self, version: ArtifactVersion, directory: str | os.PathLike[str]) -> list[Path]:
        """Write the files of a version into a directory, which is made if it is missing, under their names, and return
        their paths, in the order of `artifact_contents`. Each appears when it is whole and has the bytes that were
        logged; one that is there is replaced. Links are passed over. A name that cannot be written here, or not beside
        the others, is changed. Raises Invalid, before anything is written, for a name that leads out of it."""
        root = Path(directory)
        files = [file for file in self.artifact_contents(version).files if file.sha256 is not None]
        targets = targets_of(root, [file.name for file in files])
        for file, target in zip(files, targets, strict=True):
            with saved(target, root) as into:
                fetch(self._transport, _file_path(version, file.name), str(file.sha256), into, file.size_bytes)
        return targets

    def read_artifact_file(self, version: ArtifactVersion, name: str) -> bytes:
        """The bytes of one file of a version, all at once. Raises NotFound; Refused for a link."""
        with self._transport.open("GET", _file_path(version, name), headers={"Accept": "*/*"}) as response:
            return response.read()

    def _version(self, place: Place, ordinal: int, as_of: str | None = None) -> ArtifactVersion:
        artifact = artifact_id(**place)
        answer = self._transport.get(f"{_path(artifact)}/versions/{ordinal}", as_of=as_of)
        return ArtifactVersion.of(self, place, answer["version"])

    def _pages(self, path: str, name: str, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        cursor = None
        while True:
            page = self._transport.get(path, **asked, limit=_PAGE, cursor=cursor)
            rows += page[name]
            cursor = next_page(page, cursor, len(page[name]), _PAGE, self._transport.url)
            if cursor is None:
                return rows

    def _of(self, workspace: str | None) -> str:
        return workspace or self._workspace or "default"

    def _artifact_place(self, name: str, artifact_type: str, workspace: str | None, project: str | None) -> Place:
        return Place(workspace=self._of(workspace), project=project, artifact_type=artifact_type, name=name)

    def _decided(
        self, kind: type[ArtifactEvent], fields: Mapping[str, Any], allowed: Sequence[str] = ()
    ) -> Mapping[str, Any]:
        return self._decide(_event(kind, fields), allowed)

    def _decide(self, event: ArtifactEvent, allowed: Sequence[str] = ()) -> Mapping[str, Any]:
        """Append the event and return what came of it, once that is visible. Raises what a refusal means, unless it is
        one of `allowed`."""
        fields = json.loads(encode_event(event))
        del fields["at_us"]  # the server's clock is the one that counts
        body = json.dumps({"key": event.key, "event": fields}).encode()
        with self._transport.open("POST", "/ingest/v1/commands", data=body, headers=_JSON) as response:
            answer = self._transport.json_of(response)
        if not answer["visible"]:
            raise ServerFailed(
                f"the {event.type} of {event.name!r} is durable at {answer['positions']} but not visible yet: "
                "read with wait_for"
            )
        [command] = answer["commands"]
        path = f"/api/v1/commands/{command}"
        outcome: Mapping[str, Any] = self._transport.get(path, key=event.key, wait_for=answer["positions"])
        if outcome["refused"] and outcome["refused"] not in allowed:
            raise _refusal(event, outcome)
        return outcome


def _refusal(event: ArtifactEvent, outcome: Mapping[str, Any]) -> Refused:
    what = f"{event.artifact_type} {event.name!r} in {event.key!r}"
    match outcome["refused"]:
        case "version taken":
            taken = f"{what} has a version {outcome['version']!r} already, its number {outcome['ordinal']}"
            return VersionTaken(f"{taken}: give another version, or none", outcome)
        case "name taken":
            return NameTaken(f"there is a {what} already: give another name, or exist_ok=True", outcome)
        case "no such artifact":
            return NotFound(f"there is no {what}: artifacts() lists those that there are", outcome)
        case "no such version":
            return NotFound(f"{what} has no version {outcome['ordinal']}: versions() lists those it has", outcome)
        case "too many labels":
            return Refused(f"a version of {what} may have {limits.MAX_LABELS} tags and as many aliases", outcome)
        case "artifact full":
            return Refused(f"{what} has so many versions that it is full: delete some, or begin another one", outcome)
        case other:
            return Refused(f"the server refused the {event.type} of {what}: {other}", outcome)


def _event(kind: type[ArtifactEvent], fields: Mapping[str, Any]) -> ArtifactEvent:
    """The event, checked as the server checks it. Raises Invalid."""
    try:
        event = kind(at_us=0, **fields)
        size = len(encode_event(event))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Invalid(f"{place or 'the artifact'}: {first['msg'].removeprefix('Value error, ')}") from None
    except (TypeError, ValueError) as error:
        raise Invalid(f"the metadata cannot be written as JSON: {error}") from None
    if size > limits.MAX_EVENT_BYTES:
        raise Invalid(
            f"what is said about the version has {size} bytes, at most {limits.MAX_EVENT_BYTES} are allowed: put large "
            "metadata into a file, and many files into an archive"
        )
    return event


def _labels(labels: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """One text is one label."""
    if labels is None:
        return None
    return (labels,) if isinstance(labels, str) else tuple(labels)


def _place_of(thing: Artifact | ArtifactVersion) -> Place:
    return Place(workspace=thing.workspace, project=thing.project, artifact_type=thing.artifact_type, name=thing.name)


def _place_in(row: Mapping[str, Any]) -> Place:
    return Place(
        workspace=row["workspace"], project=row["project"], artifact_type=row["artifact_type"], name=row["name"]
    )


def _path(artifact: str) -> str:
    return f"/api/v1/artifacts/{segment(artifact)}"


def _file_path(version: ArtifactVersion, name: str) -> str:
    return f"{_path(version.artifact)}/versions/{version.ordinal}/file?name={segment(name)}"
