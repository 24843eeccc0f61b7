"""Control events about artifacts: named, typed things (a model, a panel, a data set) with numbered versions. The files
of a version never change, unless it was logged as open.

An artifact is of a project, or, with `project` None, of a whole workspace. Its name is unique among those of its type
in that place. Versions are numbered 1, 2, 3, ... by the fold, which is the only one to give numbers: no two get the
same, however many are logged at once, and none is given again, not even after the artifact was deleted and made anew.
"""

import hashlib
import re
from functools import partial
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from runstream.events import limits
from runstream.events.base import Count, Event, Project, Tags, Workspace
from runstream.events.names import InvalidName, check_path_part, check_run_id, project_key

#: The member of a remark that names a run which used the version.
USED_BY: Final = "used_by"
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def check_file_name(name: str) -> str:
    """Return `name` if it can name a file of a version: a relative path of visible parts with "/" between them, that
    leads nowhere but down. Raises InvalidName."""
    parts = name.split("/")
    if not all(parts) or {".", ".."} & set(parts):
        raise InvalidName(f"file name {name!r} has an empty part, '.' or '..': give a relative path such as a/b.bin")
    if "\\" in name or _CONTROL.search(name) or name != name.strip():
        raise InvalidName(
            f"file name {name!r} has a backslash, a control character or white space at an end: remove it"
        )
    try:
        size = max(len(part.encode()) for part in parts)
    except UnicodeEncodeError:
        raise InvalidName(f"file name {name!r} is not valid Unicode: remove the lone surrogate") from None
    if size > limits.MAX_FILE_PART_BYTES:
        raise InvalidName(
            f"file name {name[:40]!r}... has a part of {size} bytes: at most {limits.MAX_FILE_PART_BYTES} are allowed"
        )
    return name


def check_added_name(name: str) -> str:
    """Return `name` if it can name a file of an open version: any text, because foreign clients name files by paths of
    their own. It is never a path at a server. Raises InvalidName."""
    if "\0" in name:
        raise InvalidName(f"file name {name!r} has a NUL character: remove it")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InvalidName(f"file name {name!r} is not valid Unicode: remove the lone surrogate") from None
    return name


def _check_link(link: str) -> str:
    if _CONTROL.search(link) or not re.match(r"[A-Za-z][A-Za-z0-9+.\-]*:\S", link):
        raise ValueError(f"link {link[:80]!r} is no address: give one with a scheme, such as s3://bucket/key")
    return link


ArtifactType = Annotated[str, AfterValidator(partial(check_path_part, "artifact type"))]
ArtifactName = Annotated[str, AfterValidator(partial(check_path_part, "artifact"))]
#: What a person calls a version: "1.0.0", "3".
VersionText = Annotated[str, AfterValidator(partial(check_path_part, "version"))]
Ordinal = Annotated[int, Field(ge=1, le=2**63 - 1)]
Text = Annotated[str, Field(max_length=limits.MAX_ARTIFACT_TEXT_CHARS)]
Comment = Annotated[str, Field(max_length=limits.MAX_COMMENT_CHARS)]
Status = Annotated[str, Field(max_length=limits.MAX_TAG_CHARS)]
Labels = Annotated[Tags, Field(max_length=limits.MAX_LABELS)]
RunId = Annotated[str, AfterValidator(check_run_id)]


class ArtifactFile(BaseModel):
    """A file of a version. Its bytes are stored under their SHA-256 (PUT /ingest/v1/assets/{sha256}) before the event
    is sent; or it is elsewhere, and only its `link` is kept."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: Annotated[str, Field(min_length=1, max_length=limits.MAX_FILE_NAME_CHARS), AfterValidator(check_file_name)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    size_bytes: Count = 0
    content_type: Annotated[str, Field(min_length=1, max_length=200)] = "application/octet-stream"
    link: Annotated[str, Field(max_length=2000), AfterValidator(_check_link)] | None = None

    @model_validator(mode="after")
    def _is_somewhere(self) -> "ArtifactFile":
        if (self.sha256 is None) == (self.link is None):
            raise ValueError(f"file {self.name!r} needs a sha256 (its bytes are stored here) or a link, and not both")
        return self


class AddedFile(ArtifactFile):
    """A file of an open version. Its name may be any text: whoever writes it to a disk makes a path of it
    (`runstream.filenames`)."""

    name: Annotated[str, Field(min_length=1, max_length=limits.MAX_FILE_NAME_CHARS), AfterValidator(check_added_name)]


def check_files(files: tuple[ArtifactFile, ...]) -> tuple[ArtifactFile, ...]:
    """Return `files` if they can be those of one version. Raises ValueError."""
    if len(files) > limits.MAX_ARTIFACT_FILES:
        raise ValueError(
            f"the version has {len(files)} files, at most {limits.MAX_ARTIFACT_FILES} are allowed: pack them into one "
            "archive (zip or tar), or divide them among several artifacts"
        )
    names = {file.name for file in files}
    if len(names) < len(files):
        raise ValueError("two files of the version have the same name: give each a name of its own")
    for name in names:
        parts = name.split("/")
        for end in range(1, len(parts)):
            if (folder := "/".join(parts[:end])) in names:
                raise ValueError(f"file {folder!r} would have to be a directory for {name!r}: rename one of them")
    return files


class AboutArtifact(Event):
    """What every event of an artifact has: which one it is about. `project` None: one of the whole workspace."""

    workspace: Workspace
    project: Project | None = None
    artifact_type: ArtifactType
    name: ArtifactName

    @property
    def key(self) -> str:
        """The key of its record: WORKSPACE/PROJECT, or WORKSPACE/NAME for one of a whole workspace."""
        return artifact_key(self.workspace, self.project, self.name)

    @property
    def artifact(self) -> str:
        """The artifact's id."""
        return artifact_id(self.workspace, self.project, self.artifact_type, self.name)


