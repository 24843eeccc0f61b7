"""Facts that earlier builds kept in names and metadata, understood as the events that say them today.

The log keeps such an event as it came, and so does the table `events`; whatever folds events folds what `understood`
returns. Nothing else knows the old forms but the migrations that added the columns of these facts.
"""

from typing import Any, Final

from runstream.events import roles
from runstream.events.control import AnyEvent, AssetLogged

#: Ids of the files that had a role. A page was made of pieces, whose ids begin so.
_ROLES: Final = {"comet-code": roles.CODE, "comet-graph": roles.GRAPH, "comet-git-patch": roles.PATCH}
_PIECE: Final = "comet-html-"
#: Members of a file's metadata, by the field that they have become.
_MEMBERS: Final = {"location": "@link", "model": "@model"}


def understood(event: AnyEvent) -> AnyEvent:
    """Return the event as today's builds write the same fact; the event itself, if it is none of the old forms. Pure,
    and defined for every event."""
    return _asset(event) if isinstance(event, AssetLogged) else event


def _asset(event: AssetLogged) -> AssetLogged:
    metadata = dict(event.metadata)
    changes: dict[str, Any] = {}
    if event.role is None and (role := _role_of(event.asset_id)) is not None:
        changes["role"] = role
    for name, member in _MEMBERS.items():
        if getattr(event, name) is None and isinstance(metadata.get(member), str):
            changes[name] = metadata.pop(member) or None
    return event.model_copy(update={**changes, "metadata": metadata}) if changes else event


def _role_of(asset_id: str) -> str | None:
    return roles.PAGE if asset_id.startswith(_PIECE) else _ROLES.get(asset_id)
