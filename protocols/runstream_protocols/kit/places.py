"""Projects of clients that know no workspaces: one text names both. Pure."""

from dataclasses import dataclass
from typing import Final

from runstream.events.names import InvalidName, check_path_part, project_key
from runstream_protocols.kit.errors import Refused

#: The workspace of projects whose key names none.
DEFAULT_WORKSPACE: Final = "default"
_SEPARATOR: Final = ":"


@dataclass(frozen=True, slots=True)
class Place:
    """A project."""

    workspace: str
    project: str

    @property
    def record_key(self) -> str:
        """The key of the records about it."""
        return project_key(self.workspace, self.project)

    @property
    def pair(self) -> tuple[str, str]:
        """Workspace and project."""
        return self.workspace, self.project


def place_of(key: str) -> Place:
    """Return the project of a key: `PROJECT` of the default workspace, or `WORKSPACE:PROJECT`. Raises Refused."""
    workspace, separator, project = key.partition(_SEPARATOR)
    if not separator:
        workspace, project = DEFAULT_WORKSPACE, key
    return Place(checked("workspace", workspace), checked("project", project))


def key_of_project(workspace: str, project: str) -> str:
    """Return the key of a project, which `place_of` takes back."""
    if workspace == DEFAULT_WORKSPACE and _SEPARATOR not in project:
        return project
    return f"{workspace}{_SEPARATOR}{project}"


def checked(kind: str, name: str) -> str:
    """Return the name of a workspace, project or experiment. Raises Refused."""
    try:
        return check_path_part(kind, name)
    except InvalidName as error:
        raise Refused(str(error)[:500]) from None
