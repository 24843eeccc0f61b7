"""`api.artifacts`: named, typed things (models, panels, data sets) with numbered versions."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Unpack

from runstream.api.errors import NotFound
from runstream.api.guarding import reads_responses
from runstream.api.parts.arguments import RunOrId, run_id, run_path
from runstream.api.parts.artifact_events import event_of, labels_of, refusal
from runstream.api.parts.artifact_files import Files, fetch, sources_of, upload
from runstream.api.parts.saving import safe_targets, saved, targets_of
from runstream.api.session import CommandOutcome, Session
from runstream.api.transport import segment
from runstream.api.values import Logged, Row
from runstream.api.views.artifacts import (
    Artifact,
    ArtifactContents,
    ArtifactFile,
    ArtifactPath,
    ArtifactReader,
    ArtifactRemark,
    ArtifactVersion,
    VersionOptions,
)
from runstream.api.views.lineage import Lineage, Side
from runstream.api.views.table import Table
from runstream.events.artifacts import (
    USED_BY,
    AddedFile,
    ArtifactCreated,
    ArtifactDeleted,
    ArtifactEvent,
    ArtifactFilesAdded,
    ArtifactUpdated,
    ArtifactVersionDeleted,
    ArtifactVersionLogged,
    ArtifactVersionRemarked,
    ArtifactVersionUpdated,
    artifact_id,
)
from runstream.events.control import encode_event


@reads_responses
class ArtifactsApi:
    """Artifacts: `api.artifacts(type)`, and what is done with one. `project` None is an artifact of the whole
    workspace; `workspace` None is the API's, else `default`.

    What changes something returns, or raises, once every read shows it. A call that raised ServerUnreachable or
    ServerFailed may have been done all the same: look before it is made again.
    """

    def __init__(self, session: Session, reader: ArtifactReader) -> None:
        """`reader`: where the artifacts that are returned read the rest of themselves."""
        self._session = session
        self._reader = reader

    def __call__(
        self,
        artifact_type: str | None = None,
        *,
        workspace: str | None = None,
        project: str | None = None,
        name: str | None = None,
        limit: int | None = None,
        wait_for: str | None = None,
        wait_s: float | None = None,
    ) -> Table[Artifact]:
        """Read artifacts, by workspace, project, type and name, at most `limit` (None is all). `project` "" leaves
        those of projects out."""
        query = {
            "workspace": workspace or self._session.workspace,
            "project": self._session.project if project is None else project,
            "type": artifact_type,
            "name": name,
            "wait_for": wait_for,
            "wait_s": wait_s,
        }
        rows, more = self._rows("/api/v1/artifacts", "artifacts", query, limit)
        return Table([Artifact.of(self._reader, row) for row in rows], more)

    def get(
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
        """Read one artifact. Raises NotFound."""
        path = _path(artifact_id(self._of(workspace), project, artifact_type, name))
        return Artifact.of(self._reader, self._session.get(path, as_of=as_of, wait_for=wait_for, wait_s=wait_s))

    def create(
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
        """Create an artifact without a version. A name is created once, however many request it at the same time and
        wherever: NameTaken for all others; with `exist_ok` they get it as it is."""
        path = self._path_of(name, artifact_type, workspace, project)
        texts = {"description": description, "notes": notes, "tags": labels_of(tags), "public": public}
        outcome = self._append_and_wait(
            event_of(ArtifactCreated, {**path, **texts}), ("name taken",) if exist_ok else ()
        )
        return Artifact.of(self._reader, self._session.get(_path(str(outcome.artifact))))

    def update(
        self,
        artifact: Artifact,
        *,
        description: str | None = None,
        notes: str | None = None,
        tags: str | Sequence[str] | None = None,
        public: bool | None = None,
    ) -> Artifact:
        """Change the description of an artifact, its notes, tags or whether it is public; None stays as it is. Raises
        NotFound."""
        texts = {"description": description, "notes": notes, "tags": labels_of(tags), "public": public}
        outcome = self._append_and_wait(event_of(ArtifactUpdated, {**artifact.path, **texts}))
        return Artifact.of(self._reader, self._session.get(_path(str(outcome.artifact))))

    def delete(self, artifact: Artifact) -> None:
        """Delete an artifact and its versions. Its name is free again, the numbers are not. Raises NotFound."""
        self._append_and_wait(event_of(ArtifactDeleted, artifact.path))

    def log_version(
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
        metadata: Mapping[str, Logged] | None = None,
        run: str | None = None,
        open: bool = False,
    ) -> ArtifactVersion:
        """Add a version, and the artifact if it is missing, and return it with the number that it got.

        `files`: a path, several, or a mapping from the names that they get to paths, bytes or `Link`s; a directory
        stands for all files in it. They are stored before the version is there. `version` is what it is called: its
        number if it is None; VersionTaken if another one is. `aliases` move here from the versions that had them. To an
        `open` version `add_files` adds more.
        Raises Invalid (before anything is sent, if there are too many files), OSError.
        """
        path = self._path_of(name, artifact_type, workspace, project)
        labels = {"tags": labels_of(tags), "aliases": labels_of(aliases), "stages": labels_of(stages), "status": status}
        said = {"comment": comment, "metadata": dict(metadata or {}), "run": run, **labels}
        more = {"version": version, "open": open or None, **said}
        event_of(ArtifactVersionLogged, {**path, **more})  # raises what is wrong with it before files are read
        sources = sources_of(files)
        event = event_of(ArtifactVersionLogged, {**path, **more, "files": tuple(source.file for source in sources)})
        for source in sources:
            upload(self._session, source)
        return self._version(path, self._append_and_wait(event).ordinal)

    def add_files(self, version: ArtifactVersion, files: Files) -> ArtifactVersion:
        """Add files, given as to `log_version`, to a version that was logged as open, and return it as it is then. One
        with the name of another takes its place. Raises NotFound; Refused for a version that is not open, and for more
        files than a version may have; Invalid, OSError."""
        sources = sources_of(files)
        added = tuple(AddedFile(**source.file.model_dump()) for source in sources)
        event = event_of(ArtifactFilesAdded, {**version.path, "ordinal": version.ordinal, "files": added})
        for source in sources:
            upload(self._session, source)
        self._append_and_wait(event)
        return self._version(version.path, version.ordinal)

    def versions(
        self, artifact: Artifact, *, limit: int | None = None, **options: Unpack[VersionOptions]
    ) -> Table[ArtifactVersion]:
        """Read the versions of an artifact, the newest first: all, those that are called so, the one with that alias;
        at most `limit` (None is all)."""
        rows, more = self._rows(f"{_path(artifact.artifact)}/versions", "versions", options, limit)
        return Table([ArtifactVersion.of(self._reader, artifact.path, row) for row in rows], more)

    def version(
        self, artifact: Artifact, version: int | str | None = None, *, as_of: str | None = None
    ) -> ArtifactVersion:
        """Read one version: by its number (an int), by what it is called or, failing that, by an alias (a str); None is
        the one with the highest number. Raises NotFound."""
        if isinstance(version, int):
            return self._version(artifact.path, version, as_of)
        path = f"{_path(artifact.artifact)}/versions"
        queries = ({},) if version is None else ({"version": version}, {"alias": version})
        for query in queries:
            if found := self._session.get(path, **query, limit=1, as_of=as_of)["versions"]:
                return ArtifactVersion.of(self._reader, artifact.path, found[0])
        missing = (
            f"{artifact.artifact_type} {artifact.name!r} has no version {version or 'at all'}: versions() lists them"
        )
        raise NotFound(missing, {"detail": missing})

    def of_run(self, run: RunOrId) -> Table[ArtifactVersion]:
        """Read the versions that came from a run, by type, name and number. Raises NotFound if there is no such run."""
        rows = self._session.get(f"{run_path(run)}/artifacts")["versions"]
        return Table([ArtifactVersion.of(self._reader, _path_in(row), row) for row in rows])

    def contents(self, version: ArtifactVersion, *, as_of: str | None = None) -> ArtifactContents:
        """Read the metadata of a version, and the list of its files by name, which of an open one may have been others
        at an earlier moment (`as_of`). Raises NotFound."""
        response = self._session.get(f"{_path(version.artifact)}/versions/{version.ordinal}", as_of=as_of)
        return ArtifactContents(response["metadata"], tuple(ArtifactFile.of(file) for file in response["files"]))

    def update_version(
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
        """Change the comment, status or labels of a version; None stays as it is. `tags`, `aliases` and `stages`
        replace all that it has; what is added or removed leaves alone what others change at the same time. An alias
        moves here from the version that had it. Raises NotFound."""
        changes = {
            "comment": comment,
            "status": status,
            "tags": labels_of(tags),
            "aliases": labels_of(aliases),
            "stages": labels_of(stages),
            "tags_added": labels_of(add_tags),
            "tags_removed": labels_of(remove_tags),
            "aliases_added": labels_of(add_aliases),
            "aliases_removed": labels_of(remove_aliases),
        }
        self._append_and_wait(event_of(ArtifactVersionUpdated, {**version.path, "ordinal": version.ordinal, **changes}))
        return self._version(version.path, version.ordinal)

    def remark(self, version: ArtifactVersion, remark: Mapping[str, Logged]) -> None:
        """Write something about a version that none of its fields holds, behind what was written before. Raises
        NotFound."""
        self._append_and_wait(
            event_of(ArtifactVersionRemarked, {**version.path, "ordinal": version.ordinal, "remark": dict(remark)})
        )

    def remarks(self, version: ArtifactVersion, *, limit: int | None = None) -> Table[ArtifactRemark]:
        """Read what was written about a version, the oldest first, at most `limit` (None is all). Raises NotFound."""
        path = f"{_path(version.artifact)}/versions/{version.ordinal}/remarks"
        rows, more = self._rows(path, "remarks", {}, limit)
        return Table([ArtifactRemark.of(row) for row in rows], more)

    def mark_used(self, version: ArtifactVersion, run: RunOrId) -> None:
        """Record that a run used a version, which is upstream of the run from now on (`lineage`). Raises NotFound, also
        for a run that is not there."""
        self._session.get(run_path(run))
        self.remark(version, {USED_BY: run_id(run)})

    def lineage(
        self,
        of: RunOrId | ArtifactVersion,
        direction: Side = "both",
        *,
        depth: int = 10,
        limit: int = 200,
        wait_for: str | None = None,
        wait_s: float | None = None,
    ) -> Lineage:
        """Read which versions a run used and made, and what those were made of and used for; or the same of a version.
        `direction`: `up`, `down` or `both`; `depth`: edges on the way to a run or a version, at most 100; `limit`: runs
        and versions, at most 1,000. What is cut is named. Raises NotFound."""
        place = run_path(of) if not isinstance(of, ArtifactVersion) else f"{_path(of.artifact)}/versions/{of.ordinal}"
        query = {"direction": direction, "depth": depth, "limit": limit, "wait_for": wait_for, "wait_s": wait_s}
        return Lineage.of(self._session.get(f"{place}/lineage", **query))

    def delete_version(self, version: ArtifactVersion) -> None:
        """Delete a version. Its number is never given again. Raises NotFound."""
        self._append_and_wait(event_of(ArtifactVersionDeleted, {**version.path, "ordinal": version.ordinal}))

    def download(self, version: ArtifactVersion, directory: str | os.PathLike[str]) -> list[Path]:
        """Write the files of a version into a directory, which is made if it is missing, under their names, and return
        their paths, in the order of `artifact_contents`. Each appears when it is whole and has the bytes that were
        logged; one that is there is replaced. Links are passed over. A name that cannot be written here, or not beside
        the others, is changed, and so is any that leads out of it and was added to an open version. Raises Invalid,
        before anything is written, for another name that leads out of it."""
        root = Path(directory)
        files = [file for file in self.contents(version).files if file.sha256 is not None]
        place = safe_targets if version.open else targets_of
        targets = place(root, [file.name for file in files])
        for file, target in zip(files, targets, strict=True):
            with saved(target, root) as into:
                fetch(self._session, _file_path(version, file.name), str(file.sha256), into, file.size_bytes)
        return targets

    def read(self, version: ArtifactVersion, name: str) -> bytes:
        """Read the bytes of one file of a version, all at once. Raises NotFound; Refused for a link."""
        with self._session.open("GET", _file_path(version, name), headers={"Accept": "*/*"}) as response:
            return response.read()

    def addresses(self, version: ArtifactVersion, names: Sequence[str]) -> list[str | None]:
        """Return for each file of a version an address that opens its bytes without a key, for five to ten minutes.
        None where the version has no such file, or its bytes are elsewhere. Raises Refused for more than 50 names."""
        wanted = [{"artifact": version.artifact, "ordinal": version.ordinal, "name": name} for name in names]
        return self._session.addresses("files", wanted)

    def _version(self, path: ArtifactPath, ordinal: int | None, as_of: str | None = None) -> ArtifactVersion:
        response = self._session.get(f"{_path(artifact_id(**path))}/versions/{ordinal}", as_of=as_of)
        return ArtifactVersion.of(self._reader, path, response["version"])

    def _rows(self, path: str, member: str, query: Mapping[str, Logged], limit: int | None) -> tuple[list[Row], bool]:
        """Read the rows of a list, and whether it goes on behind `limit`."""
        rows: list[Row] = []
        more = False
        for page in self._session.pages("GET", path, member, query, limit=limit):
            rows += page.rows
            more = page.more
        return rows, more

    def _of(self, workspace: str | None) -> str:
        return workspace or self._session.workspace or "default"

    def _path_of(self, name: str, artifact_type: str, workspace: str | None, project: str | None) -> ArtifactPath:
        return ArtifactPath(workspace=self._of(workspace), project=project, artifact_type=artifact_type, name=name)

    def _append_and_wait(self, event: ArtifactEvent, allowed: Sequence[str] = ()) -> CommandOutcome:
        """Append the event and return its outcome, once that is visible. Raises what a refusal means, unless it is one
        of `allowed`."""
        fields = json.loads(encode_event(event))
        del fields["at_us"]  # the server's clock is the one that counts
        outcome = self._session.outcome_of(self._session.append_and_wait(event.key, fields))
        if outcome.refused and outcome.refused not in allowed:
            raise refusal(event, outcome)
        return outcome


def _path_in(row: Row) -> ArtifactPath:
    return ArtifactPath(
        workspace=row["workspace"], project=row["project"], artifact_type=row["artifact_type"], name=row["name"]
    )


def _path(artifact: str) -> str:
    return f"/api/v1/artifacts/{segment(artifact)}"


def _file_path(version: ArtifactVersion, name: str) -> str:
    return f"{_path(version.artifact)}/versions/{version.ordinal}/file?name={segment(name)}"
