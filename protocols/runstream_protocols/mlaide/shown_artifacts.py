"""Handlers that read artifacts and their files."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiohttp import web

from runstream.display_names import display_name
from runstream_protocols.kit.archives import stream_zip
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.places import place_of
from runstream_protocols.mlaide.artifact_models import (
    ArtifactsQuery,
    LatestQuery,
    ListedArtifact,
    ListedArtifacts,
    ShownArtifact,
    ShownFile,
    ShownModel,
)
from runstream_protocols.mlaide.finding import Meant, own_metadata, type_of, version_in
from runstream_protocols.mlaide.keys import number_of_run, run_of_number
from runstream_protocols.mlaide.side import MlaideSide
from runstream_protocols.mlaide.stages import STAGES, revisions_of, stage_named, stage_of
from runstream_query.errors import LimitExceeded
from runstream_query.http.context import Context
from runstream_query.http.files import file_headers, send_file
from runstream_query.repositories.artifact_files import ContentsRecord, FileRecord
from runstream_query.repositories.artifacts import ArtifactRecord, VersionRecord
from runstream_service.routing import Call

_ID_DIGITS: Final = 32


async def artifact(side: MlaideSide, call: Call[LatestQuery]) -> ShownArtifact:
    """Return a version by its number, or the latest: the one with the highest number, with `model-stage` of those that
    are models of that stage."""
    wanted = call.parameters.model_stage
    stage = stage_named(wanted)
    if wanted is not None and stage is None:
        raise Refused(f"model-stage is {wanted[:100]!r}: give one of {', '.join(STAGES)}")
    return await shown(side, await version_in(side, call, None if stage is None else [stage]))


async def artifacts(side: MlaideSide, call: Call[ArtifactsQuery]) -> ListedArtifacts:
    """Return the versions of all artifacts of a project, by name and number: models alone, or those of some runs."""
    context, place, query = side.context, place_of(call.path["project_key"]), call.parameters
    runs: list[str] | None = None
    if query.run_keys is not None:
        keys = query.run_keys.split(",")
        runs = [run for key in keys if (run := run_of_number(key.strip())) is not None]
    stages: Sequence[str] | None = None
    if (query.is_model or "").lower() == "true":
        stages = STAGES
    most = context.settings.max_page
    repository = context.repositories.artifacts
    found = await repository.versions_in_project(context.scope, *place.pair, runs=runs, stages=stages, limit=most + 1)
    if len(found) > most:
        raise LimitExceeded(
            f"{place.record_key} has more than {most} such versions, which is the limit of one response "
            "(RUNSTREAM_QUERY_MAX_PAGE): ask for models (isModel=true), or for those of some runs (runKeys)",
            limit="max_page",
            value=most,
        )
    return ListedArtifacts(items=await _listed(context, found))


async def _listed(context: Context, found: Sequence[VersionRecord]) -> list[ListedArtifact]:
    scope, repositories = context.scope, context.repositories
    records = await repositories.artifacts.with_ids(scope, sorted({one.artifact for one in found}))
    of = {record.artifact: record for record in records}
    metadata = await repositories.artifact_files.metadata(scope, [(one.artifact, one.ordinal) for one in found])
    names = await _names_of_runs(context, [one.run for one in found])
    rows = [
        ListedArtifact(**_fields(of[one.artifact], one, metadata.get((one.artifact, one.ordinal), ""), names))
        for one in found
    ]
    return sorted(rows, key=lambda row: (row.name, row.version))


async def shown(side: MlaideSide, meant: Meant) -> ShownArtifact:
    """Return a version with its files and the revisions of its model."""
    context, version = side.context, meant.version
    contents = await _contents(context, meant)
    names = await _names_of_runs(context, [version.run])
    fields = _fields(meant.artifact, version, contents.metadata, names)
    if (stage := stage_of(version.stages)) is not None:
        remarks = await context.repositories.artifacts.remarks(context.scope, version.artifact, [version.ordinal])
        fields["model"] = ShownModel(stage=stage, model_revisions=list(revisions_of(remarks)))
    files = [ShownFile(file_id=_id_of(file.name), file_name=file.name) for file in contents.files]
    return ShownArtifact(**fields, files=files)


async def download(side: MlaideSide, call: Call[object]) -> web.StreamResponse:
    """Return all files of a version in one archive, under the names that they were added with."""
    meant = await version_in(side, call)
    contents = await _contents(side.context, meant)
    stored = [(file.name, file.sha256, file.size_bytes) for file in contents.files if file.sha256]
    name = f"{meant.artifact.name}-{meant.version.ordinal}.zip"
    return await stream_zip(side.context, call.request, name, stored, verbatim=True)


async def file(side: MlaideSide, call: Call[object]) -> web.StreamResponse:
    """Return the bytes of one file of a version."""
    meant, wanted = await version_in(side, call), call.path["file_id"]
    for one in (await _contents(side.context, meant)).files:
        if _id_of(one.name) == wanted:
            return await _send(side.context, call.request, one)
    raise Refused(
        f"version {meant.version.ordinal} of {meant.artifact.name[:140]!r} has no file with the id {wanted[:60]!r}",
        status=404,
    )


async def _send(context: Context, request: web.Request, found: FileRecord) -> web.StreamResponse:
    if not found.sha256:
        raise Refused(f"the bytes of {found.name[:140]!r} are not here but at {found.link}: get them there")
    name = found.name.rpartition("/")[2]
    return await send_file(context, request, found.sha256, name, file_headers(name, found.content_type))


async def _contents(context: Context, meant: Meant) -> ContentsRecord:
    ordinal = meant.version.ordinal
    found = await context.repositories.artifact_files.contents(context.scope, meant.artifact.artifact, [ordinal])
    return found.get(ordinal, ContentsRecord(ordinal, "{}"))


async def _names_of_runs(context: Context, runs: Sequence[str]) -> Mapping[str, str]:
    """Return what the runs are called, by id; of those that may be seen."""
    wanted = sorted({run for run in runs if run})
    if not wanted:
        return {}
    found = await context.repositories.runs.shown(context.scope, wanted, context.clock())
    return {one.run: display_name(one.name, one.run) for one in found.values()}


def _fields(
    artifact: ArtifactRecord, version: VersionRecord, metadata: str, names: Mapping[str, str]
) -> dict[str, Any]:
    whole, own = own_metadata(metadata)
    stage = stage_of(version.stages)
    return {
        "name": artifact.name,
        "type": type_of(artifact, whole),
        "version": version.ordinal,
        "run_key": number_of_run(version.run) if version.run else None,
        "run_name": names.get(version.run),
        "metadata": own,
        "created_at": version.created_at,
        "updated_at": version.updated_at,
        "model": None if stage is None else ShownModel(stage=stage),
    }


def _id_of(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:_ID_DIGITS]
