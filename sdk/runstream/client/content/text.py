"""Text and tags in the form in which events hold them."""

import contextlib
from collections.abc import Iterable


def clean(text: str) -> str:
    """Without lone surrogates, which UTF-8 cannot hold."""
    return text.encode("utf-8", "replace").decode()


def flat_tags(tags: Iterable[str | Iterable[str]]) -> tuple[str, ...]:
    """Tags that were given one by one or as lists, each once, in their order."""
    found: list[str] = []
    for tag in tags:
        found.extend([tag] if isinstance(tag, str) else tag)
    return tuple(dict.fromkeys(found))


def reason_of(error: Exception) -> str:
    """What `error` says, on one line also where it comes from pydantic."""
    details = getattr(error, "errors", None)
    if callable(details):
        with contextlib.suppress(Exception):
            return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in details())
    return str(error) or type(error).__name__
