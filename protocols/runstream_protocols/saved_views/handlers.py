"""Handlers of the routes of saved views.

A view is an entity of its project: what a page shows, as a JSON object of the page's own. Nothing here looks into it.
"""

import json
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from runstream.events.names import project_key
from runstream_protocols.kit.entities import (
    Entities,
    Entity,
    EntityChanged,
    EntityExists,
    EntityMissing,
    EntityRefused,
    Place,
)
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.outcomes import invalid
from runstream_protocols.kit.payloads import Payload
from runstream_protocols.kit.places import checked
from runstream_protocols.kit.side import GatewaySide
from runstream_protocols.saved_views import models as m
from runstream_query.repositories.entities import EntityListing
from runstream_service.routing import Call

#: The kind of entities.
VIEW: Final = "view"
MAX_VIEW_BYTES: Final = 180_000
#: Objects and lists in each other.
MAX_VIEW_DEPTH: Final = 40
#: What lists show of a view beside its name and times.
_LISTED: Final = ("type", "author", "changed_by")
R = TypeVar("R", bound=BaseModel)


class ViewSide(GatewaySide):
    """What the handlers of the routes work with."""

    __slots__ = ()

    @property
    def entities(self) -> Entities:
        """Return the entities that the request may see."""
        return Entities(self.recorder, self.context)


async def views(side: ViewSide, call: Call[m.ViewsRequest]) -> m.ShownViews:
    """Return views of a project by name, without their content."""
    wanted = call.parameters
    found = await side.context.repositories.entities.listed(
        side.context.scope,
        wanted.workspace,
        wanted.project,
        VIEW,
        _LISTED,
        where={} if wanted.type is None else {"type": wanted.type},
        after=wanted.after,
        limit=wanted.limit + 1,
    )
    page = found[: wanted.limit]
    return m.ShownViews(views=[_listed(one) for one in page], next=page[-1].name if len(found) > wanted.limit else None)


async def view(side: ViewSide, call: Call[None]) -> m.ShownView:
    """Return a view."""
    place, name = _about(call)
    return _shown(_found(await side.entities.find(place, VIEW, name), name))


async def save(side: ViewSide, call: Call[object], payload: Payload) -> m.ShownView:
    """Create a view, or replace one that is still as it was read."""
    (place, name), request = _about(call), _read(m.SaveRequest, payload)
    await side.recorder.require(project_key(*place))
    _check(name, request.view)
    properties = {"type": request.type, "changed_by": request.author, "view": request.view}
    try:
        if request.revision is None:
            made = await side.entities.create(place, VIEW, name, {**properties, "author": request.author})
            return _shown(made)
        known = _found(await side.entities.find(place, VIEW, name), name)
        _check_revision(known, request.revision)
        properties["author"] = known.properties.get("author")
        return _shown(await side.entities.replace(known, properties))
    except EntityRefused as error:
        raise _conflict(error, name) from None


async def delete(side: ViewSide, call: Call[object], payload: Payload) -> m.ShownView:
    """Delete a view, and return it as it was."""
    (place, name), request = _about(call), _read(m.DeleteRequest, payload)
    await side.recorder.require(project_key(*place))
    known = _found(await side.entities.find(place, VIEW, name), name)
    if request.revision is not None:
        _check_revision(known, request.revision)
    try:
        await side.entities.delete(known)
    except EntityRefused as error:
        raise _conflict(error, name) from None
    return _shown(known)


def _about(call: Call[Any]) -> tuple[Place, str]:
    """Which view. Raises Refused."""
    workspace, project, name = (checked(part, call.path[part]) for part in ("workspace", "project", "name"))
    return (workspace, project), name


def _read(model: type[R], payload: Payload) -> R:
    try:
        return model.model_validate(dict(payload.fields))
    except ValidationError as error:
        raise invalid(error) from None


def _check(name: str, given: dict[str, Any]) -> None:
    """Raises Refused for a view that is too deep or too long."""
    if _depth_exceeds(given, MAX_VIEW_DEPTH):
        what = f"the view {name[:100]!r} has objects and lists in each other, more than {MAX_VIEW_DEPTH} deep"
        raise Refused(f"{what}: make it flatter", name="view")
    try:
        size_bytes = len(json.dumps(given, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode())
    except ValueError as error:
        raise Refused(f"the view {name[:100]!r} has a value that JSON cannot hold: {error}", name="view") from None
    if size_bytes > MAX_VIEW_BYTES:
        what = f"the view {name[:100]!r} has {size_bytes} bytes, at most {MAX_VIEW_BYTES} are kept"
        raise Refused(f"{what}: save parts of it under names of their own", status=413, name="view")


def _depth_exceeds(value: Any, levels: int) -> bool:
    """Whether objects and lists are in each other deeper than so many levels; level by level, so that a value of any
    depth is looked at."""
    level = [value]
    while level and levels >= 0:
        inside = [one for one in level if isinstance(one, dict | list)]
        level = [item for one in inside for item in (one.values() if isinstance(one, dict) else one)]
        levels -= bool(inside)
        if not inside:
            return False
    return levels < 0


def _found(known: Entity | None, name: str) -> Entity:
    if known is None:
        raise _missing(name)
    return known


def _missing(name: str) -> Refused:
    return Refused(f"there is no view {name[:100]!r} in the project: it was deleted, or never saved", status=404)


def _check_revision(known: Entity, revision: int) -> None:
    if known.revision != revision:
        raise _changed(known, known.name)


def _conflict(error: EntityRefused, name: str) -> Refused:
    match error:
        case EntityExists(entity=there):
            at = "" if there is None else f" at revision {there.revision}"
            what = f"there is a view {name[:100]!r} already{at}"
            return _refused(f"{what}: give the revision that you replace, or another name", there, "view-exists")
        case EntityChanged(entity=there) if there is not None:
            return _changed(there, name)
        case EntityMissing() | EntityChanged():
            return _missing(name)
        case _:
            raise AssertionError(error)


def _changed(there: Entity, name: str) -> Refused:
    by = there.properties.get("changed_by")
    what = f"the view {name[:100]!r} was saved meanwhile{f' by {by}' if by else ''}, it is at revision {there.revision}"
    return _refused(f"{what}: read it, and save yours on top of that", there, "view-changed")


def _refused(detail: str, there: Entity | None, reason: str) -> Refused:
    return Refused(
        detail, status=409, name="revision", reason=reason, revision=None if there is None else there.revision
    )


def _listed(one: EntityListing) -> m.ListedView:
    return m.ListedView(
        workspace=one.workspace,
        project=one.project,
        name=one.name,
        id=one.entity,
        revision=one.revision,
        created_at=one.created_at,
        updated_at=one.updated_at,
        type=one.members["type"] or VIEW,
        author=one.members["author"] or None,
        changed_by=one.members["changed_by"] or None,
    )


def _shown(one: Entity) -> m.ShownView:
    return m.ShownView(
        workspace=one.workspace,
        project=one.project,
        name=one.name,
        id=one.id,
        revision=one.revision,
        created_at=one.created_at,
        updated_at=one.updated_at,
        type=one.properties["type"],
        author=one.properties["author"],
        changed_by=one.properties["changed_by"],
        view=one.properties["view"],
    )
