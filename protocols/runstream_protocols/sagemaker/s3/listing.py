"""Handlers that list objects."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from aiohttp import web

from runstream_protocols.sagemaker.names import ACCOUNT
from runstream_protocols.sagemaker.s3.errors import XML, S3Error
from runstream_protocols.sagemaker.s3.headers import iso_date
from runstream_protocols.sagemaker.s3.names import behind, name_of
from runstream_protocols.sagemaker.s3.objects import Objects, Stored
from runstream_protocols.sagemaker.s3.side import S3Side, target_of
from runstream_protocols.sagemaker.s3.xml import document, element, texts
from runstream_service.routing import Call

_MAX_KEYS: Final = 1_000
_MAX_PARAMETER_CHARS: Final = 2_000
#: Reads of one list, each of a page: a list with a delimiter jumps from one group of keys to the next. One that would
#: need more is told to go on, as S3's may be.
_MAX_READS: Final = 30
#: Behind the ids of all entities.
_LAST_ID: Final = "~"
_CLASS: Final = "STANDARD"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a list is to have. `after`: only keys behind this one, or behind the group that it is."""

    prefix: str
    delimiter: str
    after: str
    limit: int
    is_url_encoded: bool


@dataclass(slots=True)
class Page:
    """Objects, and the groups of keys that have the delimiter behind the prefix. `last`: the last of both."""

    objects: list[Stored] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    last: str = ""
    is_truncated: bool = False

    def __len__(self) -> int:
        return len(self.objects) + len(self.groups)


async def list_objects_2(side: S3Side, call: Call[Any]) -> web.Response:
    """Return a page of a bucket's objects (ListObjectsV2)."""
    bucket, query = target_of(call.request).bucket, call.request.query
    token = query.get("continuation-token", "")
    wanted = _wanted(query, _key_in(token) if token else query.get("start-after", ""))
    page = await _page(side, bucket, wanted)
    members = {
        "Name": bucket,
        "Prefix": _shown(wanted, wanted.prefix),
        "Delimiter": _shown(wanted, wanted.delimiter) or None,
        "StartAfter": _shown(wanted, query.get("start-after", "")) or None,
        "ContinuationToken": token or None,
        "NextContinuationToken": _token_of(page.last) if page.is_truncated else None,
        "KeyCount": len(page),
    }
    return _response(wanted, page, members, with_owner=query.get("fetch-owner", "").lower() == "true")


async def list_objects(side: S3Side, call: Call[Any]) -> web.Response:
    """Return a page of a bucket's objects (ListObjects)."""
    bucket, query = target_of(call.request).bucket, call.request.query
    wanted = _wanted(query, query.get("marker", ""))
    page = await _page(side, bucket, wanted)
    members = {
        "Name": bucket,
        "Prefix": _shown(wanted, wanted.prefix),
        "Marker": _shown(wanted, wanted.after),
        "Delimiter": _shown(wanted, wanted.delimiter) or None,
        "NextMarker": _shown(wanted, page.last) if page.is_truncated and wanted.delimiter else None,
    }
    return _response(wanted, page, members, with_owner=True)


async def _page(side: S3Side, bucket: str, wanted: Wanted) -> Page:
    objects, page = Objects(side.entities), Page()
    await objects.require_bucket(bucket)
    if not wanted.limit:
        return page
    after = _first(bucket, wanted)
    for _ in range(_MAX_READS):
        found = await objects.page(bucket, wanted.prefix, after, _MAX_KEYS + 1)
        for one in found:
            if not _take(page, wanted, one):
                page.is_truncated = True
                return page
        if len(found) <= _MAX_KEYS:
            return page
        after = _behind(bucket, wanted, found[-1].key)
        if after is None:
            return page
    page.is_truncated = True
    return page


def _first(bucket: str, wanted: Wanted) -> tuple[str, str] | None:
    """Return what a list begins behind; None where it begins with the first object."""
    if not wanted.after:
        return None
    # A page that ended with a group goes on behind all of it.
    group = _group_of(wanted, wanted.after)
    following = behind(name_of(bucket, group)) if group == wanted.after else None
    return (name_of(bucket, wanted.after), _LAST_ID) if following is None else (following, "")


