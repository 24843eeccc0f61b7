"""A name of an artifact is claimed for a type by a version that can be, and for no longer than that takes."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from runstream.events.moments import micros_of
from runstream_protocols.kit.entities import Entity, EntityChanged, EntityExists, EntityMissing
from runstream_protocols.kit.payloads import Payload
from runstream_protocols.kit.places import Place
from runstream_protocols.mlaide import artifacts, finding
from runstream_service.problems import Problem

PLACE = Place("default", "p")
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Claims:
    """The entities of a project, of which one is the claim of a name; `outcome`: what its replacement raises."""

    def __init__(self, claimed: str | None = None, age_s: int = 0, outcome: Exception | None = None) -> None:
        at = NOW - timedelta(seconds=age_s)
        self.claim = (
            None if claimed is None else Entity("default", "p", "c", "m", "0" * 32, 1, {"type": claimed}, at, at)
        )
        self.outcome = outcome
        self.kept: list[Mapping[str, Any]] = []

    async def create(self, place: Any, kind: str, name: str, properties: Mapping[str, Any]) -> None:
        if self.claim is not None:
            raise EntityExists(kind, name, self.claim)
        self.kept.append(properties)

    async def replace(self, entity: Entity, properties: Mapping[str, Any]) -> None:
        if self.outcome is not None:
            raise self.outcome
        self.kept.append(properties)


def side_of(claims: Claims) -> Any:
    async def require(key: str) -> None:
        assert key == PLACE.record_key

    async def page(*wanted: Any) -> list[Any]:
        return []

    repositories = SimpleNamespace(artifacts=SimpleNamespace(page=page))
    context = SimpleNamespace(now_us=lambda: micros_of(NOW), repositories=repositories, scope=None)
    recorder = SimpleNamespace(require=require, stamp=lambda: micros_of(NOW))
    return SimpleNamespace(context=context, recorder=recorder, entities=claims)


async def test_a_version_that_is_refused_claims_no_name() -> None:
    claims = Claims()
    payload = Payload({"name": "m", "type": "datset", "metadata": {"x": "y" * 300_000}}, b"")
    call: Any = SimpleNamespace(path={"project_key": "p"})
    with pytest.raises(Problem) as refused:
        await artifacts.create(side_of(claims), call, payload)
    assert (refused.value.status, claims.kept) == (400, [])


MEANWHILE = Entity("default", "p", "c", "m", "0" * 32, 2, {"type": "other"}, NOW, NOW)


@pytest.mark.parametrize(
    ("claims", "found", "kept"),
    [
        (Claims(), "model", [{"type": "model"}]),
        (Claims("dataset", 5), "dataset", []),
        (Claims("dataset", 3600), "model", [{"type": "model"}]),
        (Claims("model", 3600), "model", []),
        (Claims("dataset", 3600, EntityChanged("c", "m", MEANWHILE)), "other", []),
        (Claims("dataset", 3600, EntityChanged("c", "m", None)), "model", []),
        (Claims("dataset", 3600, EntityMissing("c", "m", None)), "model", []),
    ],
)
async def test_a_claim_without_an_artifact_is_taken_over_when_it_is_old(
    claims: Claims, found: str, kept: list[Mapping[str, Any]]
) -> None:
    assert await finding.type_of_name(side_of(claims), PLACE, "m", "model") == found
    assert claims.kept == kept
