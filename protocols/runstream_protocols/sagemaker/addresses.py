"""What the address of an artifact leads to: a file in a bucket of this server, whose bytes become a file of the run, or
something elsewhere, of which the run has the address."""

import json
import mimetypes
from collections.abc import Mapping
from typing import Any, Final

from runstream.events.control import AssetLogged
from runstream_protocols.kit.entities import Entities
from runstream_protocols.kit.statements import digest
from runstream_protocols.kit.values import asset_name
from runstream_protocols.sagemaker.s3.headers import OCTETS
from runstream_protocols.sagemaker.s3.names import parts_of_address
from runstream_protocols.sagemaker.s3.objects import Objects, Stored
from runstream_protocols.sagemaker.side import SagemakerSide
from runstream_query.repositories.assets import AssetRecord

#: The kinds of files that are the artifacts of a component.
INPUT, OUTPUT = "input-artifact", "output-artifact"
#: Members of their metadata: the type that the client gives, and the address of a file whose bytes the run has.
MEDIA_TYPE, ADDRESS = "media_type", "address"
#: The type of the addresses of what is elsewhere.
_ADDRESS_TYPE: Final = "text/uri-list"
_CONTENT_TYPE: Final = "content-type"


async def object_at(side: SagemakerSide, address: str) -> Stored | None:
    """Return the object at an address; None where it is none of this server's."""
    parts = parts_of_address(address)
    return None if parts is None else await Objects(Entities(side.recorder, side.context)).find(*parts)


async def asset_of(
    side: SagemakerSide, run: str, kind: str, name: str, address: str, metadata: Mapping[str, Any]
) -> AssetLogged:
    """Return the event that an artifact is a file of a run: as it is in its bucket now, or by its address."""
    found = await object_at(side, address)
    about = dict(metadata)
    if found is None:
        sha256, size_bytes = await side.recorder.uploads.store(address.encode())
        content_type, location = _ADDRESS_TYPE, address or None
    else:
        sha256, size_bytes, location = found.sha256, found.size_bytes, None
        content_type = about.get(MEDIA_TYPE) or _type_of(found)
        about[ADDRESS] = address
    return AssetLogged(
        at_us=side.recorder.stamp(),
        asset_id=asset_id(run, kind, name),
        name=asset_name(name),
        kind=kind,
        sha256=sha256,
        size_bytes=size_bytes,
        content_type=content_type,
        metadata=about,
        location=location,
    )


def asset_id(run: str, kind: str, name: str) -> str:
    """Return the id of a file: one for each name, so that a later artifact takes the place of the earlier one."""
    return digest(16, run.encode(), kind.encode(), asset_name(name).encode()).hex()


def address_of(asset: AssetRecord) -> str:
    """Return the address that a file of a run was logged by."""
    return asset.location or str(metadata_of(asset).get(ADDRESS, ""))


def metadata_of(asset: AssetRecord) -> dict[str, Any]:
    """Return what was logged with a file."""
    found: dict[str, Any] = json.loads(asset.metadata) if asset.metadata else {}
    return found


def _type_of(found: Stored) -> str:
    """The type that the object was stored with; one that says nothing is guessed from its key."""
    given = found.headers.get(_CONTENT_TYPE, OCTETS)
    guessed, _ = mimetypes.guess_type(found.key, strict=False)
    return guessed or "application/octet-stream" if given == OCTETS else given
