"""Handlers of files in buckets. Their bytes are in the asset storage, their names are entities."""

import json
from typing import Any, Final

from aiohttp import web

from runstream_protocols.kit.entities import Entity, EntityRefused
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.places import Place
from runstream_protocols.ubiops.models import Done, FilesQuery, FileUrl, ShownFile, ShownFiles
from runstream_protocols.ubiops.projects import require_bucket
from runstream_protocols.ubiops.side import UbiopsSide, place_in, place_to_change
from runstream_protocols.ubiops.tickets import Ticket, take, url_of
from runstream_query.http.files import OCTETS, file_headers, send_file
from runstream_service.routing import Call

_FILE: Final = "file"
#: How often an upload begins again that others came before.
_ATTEMPTS: Final = 5


async def begin_upload(side: UbiopsSide, call: Call[object]) -> FileUrl:
    """Return the URL that a file is to be sent to, which needs no key."""
    place = await place_to_change(side, call)
    bucket, file = await _named(side, place, call)
    ticket = Ticket(place, bucket, file, writes=True)
    return FileUrl(url=await url_of(side, call, "uploads", ticket, call.path["api"]))


async def begin_download(side: UbiopsSide, call: Call[object]) -> FileUrl:
    """Return the URL of a file's bytes, which needs no key."""
    place = place_in(call)
    bucket, file = await _named(side, place, call)
    await _require(side, place, bucket, file)
    ticket = Ticket(place, bucket, file, writes=False)
    return FileUrl(url=await url_of(side, call, "downloads", ticket, call.path["api"]))


async def upload(side: UbiopsSide, call: Call[object]) -> Done:
    """Store the bytes of a file, in the place of those that it had."""
    side, ticket = await take(side, call, writes=True)
    staged = await side.recorder.uploads.receive(call.request)
    try:
        await staged.keep()
    finally:
        await staged.discard()
    await _keep(side, ticket, {"sha256": staged.sha256, "size_bytes": staged.size_bytes})
    return Done()


async def download(side: UbiopsSide, call: Call[object]) -> web.StreamResponse:
    """Return the bytes of a file."""
    side, ticket = await take(side, call, writes=False)
    entity = await _require(side, ticket.place, ticket.bucket, ticket.file)
    name = ticket.file.rpartition("/")[2] or ticket.file
    return await send_file(
        side.context, call.request, str(entity.properties["sha256"]), name, file_headers(name, OCTETS)
    )


async def file(side: UbiopsSide, call: Call[object]) -> ShownFile:
    """Return a file."""
    place = place_in(call)
    bucket, name = await _named(side, place, call)
    return _shown(await _require(side, place, bucket, name))


async def files(side: UbiopsSide, call: Call[FilesQuery]) -> ShownFiles:
    """Return the files of a bucket, by name: those that begin with a prefix, so many at once."""
    place, query = place_in(call), call.parameters
    bucket = (await require_bucket(side, place, call.path["bucket"])).name
    after = _token(query.continuation_token)
    found = await side.entities.list(
        place.pair, _FILE, f"{bucket}/{query.prefix or ''}", after=after, limit=query.limit + 1
    )
    shown = found[: query.limit]
    last = shown[-1] if len(found) > query.limit else None
    token = None if last is None else json.dumps([last.name, last.id])
    return ShownFiles(files=[_shown(one) for one in shown], continuation_token=token)


async def delete(side: UbiopsSide, call: Call[object]) -> Done:
    """Delete a file."""
    place = await place_to_change(side, call)
    bucket, name = await _named(side, place, call)
    entity = await _require(side, place, bucket, name)
    try:
        await side.entities.delete(entity)
    except EntityRefused:
        raise Refused(f"the file {name[:100]!r} was changed meanwhile: look at it and try again", status=409) from None
    return Done()


async def _named(side: UbiopsSide, place: Place, call: Call[Any]) -> tuple[str, str]:
    bucket = await require_bucket(side, place, call.path["bucket"])
    return bucket.name, call.path["file"]


async def _require(side: UbiopsSide, place: Place, bucket: str, name: str) -> Entity:
    entity = await side.entities.find(place.pair, _FILE, f"{bucket}/{name}")
    if entity is None:
        raise Refused(f"the bucket {bucket!r} has no file {name[:100]!r}: upload it", status=404)
    return entity


async def _keep(side: UbiopsSide, ticket: Ticket, properties: dict[str, Any]) -> None:
    """Give the stored bytes their name; of several uploads under one name, the last."""
    pair, name = ticket.place.pair, f"{ticket.bucket}/{ticket.file}"
    for _ in range(_ATTEMPTS):
        there = await side.entities.find(pair, _FILE, name)
        try:
            if there is None:
                await side.entities.create(pair, _FILE, name, properties)
            else:
                await side.entities.replace(there, properties)
            return
        except EntityRefused:
            continue
    raise Refused(f"the file {name[:100]!r} is changed by others all the time: try again", status=409)


def _token(given: str | None) -> tuple[str, str] | None:
    """Behind which file a list goes on. Raises Refused."""
    if not given:
        return None
    try:
        name, entity = json.loads(given)
    except (ValueError, TypeError):
        name = entity = None
    if not isinstance(name, str) or not isinstance(entity, str):
        raise Refused(f"continuation_token is {given[:100]!r}: give the one of the response before")
    return name, entity


def _shown(entity: Entity) -> ShownFile:
    return ShownFile(
        file=entity.name.partition("/")[2],
        size=entity.properties["size_bytes"],
        time_created=entity.updated_at,
    )
