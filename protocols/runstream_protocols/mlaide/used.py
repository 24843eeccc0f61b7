"""Which versions of artifacts a run used and made: an edge of the lineage each."""

import reprlib
from collections.abc import Sequence
from typing import Any, Final

from runstream.events.artifacts import USED_BY, ArtifactVersionRemarked
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.outcomes import event_of
from runstream_protocols.kit.payloads import Payload
from runstream_protocols.kit.places import Place
from runstream_protocols.mlaide.finding import Meant, version_named
from runstream_protocols.mlaide.models import ArtifactReference
from runstream_protocols.mlaide.side import MlaideSide
from runstream_query.http.context import Context

#: Versions that one run names as used: each is looked up before the run begins, while its client waits.
_MAX_USED: Final = 100


async def versions_used(side: MlaideSide, place: Place, payload: Payload) -> Sequence[Meant]:
    """Return the versions that a request says a run uses, each once. One without a version is the latest. Raises
    Refused where there is none."""
    if payload.fields.get("usedArtifacts") is None:
        return ()
    found: dict[tuple[str, int], Meant] = {}
    for reference in payload.listed("usedArtifacts", _MAX_USED):
        meant = await _meant(side, place, reference)
        found[meant.artifact.artifact, meant.version.ordinal] = meant
    return list(found.values())


async def _meant(side: MlaideSide, place: Place, reference: Any) -> Meant:
    if not isinstance(reference, dict):
        raise Refused(f"usedArtifacts has {reprlib.repr(reference)}: give an object with name and version")
    given = reference.get("version")
    version = "latest" if given is None else given
    if isinstance(version, bool) or not isinstance(version, int | str):
        raise Refused(f"usedArtifacts has the version {reprlib.repr(given)}: give a number, or latest")
    try:
        return await version_named(side, place, Payload(reference, b"").text("name"), str(version))
    except Refused as refused:
        # A run that uses what is not there is a wrong request, and no missing address.
        raise Refused(f"usedArtifacts: {refused.detail}") from None


async def record_used(side: MlaideSide, place: Place, run: str, used: Sequence[Meant]) -> None:
    """Record that a run used versions. The request has its response when reads show it."""
    events = [
        event_of(
            ArtifactVersionRemarked,
            at_us=side.recorder.stamp(),
            **meant.about,
            ordinal=meant.version.ordinal,
            remark={USED_BY: run},
        )
        for meant in used
    ]
    if events:
        await side.recorder.record(place.record_key, f"used by {run}".encode(), events)


async def made_and_used(
    context: Context, place: Place, run: str
) -> tuple[list[ArtifactReference], list[ArtifactReference]]:
    """Return the versions of artifacts of a project that a run made, and those that it used."""
    artifacts = context.repositories.artifacts
    made = [(one.artifact, one.ordinal) for one in await artifacts.versions_of_run(context.scope, run)]
    used = await artifacts.versions_remarked(context.scope, USED_BY, run)
    ids = sorted({artifact for artifact, _ in (*made, *used)})
    names = {
        record.artifact: record.name
        for record in await artifacts.with_ids(context.scope, ids)
        if (record.workspace, record.project) == place.pair
    }

    def references(pairs: Sequence[tuple[str, int]]) -> list[ArtifactReference]:
        return [ArtifactReference(name=names[one], version=ordinal) for one, ordinal in pairs if one in names]

    return references(made), references(used)
