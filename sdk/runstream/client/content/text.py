"""Text and tags in the form in which events hold them."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Final

from runstream.events.limits import MAX_EVENT_BYTES, MAX_RUN_TAGS, MAX_TAG_CHARS
from runstream.spool.values import Problem, shown

#: Tags of the largest size that fit into one event: a character has at most six bytes in JSON.
_EVENT_TAGS: Final = MAX_EVENT_BYTES // (MAX_TAG_CHARS * 6 + 10)


def clean(text: str) -> str:
    """Without lone surrogates, which UTF-8 cannot hold."""
    return text.encode("utf-8", "replace").decode()


def usable_tags(tags: Iterable[object]) -> tuple[tuple[str, ...], list[Problem]]:
    """Return the tags that were given one by one or as lists, each once, in their order; and what is none."""
    found: dict[str, None] = {}
    problems: list[Problem] = []
    for tag in _each(tags, problems):
        if not isinstance(tag, str) or not 0 < len(tag) <= MAX_TAG_CHARS:
            rule = f"was left out: give a string of 1 to {MAX_TAG_CHARS} characters"
            problems.append(Problem(f"tag {shown(tag)}", f"tag {shown(tag)} {rule}"))
        elif len(found) < MAX_RUN_TAGS:
            found[clean(str.__str__(tag))] = None
        else:
            what = f"tag {shown(tag)} and what follows were left out: a run keeps {MAX_RUN_TAGS}"
            return tuple(found), [*problems, Problem("tags", what)]
    return tuple(found), problems


def tag_pieces(tags: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the tags in pieces that fit into one event each."""
    for at in range(0, len(tags), _EVENT_TAGS):
        yield tags[at : at + _EVENT_TAGS]


def _each(tags: Iterable[object], problems: list[Problem]) -> Iterator[object]:
    """The tags, those in lists too. A list that breaks off costs what would have followed in it."""
    for tag in tags:
        if isinstance(tag, str) or not isinstance(tag, Iterable):
            yield tag
            continue
        try:
            yield from tag
        except Exception as error:
            problems.append(Problem(f"tags {shown(tag)}", f"{shown(tag)} broke off ({shown(error)}): give a list"))


def reason_of(error: Exception) -> str:
    """What `error` says, on one line also where it comes from pydantic."""
    details = getattr(error, "errors", None)
    if callable(details):
        with contextlib.suppress(Exception):
            return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in details())
    return str(error) or type(error).__name__
