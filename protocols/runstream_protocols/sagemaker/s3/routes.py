"""S3 as routes of an aiohttp application."""

from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from runstream_protocols.sagemaker.paths import ADDRESS
from runstream_protocols.sagemaker.s3.errors import XML
from runstream_protocols.sagemaker.s3.operations import action_of, operation_of
from runstream_protocols.sagemaker.s3.side import S3Side
from runstream_service.access import Action
from runstream_service.routing import Call, Route

_BUCKET: Final = f"{ADDRESS}/{{bucket}}"
#: Keys have slashes. One that is empty is the bucket's address with a slash behind it.
_OBJECT: Final = f"{_BUCKET}/{{key:.*}}"
_OCTETS: Final = "application/octet-stream"


class ListQuery(BaseModel):
    """What stands in the query string of a list, for the document."""

    model_config = ConfigDict(extra="ignore")

    list_type: str | None = Field(default=None, alias="list-type", description="2: ListObjectsV2")
    prefix: str | None = None
    delimiter: str | None = None
    max_keys: str | None = Field(default=None, alias="max-keys")
    continuation_token: str | None = Field(default=None, alias="continuation-token")
    start_after: str | None = Field(default=None, alias="start-after")
    marker: str | None = None
    encoding_type: str | None = Field(default=None, alias="encoding-type", description="url")


async def respond(side: S3Side, call: Call[Any]) -> web.StreamResponse:
    """Do what a request names, once its signature is checked. Raises Problem."""
    operation = operation_of(call.request)
    await side.settle()
    return await operation.handler(side, call)


def _route(
    method: str,
    path: str,
    action: Action,
    summary: str,
    media: tuple[str, ...] = (XML,),
    request_media: tuple[str, ...] = (),
    statuses: tuple[int, ...] = (200,),
    request: type[BaseModel] | None = None,
) -> Route:
    return Route(
        method,
        path,
        action,
        summary,
        respond,
        request,
        None,
        media,
        request_media,
        statuses=statuses,
        tags=("files",),
        tells_action=action_of,
    )


ROUTES: Final = (
    _route("GET", ADDRESS, Action.READ, "Buckets"),
    _route("GET", f"{ADDRESS}/", Action.READ, "Buckets"),
    _route("GET", _BUCKET, Action.READ, "Objects of a bucket, or its location", request=ListQuery),
    _route("HEAD", _BUCKET, Action.READ, "Whether a bucket is there", ()),
    _route("PUT", _BUCKET, Action.LOG, "Create a bucket", (XML,), (XML,)),
    _route("POST", _BUCKET, Action.EDIT, "Delete objects", (XML,), (XML,)),
    _route("DELETE", _BUCKET, Action.EDIT, "Delete a bucket", (), statuses=(204,)),
    _route("GET", _OBJECT, Action.READ, "The bytes of an object", (_OCTETS, XML), statuses=(200, 206)),
    _route("HEAD", _OBJECT, Action.READ, "What is known of an object", ()),
    _route("PUT", _OBJECT, Action.LOG, "Store an object", (XML,), (_OCTETS, XML)),
    _route("POST", _OBJECT, Action.LOG, "Begin or complete an upload in parts", (XML,), (XML,)),
    _route("DELETE", _OBJECT, Action.EDIT, "Delete an object, or give up an upload", (), statuses=(204,)),
)
