"""Another name for a registered model.

An artifact is its name, and its events are where the name leads. So the model under the new name is another one, to
which everything is written that holds of the old one, with the times that it had; then the old one is deleted. What
was written about the old one meanwhile comes behind: the fold kept it as it was when it was deleted. Both are the work
of the fold, so that nothing is lost with any number of gateways. Ids, and the history before, are not carried over.
"""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from runstream.events.artifacts import (
    ArtifactCreated,
    ArtifactDeleted,
    ArtifactEvent,
    ArtifactVersionDeleted,
    ArtifactVersionLogged,
    ArtifactVersionRemarked,
    ArtifactVersionUpdated,
)
from runstream.events.control import encode_event
from runstream_protocols.comet.conventions import MODEL_TYPE, registry_model_id
from runstream_protocols.comet.errors import refused
from runstream_protocols.comet.writes.outcomes import outcome_of
from runstream_protocols.kit.outcomes import Appended, append_events, event_of
from runstream_protocols.kit.recorder import Recorder
from runstream_service.lookup import ArtifactOutcome, KnownArtifact, KnownRemark, KnownVersion, RecordPlace

#: What can be written again before the client gives its request up, after 10 s: some 10 ms a version.
_MAX_VERSIONS: Final = 500
#: Versions whose files, or remarks, stand in memory at once: files of 50, of 250 kB each, are 12 MB.
_AT_ONCE: Final = 50
#: What can change of a version.
_CHANGING: Final = ("comment", "status", "tags", "aliases", "stages")


async def rename(recorder: Recorder, content: bytes, stamp: int, old: KnownArtifact, name: str) -> None:
    """Write everything again under the new name, and delete the old one. One that broke off goes on where it was when
    the request comes again. Raises Problem if the new name is another model's, or there is too much to write."""
    move = Move(recorder, content, stamp, old, name)
    await move.check()
    await move.carry()
    await move.carry_rest(await move.delete())


