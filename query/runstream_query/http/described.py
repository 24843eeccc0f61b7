"""Routes that other parts of the server answer, for the one document about all of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel


def operation_name(method: str, path: str) -> str:
    """Unique, for clients that are generated: `get_runs_run_series`."""
    words = re.findall(r"\w+", path.removeprefix("/api/v1/"))
    return "_".join((method.lower(), *words))


@dataclass(frozen=True, slots=True)
class Described:
    """A route that another part of the server answers, as the document shows it.

    `answers` by status, each a model in JSON or None where the body is no JSON: then it has one of `media`, or is
    empty. `body` is a model that is sent as JSON, `body_media` the types of one that is no JSON.
    """

    method: str
    path: str
    summary: str
    answers: Mapping[int, type[BaseModel] | None]
    media: tuple[str, ...] = ()
    body: type[BaseModel] | None = None
    body_media: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return operation_name(self.method, self.path)
