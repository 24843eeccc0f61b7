"""Registered models as the read models have them: their versions in order, and the files of those."""

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from aiohttp import web

from runstream_protocols.comet.conventions import (
    MODEL_TYPE,
    NO_STATUS,
    REGISTERED_FILES,
    REGISTERED_FROM,
    registry_model_id,
)
from runstream_protocols.comet.reads.contents import send_content
from runstream_query.errors import InvalidRequest, NotFound
from runstream_query.http.context import Context
from runstream_query.repositories.artifact_files import ContentsRecord
from runstream_query.repositories.artifacts import ArtifactRecord, VersionRecord

_NUMBERS: Final = re.compile(r"v?(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?(-[^+]*)?(?:\+.*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Registered:
    """A registered model."""

    artifact: str
    workspace: str
    name: str
    description: str
    notes: str
    public: bool
    created_at: datetime
    updated_at: datetime
    versions: int

    @property
    def key(self) -> str:
        """Return the key of the records of all events about it."""
        return f"{self.workspace}/{self.name}"


@dataclass(frozen=True, slots=True)
class File:
    """A file of a version. `number` is its place among them. Either `sha256` or `link` is empty."""

    number: int
    name: str
    sha256: str
    size_bytes: int
    content_type: str
    link: str


@dataclass(frozen=True, slots=True)
class Version:
    """`metadata` is what it was logged with, `from_model` and `about_files` what stands in there for the registry.
    `files` are there if they were read."""

    ordinal: int
    version: str
    comment: str
    status: str
    labels: tuple[str, ...]
    run: str
    created_at: datetime
    updated_at: datetime
    metadata: Mapping[str, Any]
    from_model: str
    about_files: Mapping[str, Mapping[str, Any]]
    files: tuple[File, ...] = ()


def numbers_of(version: str) -> tuple[int, int, int] | None:
    """Major, minor and patch number of a version, missing ones being 0; None if its text has none."""
    found = _NUMBERS.fullmatch(version)
    return None if found is None else (int(found[1]), int(found[2] or 0), int(found[3] or 0))


def rank(version: str, ordinal: int) -> tuple[object, ...]:
    """What versions are sorted by, the lowest first: by their numbers as semantic versioning has it, a preview before
    what it is one of; texts without numbers before all, and what is equal in the order of registration."""
    numbers, found = numbers_of(version), _NUMBERS.fullmatch(version)
    if numbers is None or found is None:
        return (0, (), 0, (), ordinal)
    preview = tuple(
        (0, int(part), "") if part.isdigit() else (1, 0, part) for part in (found[4] or "").removeprefix("-").split(".")
    )
    return (1, numbers, 0 if found[4] else 1, preview if found[4] else (), ordinal)


async def registered_models(context: Context, workspace: str) -> list[Registered]:
    """Those of a workspace, by name."""
    found = await context.repositories.artifacts.of_workspace(context.scope, workspace, MODEL_TYPE)
    return [_registered(record) for record in found]


async def find_model(context: Context, workspace: str, name: str) -> Registered:
    """Raises NotFound."""
    found = await _model(context, registry_model_id(workspace, name))
    if found is None:
        raise NotFound(
            f"there is no registered model {name[:140]!r} in {workspace[:140]}: see get_registry_model_names"
        )
    return found


async def model_with_id(context: Context, model_id: str) -> Registered:
    """Raises NotFound."""
    found = await _model(context, model_id)
    if found is None:
        raise NotFound(f"no registered model has the id {model_id[:80]!r}: look it up by its name")
    return found


async def _model(context: Context, artifact: str) -> Registered | None:
    record = await context.repositories.artifacts.find(context.scope, artifact)
    is_model = record is not None and not record.project and record.artifact_type == MODEL_TYPE
    return _registered(record) if record is not None and is_model else None


def _registered(record: ArtifactRecord) -> Registered:
    return Registered(**{field.name: getattr(record, field.name) for field in dataclasses.fields(Registered)})


async def versions_of(
    context: Context, artifact: str, *, ordinal: int | None = None, with_files: bool = False
) -> list[Version]:
    """Its versions, the highest first; or the one with this number, if it is there."""
    artifacts, scope = context.repositories.artifacts, context.scope
    if ordinal is None:
        records = await artifacts.every_version(scope, artifact)
    else:
        one = await artifacts.version(scope, artifact, ordinal)
        records = [] if one is None else [one]
    ordinals = None if ordinal is None else [ordinal]
    found = await context.repositories.artifact_files.contents(scope, artifact, ordinals, with_files=with_files)

    def in_order() -> list[Version]:
        made = [_version(record, found.get(record.ordinal)) for record in records]
        return sorted(made, key=lambda one: rank(one.version, one.ordinal), reverse=True)

    return await context.off_loop(in_order)


async def with_files_of(context: Context, artifact: str, version: Version) -> Version:
    """A version that was read without its files, with them: those of all versions may be millions."""
    found = await context.repositories.artifact_files.contents(context.scope, artifact, [version.ordinal])
    return dataclasses.replace(version, files=_files_of(found.get(version.ordinal)))


def _version(record: VersionRecord, contents: ContentsRecord | None) -> Version:
    metadata = json.loads(contents.metadata or "{}") if contents is not None else {}
    from_model, about = metadata.pop(REGISTERED_FROM, ""), metadata.pop(REGISTERED_FILES, {})
    return Version(
        record.ordinal,
        record.version,
        record.comment,
        record.status or NO_STATUS,
        tuple(dict.fromkeys((*record.tags, *record.stages))),
        record.run,
        record.created_at,
        record.updated_at,
        metadata,
        from_model if isinstance(from_model, str) else "",
        about if isinstance(about, dict) else {},
        _files_of(contents),
    )


def _files_of(contents: ContentsRecord | None) -> tuple[File, ...]:
    files = () if contents is None else contents.files
    return tuple(
        File(number, file.name, file.sha256, file.size_bytes, file.content_type, file.link)
        for number, file in enumerate(files)
    )


async def remarks_on(context: Context, model: Registered, ordinal: int) -> Sequence[Mapping[str, Any]]:
    """Return the remarks on a version, the oldest first."""
    found = await context.repositories.artifacts.remarks(context.scope, model.artifact, [ordinal])
    return [json.loads(one.remark) for one in found]


async def send_registered(
    context: Context, request: web.Request, artifact: str, ordinal: int, number: int | None
) -> web.StreamResponse:
    """The bytes of a version's file, whole or one range. Raises NotFound, InvalidRequest."""
    versions = await versions_of(context, artifact, ordinal=ordinal, with_files=True)
    files = versions[0].files if versions else ()
    if number is None or number >= len(files):
        raise NotFound(f"no artifact has a file {artifact}-{ordinal}-{number}: list the files of its version")
    file = files[number]
    if not file.sha256:
        raise InvalidRequest(f"the bytes of {file.name!r} are not here but at {file.link}: get them there")
    return await send_content(context, request, file.name.rpartition("/")[2], file.sha256, file.content_type)
