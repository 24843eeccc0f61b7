"""Control events about entities: named JSON objects of a project that are no runs, experiments or artifacts, such as a
search space, a variable, a group of runs.

An entity's name is unique among those of its kind in the project. The fold decides whose a name is and counts the
revisions, so that of several that change an entity at once one succeeds and the others know it.
"""

import re
from functools import partial
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field

from runstream.events import limits
from runstream.events.base import Event, Project, Workspace
from runstream.events.names import InvalidName, check_path_part, project_key

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def check_entity_name(name: str) -> str:
    """Return `name` if it can name an entity: 1 to MAX_ENTITY_NAME_CHARS characters, no control character, at most
    MAX_ENTITY_NAME_PARTS parts between slashes. Raises InvalidName."""
    if not 0 < len(name) <= limits.MAX_ENTITY_NAME_CHARS:
        raise InvalidName(
            f"the name has {len(name)} characters ({name[:40]!r}): give 1 to {limits.MAX_ENTITY_NAME_CHARS}"
        )
    if (parts := name.count("/") + 1) > limits.MAX_ENTITY_NAME_PARTS:
        raise InvalidName(
            f"the name {name[:80]!r} has {parts} parts between slashes: give at most {limits.MAX_ENTITY_NAME_PARTS}"
        )
    if _CONTROL.search(name):
        raise InvalidName(f"the name {name[:80]!r} has a control character: remove it")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InvalidName(f"the name {name[:80]!r} is not valid Unicode: remove the lone surrogate") from None
    return name


EntityKind = Annotated[str, AfterValidator(partial(check_path_part, "kind")), Field(max_length=60)]
EntityName = Annotated[str, AfterValidator(check_entity_name)]
#: Given when it is created: one that is created anew under the same name has another.
EntityId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Revision = Annotated[int, Field(ge=1, le=2**63 - 1)]


class AboutEntity(Event):
    """What every event about an entity has. `entity`: the id of the one that is meant, which its creation gives."""

    workspace: Workspace
    project: Project
    kind: EntityKind
    name: EntityName
    entity: EntityId

    @property
    def key(self) -> str:
        """The key of its record: WORKSPACE/PROJECT."""
        return project_key(self.workspace, self.project)


class EntityCreated(AboutEntity):
    """An entity was created, at revision 1. Where its name is taken, this changes nothing."""

    type: Literal["entity_created.v1"] = "entity_created.v1"
    properties: dict[str, Any] = Field(default_factory=dict)


class EntityReplaced(AboutEntity):
    """All properties of an entity were replaced. Where it is not at `revision`, this changes nothing."""

    type: Literal["entity_replaced.v1"] = "entity_replaced.v1"
    revision: Revision
    properties: dict[str, Any] = Field(default_factory=dict)


class EntityDeleted(AboutEntity):
    """An entity was deleted, and its name is free again. Where it is not at `revision`, this changes nothing.

    below: so is every entity of the project, of any kind, whose name begins with its name and a slash. below_kind: so
    is every one of this kind alone. Builds that do not know it delete the entity alone.
    """

    type: Literal["entity_deleted.v1"] = "entity_deleted.v1"
    revision: Revision
    below: bool = False
    below_kind: EntityKind | None = None


EntityEvent = EntityCreated | EntityReplaced | EntityDeleted
