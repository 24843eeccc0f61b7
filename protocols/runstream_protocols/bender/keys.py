"""Bender's names and ours. Pure.

An experiment of Bender's is one of Runstream's, and its name may say where: NAME is in the workspace `default` and the
project `bender`, PROJECT/NAME in a project of that workspace, WORKSPACE/PROJECT/NAME in any. What the client knows of
it beyond its runs is an entity with the name of the experiment; an algorithm is one below it.
"""

from dataclasses import dataclass
from typing import Final

from runstream.events.names import InvalidName, check_path_part, project_key
from runstream_protocols.kit.errors import Refused

DEFAULT_WORKSPACE: Final = "default"
DEFAULT_PROJECT: Final = "bender"

#: Kinds of entities.
EXPERIMENT: Final = "experiment"
ALGO: Final = "algo"
SUGGESTIONS: Final = "suggestions"

_SLASH, _ESCAPED = "/", "%2F"
MAX_ALGO_CHARS: Final = 200


@dataclass(frozen=True, slots=True)
class Place:
    """An experiment."""

    workspace: str
    project: str
    experiment: str

    @property
    def of_project(self) -> tuple[str, str]:
        """Return the workspace and the project."""
        return self.workspace, self.project

    @property
    def record_key(self) -> str:
        """The key of the records about its project."""
        return project_key(self.workspace, self.project)

    @property
    def name(self) -> str:
        """Its shortest name, which `place_of` takes back."""
        if self.workspace != DEFAULT_WORKSPACE:
            return _SLASH.join((self.workspace, self.project, self.experiment))
        return self.experiment if self.project == DEFAULT_PROJECT else f"{self.project}{_SLASH}{self.experiment}"


def place_of(name: str) -> Place:
    """Return the experiment of a name. Raises Refused."""
    parts = name.split(_SLASH)
    if len(parts) > 3:
        raise Refused(f"name is {name[:100]!r}: give EXPERIMENT, PROJECT/EXPERIMENT or WORKSPACE/PROJECT/EXPERIMENT")
    workspace, project, experiment = (DEFAULT_WORKSPACE, DEFAULT_PROJECT)[: 3 - len(parts)] + tuple(parts)
    return Place(_checked("workspace", workspace), _checked("project", project), _checked("experiment", experiment))


def algo_key(place: Place, algo: str) -> str:
    """Return the name of the entity of an algorithm. Raises Refused for a name that none can have."""
    if not is_algo_name(algo):
        raise Refused(f"name is {algo[:100]!r}: give 1 to {MAX_ALGO_CHARS} characters without {_ESCAPED}", name="name")
    return f"{place.experiment}{_SLASH}{algo.replace(_SLASH, _ESCAPED)}"


def is_algo_name(name: str) -> bool:
    """Return whether an algorithm can have the name."""
    return 0 < len(name) <= MAX_ALGO_CHARS and _ESCAPED not in name


def algo_of(key: str) -> str:
    """Return the name of an algorithm, of the name of its entity."""
    return key.partition(_SLASH)[2].replace(_ESCAPED, _SLASH)


def suggestions_key(algo: str) -> str:
    """Return the name of the entity that counts the suggestions of an algorithm, of the name of its entity."""
    return f"{algo}{_SLASH}{SUGGESTIONS}"


def _checked(kind: str, name: str) -> str:
    try:
        return check_path_part(kind, name)
    except InvalidName as error:
        raise Refused(str(error)[:500]) from None
