"""The operations of SageMaker that are there: what each does, its models and its handler."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from runstream_protocols.sagemaker import components, shown
from runstream_protocols.sagemaker import models as m
from runstream_protocols.sagemaker.access import TARGET
from runstream_protocols.sagemaker.errors import AwsError
from runstream_protocols.sagemaker.side import SagemakerSide
from runstream_service.access import Action

_PREFIX: Final = "SageMaker."


@dataclass(frozen=True, slots=True)
class Operation:
    """What a request does whose header X-Amz-Target names it."""

    name: str
    action: Action
    request: type[m.AwsRequest]
    response: type[m.AwsResponse]
    handler: Callable[[SagemakerSide, Any], Awaitable[m.AwsResponse]]


OPERATIONS: Final[Mapping[str, Operation]] = {
    operation.name: operation
    for operation in (
        Operation("CreateTrialComponent", Action.LOG, m.CreateTrialComponentRequest, m.ComponentArn, components.create),
        Operation(
            "DescribeTrialComponent",
            Action.READ,
            m.ComponentReference,
            m.DescribeTrialComponentResponse,
            shown.describe,
        ),
        Operation("UpdateTrialComponent", Action.LOG, m.UpdateTrialComponentRequest, m.ComponentArn, components.update),
        Operation("DeleteTrialComponent", Action.EDIT, m.ComponentReference, m.ComponentArn, components.delete),
        Operation(
            "ListTrialComponents",
            Action.READ,
            m.ListTrialComponentsRequest,
            m.ListTrialComponentsResponse,
            shown.list_components,
        ),
    )
}


def operation_of(request: web.Request) -> Operation:
    """Return the operation that a request names. Raises AwsError."""
    target = request.headers.get(TARGET, "")
    operation = OPERATIONS.get(target.removeprefix(_PREFIX))
    if operation is None or not target.startswith(_PREFIX):
        raise AwsError(
            "UnknownOperationException",
            f"the operation {target[:100]!r} is not kept here; {', '.join(sorted(OPERATIONS))} are",
        )
    return operation


def action_of(request: web.Request) -> Action | None:
    """Return what a request does; None where it names no operation of ours."""
    operation = OPERATIONS.get(request.headers.get(TARGET, "").removeprefix(_PREFIX))
    return None if operation is None else operation.action
