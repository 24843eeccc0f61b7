"""What the handlers of SageMaker's operations work with, and which run a request is about."""

import dataclasses
from dataclasses import dataclass
from typing import Final, Self

from aiohttp import web

from runstream.events.positions import Positions
from runstream_protocols.kit.side import GatewaySide, not_visible
from runstream_protocols.sagemaker.errors import not_found
from runstream_protocols.sagemaker.names import (
    COMPONENT,
    DEFAULT_REGION,
    arn_of,
    component_of_run,
    name_in,
    pattern_of_runs,
)
from runstream_protocols.sagemaker.signing import Credential
from runstream_query.filters.tree import And, Compare, Field, TextTest
from runstream_query.http.context import Context
from runstream_query.repositories.runs import RunOrder, RunRecord

#: One call of a method of the client: its repetitions have the same.
_INVOCATION: Final = "amz-sdk-invocation-id"
_MAX_INVOCATION_CHARS: Final = 100
#: Runs that are looked at for one whose component has a name: those that began with it under other ids are deleted.
_MAX_OF_A_NAME = 100


@dataclass(frozen=True, slots=True)
class SagemakerSide(GatewaySide):
    """region: as its signature names it. invocation: one call of the
    client's, whose repetitions have the same; empty where it tells none. content: what tells it from other requests.
    """

    region: str = ""
    invocation: str = ""
    content: bytes = b""

    def for_request(self, request: web.Request, context: Context) -> Self:
        """Return what the handler of one request works with."""
        credential = Credential.of(request.headers.get("Authorization", ""))
        return dataclasses.replace(
            self,
            context=context,
            region=DEFAULT_REGION if credential is None else credential.region,
            invocation=request.headers.get(_INVOCATION, "")[:_MAX_INVOCATION_CHARS],
        )

    def arn(self, kind: str, name: str) -> str:
        """Return the ARN of a thing of a kind."""
        return arn_of(kind, name, self.region)

    def component_arn(self, run: str) -> str:
        """Return the ARN of the component that a run is."""
        return arn_of(COMPONENT, component_of_run(run), self.region)

    async def component(self, reference: str) -> RunRecord:
        """Return the run that a component is, by its name or ARN. Raises AwsError."""
        name = name_in(reference, COMPONENT)
        found = await self.find_component(name)
        if found is None:
            raise not_found("Trial component", name)
        return found

    async def find_component(self, name: str) -> RunRecord | None:
        """Return the run whose component has the name, in any case; None if there is none, or it is deleted."""
        found = await self._shown([name])
        if not found:
            found = await self._shown(await self._alike(name))
        return next((one for one in found if component_of_run(one.run).lower() == name.lower()), None)

    async def require_found(self, positions: Positions) -> None:
        """Wait until requests about what was appended there find it, at whichever gateway. Raises Problem (503)."""
        if not await self.recorder.can_be_found(positions):
            detail = "what was begun is written down, but other gateways cannot see it yet: send the request again"
            raise not_visible(detail)

    async def _alike(self, name: str) -> list[str]:
        wanted = And((TextTest(Field("id"), "matches", pattern_of_runs(name)), Compare(Field("deleted"), "=", False)))
        return await self.context.repositories.runs.matching(
            self.context.scope, wanted, self.context.clock(), RunOrder(descending=True), _MAX_OF_A_NAME
        )

    async def _shown(self, ids: list[str]) -> list[RunRecord]:
        found = await self.context.repositories.runs.shown(self.context.scope, ids, self.context.clock())
        return [one for one in found.values() if not one.deleted]
