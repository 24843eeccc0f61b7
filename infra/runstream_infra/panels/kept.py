"""Panels that are kept with projects: artifacts of the type `panel` with one file, whose versions stay as they are."""

import os
from dataclasses import dataclass
from typing import Final

from runstream.events.artifacts import ArtifactVersionLogged
from runstream.events.names import project_key
from runstream_infra.panels import models as m
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.outcomes import append_and_wait, event_of
from runstream_protocols.kit.recorder import Recorder
from runstream_query.http.context import Context
from runstream_query.repositories.artifacts import ArtifactQuery, ArtifactRecord, VersionRecord
from runstream_service.assets import AssetReader

TYPE: Final = "panel"
FILE: Final = "panel.py"
_CONTENT_TYPE: Final = "text/x-python"
_SHOWN_VERSIONS: Final = 100


@dataclass(frozen=True, slots=True)
class Code:
    """A version of a panel's code, and where it belongs."""

    artifact: ArtifactRecord
    version: VersionRecord
    source: str


async def listed(context: Context, wanted: m.PanelsRequest) -> m.ListedPanels:
    """Return panels of a project by name."""
    query = ArtifactQuery(wanted.workspace, wanted.project, TYPE)
    after = None
    if wanted.after is not None:
        after = (project_key(wanted.workspace, wanted.project), wanted.project, TYPE, wanted.after)
    found = await context.repositories.artifacts.page(context.scope, query, after, wanted.limit + 1)
    page = found[: wanted.limit]
    panels = [
        m.ListedPanel(
            name=one.name,
            artifact=one.artifact,
            description=one.description,
            version=one.latest_version,
            ordinal=one.latest_ordinal,
            versions=one.versions,
            created_at=one.created_at,
            updated_at=one.updated_at,
        )
        for one in page
    ]
    return m.ListedPanels(panels=panels, next=page[-1].name if len(found) > wanted.limit else None)


async def code_of(
    context: Context, workspace: str, project: str, name: str, version: str | None, max_bytes: int
) -> Code:
    """Return a version of a panel, by what it is called or its number; without one the newest. Raises Refused."""
    artifacts = context.repositories.artifacts
    query = ArtifactQuery(workspace, project, TYPE, name)
    found = await artifacts.page(context.scope, query, None, 1)
    if not found:
        what = f"there is no panel {name[:100]!r} in {workspace}/{project}"
        raise Refused(f"{what}: it was deleted, or never kept", status=404)
    [artifact] = found
    versions = await artifacts.versions(context.scope, artifact.artifact, version=version, limit=1)
    if not versions and version is not None and version.isdecimal() and len(version) < 19:
        one = await artifacts.version(context.scope, artifact.artifact, int(version))
        versions = [] if one is None else [one]
    if not versions:
        raise Refused(f"the panel {name[:100]!r} has no version {(version or 'at all')[:100]!r}", status=404)
    ordinal = versions[0].ordinal
    file = await context.repositories.artifact_files.file(context.scope, artifact.artifact, ordinal, FILE)
    if file is None or not file.sha256:
        raise Refused(f"version {ordinal} of {name[:100]!r} has no file {FILE}: keep it again", status=409)
    if file.size_bytes > max_bytes:
        raise Refused(f"{FILE} of {name[:100]!r} has {file.size_bytes} bytes: at most {max_bytes} are run", status=409)
    source = await _text(context.assets, file.sha256, max_bytes)
    return Code(artifact, versions[0], source)


async def _text(assets: AssetReader, sha256: str, max_bytes: int) -> str:
    stream = await assets.open(sha256, 0, max_bytes)
    return b"".join([piece async for piece in stream.chunks]).decode("utf-8", "replace")


async def shown(context: Context, workspace: str, project: str, code: Code) -> m.PanelCode:
    """Return a version with its code, and the newest ones beside it."""
    newest = await context.repositories.artifacts.versions(context.scope, code.artifact.artifact, limit=_SHOWN_VERSIONS)
    return m.PanelCode(
        workspace=workspace,
        project=project,
        name=code.artifact.name,
        artifact=code.artifact.artifact,
        version=code.version.version,
        ordinal=code.version.ordinal,
        comment=code.version.comment,
        created_at=code.version.created_at,
        source=code.source,
        versions=[
            m.PanelVersion(version=one.version, ordinal=one.ordinal, comment=one.comment, created_at=one.created_at)
            for one in newest
        ],
    )


async def save(recorder: Recorder, workspace: str, project: str, name: str, wanted: m.SaveRequest) -> int:
    """Keep a new version, and return its number. Raises Problem."""
    sha256, size_bytes = await recorder.uploads.store(wanted.source.encode("utf-8", "replace"))
    event = event_of(
        ArtifactVersionLogged,
        at_us=recorder.stamp(),
        workspace=workspace,
        project=project,
        artifact_type=TYPE,
        name=name,
        comment=wanted.comment,
        files=({"name": FILE, "sha256": sha256, "size_bytes": size_bytes, "content_type": _CONTENT_TYPE},),
    )
    outcome = await append_and_wait(recorder, project_key(workspace, project), os.urandom(16), event.at_us, [event])
    if outcome.refused:
        raise Refused(f"the panel {name[:100]!r} was not kept: {outcome.refused}", status=409)
    return outcome.ordinal