class ArtifactCreated(AboutArtifact):
    """An artifact was created. Where it is there already, this changes nothing."""

    type: Literal["artifact_created.v1"] = "artifact_created.v1"
    description: Text = ""
    notes: Text = ""
    tags: Labels = ()
    public: bool = False


class ArtifactUpdated(AboutArtifact):
    """Fields that are None stay as they are; `tags` are all that it has from now on."""

    type: Literal["artifact_updated.v1"] = "artifact_updated.v1"
    description: Text | None = None
    notes: Text | None = None
    tags: Labels | None = None
    public: bool | None = None


class ArtifactDeleted(AboutArtifact):
    """An artifact was deleted with all its versions; its name is free again, the numbers are not."""

    type: Literal["artifact_deleted.v1"] = "artifact_deleted.v1"


class ArtifactVersionReserved(AboutArtifact):
    """A version was announced whose files follow; the artifact is created if it is missing.

    The fold gives its number and its text, which nobody else gets from then on. `version` None: the next major number
    (`2.0.0` behind `1.3.0`). It is no version before it is logged with its `ordinal`; deleting it gives it up, and so
    does a reservation that comes a day later.
    """

    type: Literal["artifact_version_reserved.v1"] = "artifact_version_reserved.v1"
    version: VersionText | None = None
    tags: Labels = ()
    aliases: Labels = ()
    metadata: dict[str, Any] = Field(default_factory=dict)
    #: The run that it comes from.
    run: RunId | None = None


class ArtifactVersionLogged(AboutArtifact):
    """A version was added; the artifact is created if it is missing.

    The fold gives its number. `version` None: it is called by its number; a text that another version has is refused.
    Its metadata and run never change, and neither do its files, unless it is `open`: then files may be added to it.
    With the `ordinal` of a reservation it is that version, with its text and run, and with its labels before those
    here.
    """

    type: Literal["artifact_version_logged.v1"] = "artifact_version_logged.v1"
    version: VersionText | None = None
    comment: Comment = ""
    tags: Labels = ()
    #: Names that point at one version at a time ("production"): they move here from the version that had them.
    aliases: Labels = ()
    stages: Labels = ()
    status: Status = ""
    metadata: dict[str, Any] = Field(default_factory=dict)
    #: The run that it came from.
    run: RunId | None = None
    ordinal: Ordinal | None = None
    files: Annotated[tuple[ArtifactFile, ...], Field(fail_fast=True), AfterValidator(check_files)] = ()
    #: True: files may be added to it later. None is false.
    open: bool | None = None


class ArtifactFilesAdded(AboutArtifact):
    """Files were added to a version that was logged as open. A file with the name of one that is there takes its place;
    of several with one name here, the last."""

    type: Literal["artifact_files_added.v1"] = "artifact_files_added.v1"
    ordinal: Ordinal
    files: Annotated[tuple[AddedFile, ...], Field(fail_fast=True, min_length=1, max_length=limits.MAX_ARTIFACT_FILES)]


class ArtifactVersionUpdated(AboutArtifact):
    """What is said about a version changed. None stays as it is; `tags`, `aliases` and `stages` are all that it has
    from now on, before those in `tags_removed`, ... are taken away and those in `tags_added`, ... put behind them."""

    type: Literal["artifact_version_updated.v1"] = "artifact_version_updated.v1"
    ordinal: Ordinal
    comment: Comment | None = None
    status: Status | None = None
    tags: Labels | None = None
    aliases: Labels | None = None
    stages: Labels | None = None
    tags_removed: Labels = ()
    tags_added: Labels = ()
    aliases_removed: Labels = ()
    aliases_added: Labels = ()


class ArtifactVersionDeleted(AboutArtifact):
    """A version was deleted. Its number is never given again; its text and its aliases are free."""

    type: Literal["artifact_version_deleted.v1"] = "artifact_version_deleted.v1"
    ordinal: Ordinal


class ArtifactVersionRemarked(AboutArtifact):
    """Somebody remarked on a version: wrote something about it that none of its fields holds. A remark never changes,
    and a later one stands behind it."""

    type: Literal["artifact_version_remarked.v1"] = "artifact_version_remarked.v1"
    ordinal: Ordinal
    remark: dict[str, Any]


ArtifactEvent = (
    ArtifactCreated
    | ArtifactUpdated
    | ArtifactDeleted
    | ArtifactVersionReserved
    | ArtifactVersionLogged
    | ArtifactFilesAdded
    | ArtifactVersionUpdated
    | ArtifactVersionDeleted
    | ArtifactVersionRemarked
)


def artifact_key(workspace: str, project: str | None, name: str) -> str:
    """The record key of an artifact's events: all of them are in one partition, in order."""
    return project_key(workspace, name if project is None else project)


def artifact_id(workspace: str, project: str | None, artifact_type: str, name: str) -> str:
    """The artifact's id, 32 hexadecimal digits: a function of its place and name (128 bits of SHA-256)."""
    place = "\0".join((workspace, project or "", artifact_type, name))
    return hashlib.sha256(place.encode()).hexdigest()[:32]