class Move:
    """One rename. What each part does is done again, where it broke off, without harm."""

    def __init__(self, recorder: Recorder, content: bytes, stamp: int, old: KnownArtifact, name: str) -> None:
        self._recorder, self._lookup, self._content, self._stamp = recorder, recorder.lookup, content, stamp
        self._old, self._name = old, name
        self._new_id = registry_model_id(old.workspace, name)
        #: What the old one's numbers are called, and what was written under the new name.
        self._texts: dict[int, str] = {}

    async def check(self) -> None:
        """A model that has the new name has to be what an earlier try left: nothing but versions of the old one."""
        ordinals = await self._lookup.artifact_ordinals(self._old.artifact)
        if len(ordinals) > _MAX_VERSIONS:
            raise refused(
                f"{self._old.name} has {len(ordinals)} versions, one of at most {_MAX_VERSIONS} can be renamed: "
                "register new versions under the new name, or delete old ones first"
            )
        if await self._lookup.artifact(self._new_id) is None:
            return
        ours = {_told_by(one) async for one in self._versions(self._old.artifact, ordinals)}
        theirs = {_told_by(one) async for one in self._versions(self._new_id)}
        if not theirs or not theirs <= ours:
            raise refused(f"there is a registered model {self._name} already: give another name")

    async def carry(self) -> None:
        """Write under the new name what is not written there yet of the old one."""
        if await self._lookup.artifact(self._new_id) is None:
            await self._all_done([await self._record(self._created())])
        await self._carry_versions(await self._lookup.artifact_ordinals(self._old.artifact))
        await self._carry_remarks()

    async def carry_rest(self, removed_at: RecordPlace) -> None:
        """The same of what the old one was when it was deleted, at this place; versions that were deleted before
        are deleted under the new name."""
        before = set(self._texts)
        ordinals = await self._lookup.artifact_ordinals(self._old.artifact, removed_at)
        await self._carry_versions(ordinals)
        await self._carry_remarks()
        gone = {self._texts[ordinal] for ordinal in before.difference(ordinals)}
        named = self._named()
        appended = [
            await self._record(event_of(ArtifactVersionDeleted, at_us=self._stamp, **named, ordinal=one.ordinal))
            async for one in self._versions(self._new_id)
            if one.version in gone
        ]
        await self._all_done(appended)

    async def delete(self) -> RecordPlace:
        """Delete the old one; where in the log that counts, which is not here if it was written before."""
        where = {"workspace": self._old.workspace, "artifact_type": MODEL_TYPE, "name": self._old.name}
        deleted = event_of(ArtifactDeleted, at_us=self._stamp, **where)
        (outcome,) = await self._all_done([await self._record(deleted)])
        return outcome.place

    async def _carry_versions(self, ordinals: Sequence[int]) -> None:
        there = {one.version: one async for one in self._versions(self._new_id)}
        appended: list[Appended] = []
        async for one in self._versions(self._old.artifact, ordinals):
            self._texts[one.ordinal] = one.version
            event = self._version(one, there.get(one.version))
            if event is not None:
                appended.append(await self._record(event))
        await self._all_done(appended)

    async def _carry_remarks(self) -> None:
        """Write the remarks on all versions that were carried. Those that are there are the first ones on each: they
        are written in their order."""
        new_ordinals = {one.version: one.ordinal async for one in self._versions(self._new_id)}
        written = Counter([one.ordinal async for one in self._remarks(self._new_id, sorted(new_ordinals.values()))])
        appended: list[Appended] = []
        async for remark in self._remarks(self._old.artifact, sorted(self._texts)):
            ordinal = new_ordinals.get(self._texts[remark.ordinal])
            if ordinal is None:
                continue
            written[ordinal] -= 1
            if written[ordinal] < 0:
                appended.append(await self._record(self._remark(remark, ordinal)))
        await self._all_done(appended)

    async def _versions(self, artifact: str, ordinals: Sequence[int] | None = None) -> AsyncIterator[KnownVersion]:
        numbers = await self._lookup.artifact_ordinals(artifact) if ordinals is None else ordinals
        for begin in range(0, len(numbers), _AT_ONCE):
            for one in await self._lookup.artifact_versions(artifact, numbers[begin : begin + _AT_ONCE]):
                yield one

    async def _remarks(self, artifact: str, ordinals: Sequence[int]) -> AsyncIterator[KnownRemark]:
        for begin in range(0, len(ordinals), _AT_ONCE):
            for one in await self._lookup.artifact_remarks(artifact, ordinals[begin : begin + _AT_ONCE]):
                yield one

    def _named(self) -> dict[str, str]:
        return {"workspace": self._old.workspace, "artifact_type": MODEL_TYPE, "name": self._name}

    def _created(self) -> ArtifactEvent:
        old = self._old
        return event_of(
            ArtifactCreated,
            at_us=old.created_at_us,
            **self._named(),
            description=old.description,
            notes=old.notes,
            tags=old.tags,
            public=old.public,
        )

    def _remark(self, remark: KnownRemark, ordinal: int) -> ArtifactEvent:
        named = self._named()
        return event_of(
            ArtifactVersionRemarked, at_us=remark.at_us, **named, ordinal=ordinal, remark=dict(remark.remark)
        )

    def _version(self, one: KnownVersion, there: KnownVersion | None) -> ArtifactEvent | None:
        """Return what is to be written so that the version is there as it is; None if it is."""
        named = self._named()
        changing: dict[str, Any] = {field: getattr(one, field) for field in _CHANGING}
        if there is None:
            return event_of(
                ArtifactVersionLogged,
                at_us=one.created_at_us,
                **named,
                **changing,
                version=one.version,
                metadata=one.metadata,
                run=one.run or None,
                files=one.files,
            )
        if all(getattr(there, field) == value for field, value in changing.items()):
            return None
        return event_of(ArtifactVersionUpdated, at_us=self._stamp, **named, ordinal=there.ordinal, **changing)

    async def _record(self, *events: ArtifactEvent) -> Appended:
        """The same again, after it broke off, counts once: the content is the events'."""
        content = b"\n".join((self._content, *(encode_event(event) for event in events)))
        return await append_events(self._recorder, events[-1].key, content, self._stamp, events)

    async def _all_done(self, appended: Sequence[Appended]) -> list[ArtifactOutcome]:
        """Wait until all of it can be read, and was done. Raises Problem."""
        await self._recorder.settled()
        return [await outcome_of(self._recorder, one) for one in appended]


def _told_by(version: KnownVersion) -> tuple[str, int, str]:
    return version.version, version.created_at_us, version.run
