"""What requests say of objects in headers, and what responses do. Pure."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Final

from runstream_protocols.sagemaker.s3.checksums import HEADER as CHECKSUM
from runstream_protocols.sagemaker.s3.errors import S3Error
from runstream_protocols.sagemaker.s3.objects import Conditions, Stored
from runstream_protocols.sagemaker.s3.xml import Element

METADATA: Final = "x-amz-meta-"
#: The type of what has none.
OCTETS: Final = "binary/octet-stream"
#: Headers that are kept with an object and stand in its responses again.
_KEPT: Final = (
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
)
_FRAMING: Final = "aws-chunked"
#: Of all user's metadata, as at AWS.
_MAX_METADATA_BYTES: Final = 2_048
_MAX_HEADER_CHARS: Final = 1_024
_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})\Z", re.ASCII)
#: What else a document may demand of an object that it lists. Objects have no versions here.
_UNKEPT_CONDITIONS: Final = ("VersionId", "LastModifiedTime", "Size")
_OVERRIDE: Final = "response-"
_UNUSABLE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a request that are kept with its object. Raises S3Error."""
    found = {name: _usable(name, headers[name]) for name in _KEPT if headers.get(name)}
    codings = [one.strip() for one in found.pop("content-encoding", "").split(",")]
    rest = ",".join(one for one in codings if one and one.lower() != _FRAMING)
    return found | ({"content-encoding": rest} if rest else {})


def metadata_of(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the user's metadata of a request, without their prefix. Raises S3Error."""
    found = {
        name.removeprefix(METADATA): _usable(name, value) for name, value in headers.items() if METADATA in name[:11]
    }
    size = sum(len(name.encode()) + len(value.encode()) for name, value in found.items())
    if size > _MAX_METADATA_BYTES:
        raise S3Error("MetadataTooLarge", f"the metadata have {size} bytes, at most {_MAX_METADATA_BYTES} are kept")
    return found


def conditions_of(headers: Mapping[str, str]) -> Conditions:
    """Return what a request that writes demands of what is there. Raises S3Error."""
    absent = headers.get("if-none-match")
    if absent is not None and absent.strip() != "*":
        raise S3Error("NotImplemented", f"If-None-Match is {absent[:60]!r}: a write takes only *")
    return Conditions(absent is not None, _demanded(headers.get("if-match")))


def conditions_of_delete(headers: Mapping[str, str]) -> Conditions:
    """Return what a request that deletes demands of what is there. Raises S3Error."""
    if "if-none-match" in headers:
        raise S3Error("NotImplemented", "If-None-Match is not kept where an object is deleted: give If-Match")
    return Conditions(etags=_demanded(headers.get("if-match")))


def conditions_of_listed(listed: Element) -> Conditions:
    """Return what a document that lists an object demands of it. Raises S3Error."""
    if unkept := [one.name for one in listed.children if one.name in _UNKEPT_CONDITIONS]:
        raise S3Error("NotImplemented", f"{unkept[0]} of a listed object is not kept here: give its Key and ETag alone")
    return Conditions(etags=_demanded(listed.get("ETag")))


def etags_in(text: str) -> tuple[str, ...]:
    """Return the ETags of a header without quotes."""
    return tuple(one.strip().removeprefix("W/").strip('"') for one in text.split(",") if one.strip())


def http_date(moment: datetime) -> str:
    """Return a moment as headers have it, in whole seconds."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def iso_date(moment: datetime) -> str:
    """Return a moment as XML has it, in whole seconds as the headers."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def headers_of_object(found: Stored, *, with_checksums: bool) -> dict[str, str]:
    """Return what responses say of an object."""
    headers = {
        "Content-Type": OCTETS,
        "ETag": found.quoted_etag,
        "Last-Modified": http_date(found.modified_at),
        "Accept-Ranges": "bytes",
        **{_titled(name): value for name, value in found.headers.items()},
        **{f"{METADATA}{name}": value for name, value in found.metadata.items()},
    }
    return headers | (checksum_headers(found.checksums) if with_checksums else {})


def checksum_headers(checksums: Mapping[str, str]) -> dict[str, str]:
    """Return what responses say of checksums."""
    if not checksums:
        return {}
    kind = "COMPOSITE" if any("-" in value for value in checksums.values()) else "FULL_OBJECT"
    return {f"{CHECKSUM}{name}": value for name, value in checksums.items()} | {f"{CHECKSUM}type": kind}


def overrides_in(query: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of the response that a request wants otherwise (`response-content-type=...`). Raises
    S3Error."""
    found = {name: query[f"{_OVERRIDE}{name}"] for name in _KEPT if f"{_OVERRIDE}{name}" in query}
    return {_titled(name): _usable(name, value) for name, value in found.items()}


def is_unchanged(headers: Mapping[str, str], found: Stored) -> bool:
    """Return whether the client has the object as it is; refuse where it wants another one. Raises S3Error."""
    etags, unwanted = etags_in(headers.get("if-match", "")), etags_in(headers.get("if-none-match", ""))
    since, until = (_moment_in(headers.get(name, "")) for name in ("if-modified-since", "if-unmodified-since"))
    modified_at = found.modified_at.replace(microsecond=0)
    is_gone = not {"*", found.etag} & set(etags) if etags else until is not None and modified_at > until
    if is_gone:
        raise S3Error("PreconditionFailed", f"the object {found.key[:100]!r} has the ETag {found.quoted_etag}")
    if unwanted:
        return bool({"*", found.etag} & set(unwanted))
    return since is not None and modified_at <= since


def range_in(header: str | None, size_bytes: int) -> tuple[int, int] | None:
    """Return the one range [start, end) of so many bytes that a header wants; None for all of them, also where it wants
    several, or cannot be read. Raises S3Error."""
    match = _RANGE.match((header or "").replace(" ", ""))
    if match is None or not (match[1] or match[2]):
        return None
    if match[1]:
        start, end = int(match[1]), min(int(match[2]) + 1 if match[2] else size_bytes, size_bytes)
        if match[2] and int(match[2]) < start:
            return None
    else:
        start, end = max(0, size_bytes - int(match[2])), size_bytes
    if start >= end:
        detail = f"{header} is outside of the {size_bytes} bytes of the object: ask for less"
        raise S3Error("InvalidRange", detail, headers={"Content-Range": f"bytes */{size_bytes}"})
    return start, end


def _demanded(text: str | None) -> tuple[str, ...]:
    """Return the ETags of a condition. One that names none holds of no object: passed over it would hold of all."""
    return () if text is None else etags_in(text) or ("",)


def _moment_in(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _usable(name: str, value: str) -> str:
    if len(value) > _MAX_HEADER_CHARS or _UNUSABLE.search(value):
        detail = f"the header {name[:60]!r} is too long or has characters that cannot be kept: give at most"
        raise S3Error("InvalidArgument", f"{detail} {_MAX_HEADER_CHARS} characters of UTF-8")
    return value


def _titled(name: str) -> str:
    return "-".join(part.capitalize() for part in name.split("-"))
