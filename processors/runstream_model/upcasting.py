"""Facts that earlier builds kept in names and metadata, understood as the events that record them today.

The log keeps such an event as it came, and so does the table `events`; whatever folds events folds what `understood`
returns. Nothing else knows the old forms but the migrations that added the columns of these facts.
"""

from typing import Any, Final

from pydantic import ValidationError

from runstream.events import roles
from runstream.events.artifacts import ArtifactVersionLogged, ArtifactVersionRemarked
from runstream.events.control import AnyEvent, AssetLogged, EnvironmentCaptured, RunLinked
from runstream.events.names import InvalidName, check_path_part

#: Ids of the files that had a role. A page was made of pieces, whose ids begin so.
_ROLES: Final = {"comet-code": roles.CODE, "comet-graph": roles.GRAPH, "comet-git-patch": roles.PATCH}
_PIECE: Final = "comet-html-"
#: Members of a file's metadata, by the field that they have become.
_MEMBERS: Final = {"location": "@link", "model": "@model"}
#: A link was a fact of the run's environment, alone in an event of this section, named _LINK and WORKSPACE/PROJECT.
_SECTION: Final = "comet"
_LINK: Final = "links."
#: The type of the artifact, of the same name as a registered model, whose versions were the remarks on those of the
#: model: each had the number of the version that it was about, and the remark, as its metadata.
_REMARKS: Final = "model-remarks"
_ABOUT: Final = "of"
_REMARKED: Final = "model"


def understood(event: AnyEvent) -> AnyEvent:
    """Return the event that records the same fact today; the event itself, if it has none of the old forms. Pure,
    and defined for every event."""
    if isinstance(event, AssetLogged):
        return _asset(event)
    if isinstance(event, EnvironmentCaptured):
        return _link(event) or event
    if isinstance(event, ArtifactVersionLogged):
        return _remark(event) or event
    return event


def _asset(event: AssetLogged) -> AssetLogged:
    metadata = dict(event.metadata)
    changes: dict[str, Any] = {}
    if event.role is None and (role := _role_of(event.asset_id)) is not None:
        changes["role"] = role
    for name, member in _MEMBERS.items():
        if getattr(event, name) is None and isinstance(metadata.get(member), str):
            changes[name] = metadata.pop(member) or None
    return event.model_copy(update={**changes, "metadata": metadata}) if changes else event


def _link(event: EnvironmentCaptured) -> RunLinked | None:
    """Return the link that the event recorded; None if it recorded none."""
    if event.section != _SECTION or len(event.values) != 1:
        return None
    ((name, value),) = event.values.items()
    if value is not True or not name.startswith(_LINK):
        return None
    workspace, _, project = name.removeprefix(_LINK).partition("/")
    try:
        for what, part in (("workspace", workspace), ("project", project)):
            check_path_part(what, part)
    except InvalidName:
        return None
    return RunLinked(at_us=event.at_us, workspace=workspace, project=project)


def _remark(event: ArtifactVersionLogged) -> ArtifactVersionRemarked | None:
    """Return the remark that the event recorded; None if it recorded none."""
    if event.artifact_type != _REMARKS or event.project is not None or type(event.metadata.get(_ABOUT)) is not int:
        return None
    remark = {name: value for name, value in event.metadata.items() if name != _ABOUT}
    try:
        return ArtifactVersionRemarked(
            at_us=event.at_us,
            workspace=event.workspace,
            artifact_type=_REMARKED,
            name=event.name,
            ordinal=event.metadata[_ABOUT],
            remark=remark,
        )
    except ValidationError:  # a number that no version has
        return None


def _role_of(asset_id: str) -> str | None:
    return roles.PAGE if asset_id.startswith(_PIECE) else _ROLES.get(asset_id)
