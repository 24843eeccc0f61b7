"""Buckets and keys, and the names of the entities that hold them. Pure.

The name of an entity has at most a few parts between slashes, and a key may have any number. So a slash and a dot of a
key are written as two characters each, which leaves names in the order of their keys, and what begins alike alike.
"""

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from runstream.events.limits import MAX_ENTITY_NAME_CHARS
from runstream_protocols.sagemaker.s3.errors import S3Error

#: Kinds of entities.
BUCKET: Final = "s3-bucket"
OBJECT: Final = "s3-object"
UPLOAD: Final = "s3-upload"
PART: Final = "s3-part"
#: What an address of an object begins with.
SCHEME: Final = "s3://"
_BUCKET_NAME: Final = re.compile(r"(?!.*\.\.)[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9]\Z", re.ASCII)
#: Characters that no entity's name, or no XML, can have.
_UNUSABLE: Final = re.compile(r"[\x00-\x1f\x7f\ufffe\uffff]")
_ESCAPES: Final = {".": ".-", "/": ".~"}
_ESCAPED: Final = {escape: character for character, escape in _ESCAPES.items()}
_TO_ESCAPE: Final = re.compile(r"[./]")
_TO_UNESCAPE: Final = re.compile(r"\.[-~]")
_LAST_CHARACTER: Final = 0x10FFFF
_SURROGATES: Final = range(0xD800, 0xE000)


def is_bucket(name: str) -> bool:
    """Return whether a bucket can have the name."""
    return _BUCKET_NAME.match(name) is not None


def check_bucket(name: str) -> str:
    """Return the name of a new bucket. Raises S3Error."""
    if not is_bucket(name):
        detail = f"the bucket name {name[:80]!r} is not valid: give 3 to 63 of a-z, 0-9, '-' and '.'"
        raise S3Error("InvalidBucketName", detail)
    return name


def text_of(escaped: str) -> str:
    """Return a part of a path as text. Raises S3Error where it is no UTF-8."""
    try:
        return unquote_to_bytes(escaped.encode(errors="surrogateescape")).decode()
    except UnicodeError:
        raise S3Error("InvalidURI", f"the path {escaped[:80]!r} is no UTF-8: escape the bytes of UTF-8") from None


def check_key(bucket: str, key: str) -> str:
    """Return a key that an object can have. Raises S3Error."""
    if _UNUSABLE.search(key):
        raise S3Error("InvalidArgument", f"the key {key[:80]!r} has a control character: take another one")
    if (size := len(name_of(bucket, key))) > MAX_ENTITY_NAME_CHARS:
        shown = f"the key {key[:80]!r} takes {size} characters with its bucket, '.' and '/' counting twice"
        raise S3Error("KeyTooLongError", f"{shown}: give at most {MAX_ENTITY_NAME_CHARS}")
    return key


def name_of(bucket: str, key: str) -> str:
    """Return the name of the entity of an object, or the beginning of it where `key` is one of keys."""
    return f"{bucket}/{_TO_ESCAPE.sub(lambda found: _ESCAPES[found[0]], key)}"


def key_of(name: str) -> str:
    """Return the key of the object whose entity has a name."""
    return _TO_UNESCAPE.sub(lambda found: _ESCAPED[found[0]], name.partition("/")[2])


def behind(prefix: str) -> str | None:
    """Return the first text behind all that begin with the prefix, in the order of their characters; None if there is
    none."""
    for end in range(len(prefix), 0, -1):
        code = ord(prefix[end - 1]) + 1
        if code in _SURROGATES:
            code = _SURROGATES.stop
        if code <= _LAST_CHARACTER:
            return prefix[: end - 1] + chr(code)
    return None


def address_of(bucket: str, key: str) -> str:
    """Return the address of an object."""
    return f"{SCHEME}{bucket}/{key}"


def parts_of_address(address: str) -> tuple[str, str] | None:
    """Return bucket and key of an object's address; None if it is none."""
    bucket, _, key = address.removeprefix(SCHEME).partition("/")
    return (bucket, key) if address.startswith(SCHEME) and is_bucket(bucket) and key else None
