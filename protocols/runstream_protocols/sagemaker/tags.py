"""Tags of things, and the operations about them. A tag of a component is a tag of its run: `KEY=VALUE`, or the key
alone where the value is empty."""

from collections.abc import Iterable, Mapping

from runstream.events.control import RunEvent, TagsAdded, TagsRemoved
from runstream.events.limits import MAX_TAG_CHARS
from runstream.events.names import project_key
from runstream_protocols.sagemaker.errors import invalid, not_found
from runstream_protocols.sagemaker.models import (
    AddTagsRequest,
    DeleteTagsRequest,
    ListTagsRequest,
    Nothing,
    Tag,
    TagsResponse,
)
from runstream_protocols.sagemaker.names import ARTIFACT, EXPERIMENT, PROJECT, TRIAL, WORKSPACE, kind_of_arn
from runstream_protocols.sagemaker.side import SagemakerSide
from runstream_protocols.sagemaker.things import Thing, Things, trials_in
from runstream_query.repositories.runs import RunRecord

_MAX_TAGS = 50


async def add(side: SagemakerSide, request: AddTagsRequest) -> TagsResponse:
    """Add tags to a thing, each in the place of the one with its key."""
    found = await _tagged(side, request.resource_arn)
    before = _tags_of(found)
    after = {**before, **{tag.key: tag.value for tag in request.tags}}
    if len(after) > _MAX_TAGS:
        raise invalid(f"{request.resource_arn[:100]} would have {len(after)} tags: at most {_MAX_TAGS} are allowed")
    await _change(side, found, before, after)
    return TagsResponse(tags=listed(after))


async def remove(side: SagemakerSide, request: DeleteTagsRequest) -> Nothing:
    """Take tags away, by their keys."""
    found = await _tagged(side, request.resource_arn)
    before = _tags_of(found)
    await _change(side, found, before, {key: value for key, value in before.items() if key not in request.tag_keys})
    return Nothing()


async def list_tags(side: SagemakerSide, request: ListTagsRequest) -> TagsResponse:
    """Return the tags of a thing."""
    return TagsResponse(tags=listed(_tags_of(await _tagged(side, request.resource_arn))))


def text_of(key: str, value: str) -> str:
    """Return the tag of a run that a tag of the client is. Raises AwsError."""
    if "=" in key or trials_in([key]):
        raise invalid(f"the tag {key[:60]!r} cannot be told from another: give a key without '=' that begins otherwise")
    text = f"{key}={value}" if value else key
    if len(text) > MAX_TAG_CHARS:
        size = f"{len(text)} characters with its value"
        raise invalid(f"the tag {text[:60]!r} has {size}: give at most {MAX_TAG_CHARS}")
    return text


def tags_of_run(tags: Iterable[str]) -> dict[str, str]:
    """Return the client's tags of a run, but for those that say in which trials it is."""
    split = (tag.partition("=") for tag in tags if not trials_in([tag]))
    return {key: value for key, _, value in split}


def listed(tags: Mapping[str, str]) -> list[Tag]:
    """Return tags as responses have them."""
    return [Tag.model_construct(key=key, value=value) for key, value in tags.items()]


async def _tagged(side: SagemakerSide, arn: str) -> Thing | RunRecord:
    match kind_of_arn(arn):
        case "experiment":
            return await Things(side).get(EXPERIMENT, arn)
        case "experiment-trial":
            return await Things(side).get(TRIAL, arn)
        case "artifact":
            return await Things(side).get(ARTIFACT, arn)
        case "experiment-trial-component":
            return await side.component(arn)
        case _:
            raise not_found("Resource", arn)


def _tags_of(found: Thing | RunRecord) -> dict[str, str]:
    return dict(found.tags) if isinstance(found, Thing) else tags_of_run(found.tags)


async def _change(
    side: SagemakerSide, found: Thing | RunRecord, before: Mapping[str, str], after: Mapping[str, str]
) -> None:
    if isinstance(found, Thing):
        await side.recorder.require(project_key(WORKSPACE, PROJECT))
        await Things(side).change(found, {"tags": dict(after)})
        return
    await side.recorder.require(found.run)
    gone = tuple(text_of(key, value) for key, value in before.items() if after.get(key) != value)
    new = tuple(text_of(key, value) for key, value in after.items() if before.get(key) != value)
    events: list[RunEvent] = []
    if gone:
        events.append(TagsRemoved(at_us=side.recorder.stamp(), tags=gone))
    if new:
        events.append(TagsAdded(at_us=side.recorder.stamp(), tags=new))
    if events:
        await side.recorder.record(found.run, side.content, events)
