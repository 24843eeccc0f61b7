"""Comet's artifacts: those of projects, and of whole workspaces but for registered models."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote

from aiohttp import web

from runstream.events.artifacts import USED_BY
from runstream.events.moments import millis_of
from runstream_protocols.comet.artifact_versions import find_version, semantic_versions, shown_aliases
from runstream_protocols.comet.conventions import (
    FILE_LINKS,
    REGISTERED_FILES,
    is_registered_model,
    own_metadata,
    registry_file_id,
    registry_item_id,
)
from runstream_protocols.comet.errors import no_artifact, no_artifact_named, no_version
from runstream_protocols.comet.reads import artifact_responses as a
from runstream_protocols.comet.reads.requests import (
    ArtifactFilesRequest,
    ArtifactRequest,
    ArtifactsRequest,
    LineageRequest,
)
from runstream_protocols.comet.reads.runs import require_row
from runstream_query.http.context import Context
from runstream_query.repositories.artifact_files import ContentsRecord
from runstream_query.repositories.artifacts import ArtifactQuery, ArtifactRecord, VersionRecord

_PAGE: Final = 1_000
#: What the client calls a file whose type nobody gave.
_FILE_TYPE: Final = "asset"


async def artifacts(context: Context, request: web.Request, parameters: ArtifactsRequest) -> a.CometArtifacts:
    """Those of a workspace, by project, type and name."""
    found = await _all(context, ArtifactQuery(workspace=parameters.workspace, artifact_type=parameters.type))
    return a.CometArtifacts(artifacts=[a.CometArtifact(**_about(one, await _versions(context, one))) for one in found])


async def details(context: Context, request: web.Request, parameters: ArtifactRequest) -> a.CometArtifactDetails:
    """An artifact with all its versions, the oldest first."""
    found = await _meant(context, parameters)
    versions = await _versions(context, found)
    contents = await context.repositories.artifact_files.contents(context.scope, found.artifact, with_files=False)
    users = await _users(context, found.artifact, [one.ordinal for one in versions])
    names = semantic_versions(versions)
    shown = [
        a.CometArtifactVersion(
            artifact_version_id=registry_item_id(found.artifact, one.ordinal),
            version=names[one.ordinal],
            metadata=_metadata(contents.get(one.ordinal)),
            size_in_bytes=one.size_bytes,
            state="CLOSED",
            added=millis_of(one.created_at),
            alias=shown_aliases(one, versions),
            tags=list(one.tags),
            experiment_key=one.run or None,
            consumer_experiment_keys=users.get(one.ordinal, []),
        )
        for one in versions
    ]
    return a.CometArtifactDetails(**_about(found, versions), versions=shown)


async def files(context: Context, request: web.Request, parameters: ArtifactFilesRequest) -> a.CometArtifactFiles:
    """Files of a version, by its text or alias; of the newest without."""
    found = await _meant(context, parameters)
    version = find_version(await _versions(context, found), version=parameters.version, alias=parameters.alias)
    if version is None:
        raise no_version(found.name, parameters.version or parameters.alias)
    contents = await context.repositories.artifact_files.contents(context.scope, found.artifact, [version.ordinal])
    return a.CometArtifactFiles(files=_files(found.artifact, contents[version.ordinal]))


def _files(artifact: str, contents: ContentsRecord) -> list[a.CometArtifactFile]:
    metadata = json.loads(contents.metadata or "{}")
    about, links = _members(metadata, REGISTERED_FILES), _members(metadata, FILE_LINKS)
    return [
        a.CometArtifactFile(
            artifact_id=artifact,
            artifact_version_id=registry_item_id(artifact, contents.ordinal),
            asset_id=registry_file_id(artifact, contents.ordinal, number),
            file_name=file.name,
            file_size=file.size_bytes,
            link=links.get(file.name, file.link) or None,
            dir=file.name.rpartition("/")[0] or None,
            type=_FILE_TYPE,
            remote=bool(file.link),
            metadata=json.dumps(about[file.name], ensure_ascii=False) if about.get(file.name) else None,
        )
        for number, file in enumerate(contents.files)
    ]


async def lineage(context: Context, request: web.Request, parameters: LineageRequest) -> a.CometLineage:
    """The versions that an experiment made (`output`), and those that it used (`input`)."""
    key = parameters.experiment_key
    await require_row(context, key)
    repository = context.repositories.artifacts
    pairs: list[tuple[str, str, int]] = []
    if parameters.filter in ("all", "output"):
        made = await repository.versions_of_run(context.scope, key)
        pairs += (("output", one.artifact, one.ordinal) for one in made)
    if parameters.filter in ("all", "input"):
        used = await repository.versions_remarked(context.scope, USED_BY, key)
        pairs += (("input", artifact, ordinal) for artifact, ordinal in used)
    records = await repository.with_ids(context.scope, sorted({artifact for _, artifact, _ in pairs}))
    known: dict[tuple[str, int], tuple[ArtifactRecord, VersionRecord, str]] = {}
    for record in records:
        if not is_registered_model(record.artifact_type, record.project):
            versions = await _versions(context, record)
            names = semantic_versions(versions)
            known |= {(record.artifact, one.ordinal): (record, one, names[one.ordinal]) for one in versions}
    shown = [
        _in_lineage(direction, *known[artifact, ordinal])
        for direction, artifact, ordinal in pairs
        if (artifact, ordinal) in known
    ]
    return a.CometLineage(experiment_key=key, artifacts=shown)


def _in_lineage(direction: str, artifact: ArtifactRecord, version: VersionRecord, text: str) -> a.CometLineageArtifact:
    return a.CometLineageArtifact(
        artifact_id=artifact.artifact,
        artifact_version_id=registry_item_id(artifact.artifact, version.ordinal),
        artifact_name=artifact.name,
        artifact_type=artifact.artifact_type,
        version=text,
        workspace=artifact.workspace,
        project=artifact.project or None,
        direction=direction,
        experiment_key=version.run or None,
    )


async def _all(context: Context, query: ArtifactQuery) -> list[ArtifactRecord]:
    """Return all artifacts that a query means, without registered models."""
    found: list[ArtifactRecord] = []
    after: tuple[str, ...] | None = None
    while True:
        page = await context.repositories.artifacts.page(context.scope, query, after, _PAGE)
        found += (one for one in page if not is_registered_model(one.artifact_type, one.project))
        if len(page) < _PAGE:
            return found
        last = page[-1]
        after = (f"{last.workspace}/{last.project or last.name}", last.project, last.artifact_type, last.name)


async def _meant(context: Context, parameters: ArtifactRequest) -> ArtifactRecord:
    """Return the artifact with the id, or the oldest of the workspace with the name. Raises Problem."""
    if parameters.artifact_id:
        one = await context.repositories.artifacts.find(context.scope, parameters.artifact_id)
        if one is not None and not is_registered_model(one.artifact_type, one.project):
            return one
        raise no_artifact(parameters.artifact_id)
    name, workspace = unquote(parameters.artifact_name or ""), parameters.workspace or ""
    found = await _all(context, ArtifactQuery(workspace=workspace, name=name))
    if not found:
        raise no_artifact_named(name, workspace)
    return min(found, key=lambda one: (one.created_at, one.artifact))


async def _versions(context: Context, artifact: ArtifactRecord) -> list[VersionRecord]:
    """Return the versions of an artifact, the oldest first."""
    found = await context.repositories.artifacts.every_version(context.scope, artifact.artifact)
    return sorted(found, key=lambda one: one.ordinal)


async def _users(context: Context, artifact: str, ordinals: Sequence[int]) -> dict[int, list[str]]:
    """Return the runs that used each version, by number, in the order in which they did."""
    found: dict[int, list[str]] = {}
    for one in await context.repositories.artifacts.remarks(context.scope, artifact, ordinals):
        run = json.loads(one.remark).get(USED_BY)
        if isinstance(run, str) and run not in found.setdefault(one.ordinal, []):
            found[one.ordinal].append(run)
    return found


def _about(artifact: ArtifactRecord, versions: Sequence[VersionRecord]) -> dict[str, Any]:
    newest = versions[-1] if versions else None
    return {
        "artifact_id": artifact.artifact,
        "workspace": artifact.workspace,
        "project": artifact.project or None,
        "type": artifact.artifact_type,
        "name": artifact.name,
        "description": artifact.description or None,
        "latest_version": semantic_versions(versions)[newest.ordinal] if newest else None,
        "tags": list(artifact.tags),
        "is_public": artifact.public,
        "size_in_bytes": sum(one.size_bytes for one in versions),
        "created": millis_of(artifact.created_at),
        "last_updated": millis_of(artifact.updated_at),
    }


def _metadata(contents: ContentsRecord | None) -> str | None:
    """Return what was said about a version, as JSON, without what is about its files."""
    own = own_metadata(json.loads(contents.metadata or "{}")) if contents is not None else {}
    return json.dumps(own, ensure_ascii=False) if own else None


def _members(metadata: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = metadata.get(name)
    return found if isinstance(found, dict) else {}
