"""Handlers that write artifacts: their versions, and the files of these, which come one by one."""

import reprlib
from typing import Any, Final

from pydantic import ValidationError

from runstream.events.artifacts import AddedFile, ArtifactFilesAdded, ArtifactVersionLogged
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.outcomes import event_of, invalid
from runstream_protocols.kit.payloads import Payload
from runstream_protocols.kit.places import Place, checked, place_of
from runstream_protocols.kit.uploads import Form
from runstream_protocols.mlaide.artifact_models import ShownArtifact
from runstream_protocols.mlaide.finding import (
    RESERVED,
    TYPE,
    about,
    append,
    type_of_name,
    version_named,
    version_to_change,
)
from runstream_protocols.mlaide.models import Done
from runstream_protocols.mlaide.shown_artifacts import shown
from runstream_protocols.mlaide.side import MlaideSide
from runstream_service.routing import Call

_FILE: Final = "file"
_MAX_FIELD_BYTES: Final = 10_000
_MAX_TYPE_CHARS: Final = 200
_OCTETS: Final = "application/octet-stream"
#: How the client writes a quotation mark in the header of a part.
_QUOTE: Final = "%22"


async def create(side: MlaideSide, call: Call[object], payload: Payload) -> ShownArtifact:
    """Create the next version of an artifact, and the artifact if it is missing. Files are added to it later."""
    place = place_of(call.path["project_key"])
    await side.recorder.require(place.record_key)
    name, own_type = checked("artifact", payload.text("name")), checked("artifact type", payload.text("type"))
    run, metadata = await _run_of(side, place, payload), _metadata_of(payload)

    def version(artifact_type: str) -> ArtifactVersionLogged:
        return event_of(
            ArtifactVersionLogged,
            at_us=side.recorder.stamp(),
            **about(place, artifact_type, name),
            run=run,
            metadata=metadata if own_type == artifact_type else {**metadata, TYPE: own_type},
            open=True,
        )

    # What is refused claims no name: the type of a name never changes.
    version(own_type)
    event = version(await type_of_name(side, place, name, own_type))
    outcome = await append(side, place, [event])
    return await shown(side, await version_named(side, place, name, str(outcome.ordinal)))


async def add_file(side: MlaideSide, call: Call[object]) -> Done:
    """Add a file to a version, or replace the one that has its name."""
    meant = await version_to_change(side, call)
    if not meant.version.open:
        raise Refused(
            f"version {meant.version.ordinal} of {meant.artifact.name[:140]!r} was made by another client, and its "
            "files never change: create a version, and add files to that"
        )
    receiving = side.recorder.uploads.receiving(call.request, (_FILE,), _MAX_FIELD_BYTES)
    async with receiving as form:
        if form.file is None:
            raise Refused(f"the body has no part {_FILE!r}: send the file in it")
        added = _added(form, form.file.sha256, form.file.size_bytes)
        ordinal = meant.version.ordinal
        event = event_of(
            ArtifactFilesAdded, at_us=side.recorder.stamp(), **meant.about, ordinal=ordinal, files=(added,)
        )
        await form.file.keep()
    await append(side, meant.place, [event])
    return Done()


def _added(form: Form, sha256: str, size_bytes: int) -> AddedFile:
    """Return the file of a form under the name that its part has. It is no path here."""
    name = (form.filename or "").replace(_QUOTE, '"')
    if not name or name.endswith("/"):
        raise Refused(f"the file is called {name[:100]!r}: give its part a filename that is no folder")
    content_type = form.content_type[:_MAX_TYPE_CHARS] or _OCTETS
    try:
        return AddedFile(name=name, sha256=sha256, size_bytes=size_bytes, content_type=content_type)
    except ValidationError as error:
        raise invalid(error) from None


async def _run_of(side: MlaideSide, place: Place, payload: Payload) -> str | None:
    """Return the id of the run that a version comes from. Raises Problem."""
    given = payload.fields.get("runKey")
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int):
        raise Refused(f"runKey is {reprlib.repr(given)}: give the key of a run, which is a number")
    return await side.run_in(place, str(given))


def _metadata_of(payload: Payload) -> dict[str, Any]:
    given = payload.fields.get("metadata")
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise Refused(f"metadata is {reprlib.repr(given)}: give an object")
    if (ours := next((name for name in given if name.startswith(RESERVED)), None)) is not None:
        raise Refused(f"metadata has {ours[:100]!r}: give names that do not begin with {RESERVED!r}")
    return dict(given)
