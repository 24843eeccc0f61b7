"""Conditions on rows of versions of artifacts."""

from collections.abc import Sequence

from runstream_query.repositories.statements.parameters import Parameters

#: A version of an artifact: the id of the artifact and the version's number.
VersionId = tuple[str, int]


def among(versions: Sequence[VersionId], parameters: Parameters) -> str:
    """Return the condition that a row is of one of these versions; by the tables' key first."""
    artifacts = parameters.texts([artifact for artifact, _ in versions])
    ordinals = parameters.bind([ordinal for _, ordinal in versions], "Array(UInt64)")
    return f"artifact IN {artifacts} AND has(arrayZip({artifacts}, {ordinals}), (artifact, ordinal))"