def _take(page: Page, wanted: Wanted, one: Stored) -> bool:
    """Add an object or its group to the page; returns False where there is no place for it."""
    group = _group_of(wanted, one.key)
    if group is not None and group in page.groups[-1:]:
        return True
    if len(page) >= wanted.limit:
        return False
    if group is None:
        page.objects.append(one)
    else:
        page.groups.append(group)
    page.last = one.key if group is None else group
    return True


def _behind(bucket: str, wanted: Wanted, key: str) -> tuple[str, str] | None:
    """Return where to go on behind a key, or behind the group that it is in; None where nothing can follow."""
    group = _group_of(wanted, key)
    if group is None:
        return name_of(bucket, key), _LAST_ID
    following = behind(name_of(bucket, group))
    return None if following is None else (following, "")


def _group_of(wanted: Wanted, key: str) -> str | None:
    """Return the beginning of a key up to the delimiter behind the prefix; None where it has none."""
    if not wanted.delimiter:
        return None
    end = key.find(wanted.delimiter, len(wanted.prefix))
    return None if end < 0 else key[: end + len(wanted.delimiter)]


def _wanted(query: Mapping[str, str], after: str) -> Wanted:
    limit, encoding = query.get("max-keys", str(_MAX_KEYS)), query.get("encoding-type", "")
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 9):
        raise S3Error("InvalidArgument", f"max-keys is {limit[:40]!r}: give 0 to {_MAX_KEYS}")
    if encoding not in ("", "url"):
        raise S3Error("InvalidArgument", f"encoding-type is {encoding[:40]!r}: give url")
    for name in ("prefix", "delimiter", "start-after", "marker", "continuation-token"):
        if len(query.get(name, "")) > _MAX_PARAMETER_CHARS:
            raise S3Error("InvalidArgument", f"{name} has more than {_MAX_PARAMETER_CHARS} characters")
    prefix, delimiter = _unicode(query.get("prefix", "")), _unicode(query.get("delimiter", ""))
    return Wanted(prefix, delimiter, _unicode(after), min(int(limit), _MAX_KEYS), encoding == "url")


def _unicode(text: str) -> str:
    """A text from a URL may have bytes that are no UTF-8, which no key has."""
    return text.encode(errors="surrogateescape").decode(errors="replace")


def _response(wanted: Wanted, page: Page, members: Mapping[str, object], *, with_owner: bool) -> web.Response:
    head = texts(
        (
            *members.items(),
            ("MaxKeys", wanted.limit),
            ("EncodingType", "url" if wanted.is_url_encoded else None),
            ("IsTruncated", page.is_truncated),
        )
    )
    owner = element("Owner", texts((("ID", ACCOUNT),))) if with_owner else ""
    objects = [element("Contents", texts(_members(wanted, one)), owner) for one in page.objects]
    groups = [element("CommonPrefixes", texts((("Prefix", _shown(wanted, one)),))) for one in page.groups]
    return web.Response(body=document("ListBucketResult", head, *objects, *groups), content_type=XML)


def _members(wanted: Wanted, one: Stored) -> tuple[tuple[str, object], ...]:
    return (
        ("Key", _shown(wanted, one.key)),
        ("LastModified", iso_date(one.modified_at)),
        ("ETag", one.quoted_etag),
        ("Size", one.size_bytes),
        ("StorageClass", _CLASS),
    )


def _shown(wanted: Wanted, text: str) -> str:
    return quote(text, safe="/") if wanted.is_url_encoded else text


def _token_of(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode()


def _key_in(token: str) -> str:
    try:
        return base64.b64decode(token.encode(), b"-_", validate=True).decode()
    except (ValueError, binascii.Error):
        raise S3Error("InvalidArgument", "the continuation token is none: give the one of the page before") from None
