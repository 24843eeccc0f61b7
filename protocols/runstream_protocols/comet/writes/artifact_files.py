"""Files of experiments as files of versions of artifacts, and labels of versions."""

import reprlib
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from runstream.events.artifacts import ArtifactFile
from runstream_protocols.comet.conventions import REGISTERED_FILES
from runstream_protocols.comet.errors import refused
from runstream_protocols.kit.outcomes import invalid
from runstream_service.lookup import KnownFile


def artifact_path(name: str) -> str:
    """Return a file's name as that of a file of an artifact: names of assets are no paths, those are."""
    parts = [part for part in name.replace("\\", "_").split("/") if part not in ("", ".", "..")]
    return "/".join(parts) or "file"


def artifact_file(file: KnownFile) -> ArtifactFile:
    """Return a file of an experiment as one of a version. Raises Problem."""
    elsewhere = bool(file.location)
    try:
        return ArtifactFile(
            name=artifact_path(file.name),
            sha256=None if elsewhere else file.sha256,
            size_bytes=0 if elsewhere else file.size_bytes,
            content_type=file.content_type,
            link=file.location or None,
        )
    except ValidationError as error:
        raise invalid(error) from None


def metadata_of_files(files: Sequence[KnownFile]) -> dict[str, Any]:
    """Return the metadata of the files, as a member of those of their version."""
    kept = {artifact_path(one.name): dict(one.metadata) for one in files if one.metadata}
    return {REGISTERED_FILES: kept} if kept else {}


def labels_of(labels: Any) -> tuple[str, ...]:
    """Return tags as they were given. Raises Problem."""
    if not isinstance(labels, list | None) or not all(isinstance(label, str) for label in labels or ()):
        raise refused(f"tags are {reprlib.repr(labels)}: give a list of texts", name="tags")
    return tuple(labels or ())
