"""Files of a run: copied into the spool under their SHA-256 before `log_asset` returns."""

import contextlib
import hashlib
import io
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Protocol, cast

from runstream.errors import Invalid
from runstream.events.control import AssetLogged
from runstream.events.limits import MAX_ASSET_BYTES
from runstream.plain_files import open_plain, text_name
from runstream.private import private_opener

_BLOCK_BYTES: Final = 1 << 20
_MODEL_SUFFIXES: Final = frozenset(
    {".bin", ".ckpt", ".engine", ".gguf", ".h5", ".hdf5", ".joblib", ".keras", ".mlmodel", ".model"}
    | {".onnx", ".pb", ".pickle", ".pkl", ".pt", ".pth", ".safetensors", ".tflite"}
)
_TABLE_SUFFIXES: Final = frozenset({".csv", ".tsv", ".parquet", ".feather", ".arrow", ".xlsx"})
_TEXT_TYPES: Final = ("application/json", "application/xml", "application/yaml", "application/toml")
_UNKNOWN_TYPE: Final = "application/octet-stream"
#: Types that `mimetypes` does not know on every machine.
_TYPES: Final = {
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".toml": "application/toml",
    ".md": "text/markdown",
    ".diff": "text/x-diff",
    ".log": "text/plain",
    ".parquet": "application/vnd.apache.parquet",
    ".webp": "image/webp",
}


class _Readable(Protocol):
    def read(self, size: int, /) -> Any: ...


@dataclass(frozen=True, slots=True)
class Description:
    """What a person says of an asset: None is found out."""

    name: str | os.PathLike[str] | None = None
    kind: str | None = None
    step: int | None = None
    metadata: Mapping[str, Any] | None = None
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class StoredFile:
    sha256: str
    size_bytes: int


def keep(source: Any, folder: Path, described: Description, asset_id: str, at_us: int) -> AssetLogged:
    """Copy `source` (see `open_source`) into `folder` and return the event that tells of it. Blocks on the disk.

    Raises Invalid, OSError, pydantic.ValidationError; nothing is left behind then.
    """
    file, own_name = open_source(source)
    with file:
        name = text_name(described.name or own_name or asset_id)
        content_type = described.content_type or content_type_of(name)
        if content_type == _UNKNOWN_TYPE and own_name:
            content_type = content_type_of(own_name)
        # Built before the copy: a name that cannot be used costs no disk.
        draft = AssetLogged(
            at_us=at_us,
            asset_id=asset_id,
            name=name,
            kind=described.kind or kind_of(name, content_type),
            sha256="0" * 64,
            size_bytes=0,
            content_type=content_type,
            step=described.step,
            metadata=dict(described.metadata or {}),
        )
        stored = store(file, folder, asset_id)
    return draft.model_copy(update={"sha256": stored.sha256, "size_bytes": stored.size_bytes})


def content_type_of(name: str) -> str:
    """The media type that a file of this name has."""
    suffix = Path(name).suffix.lower()
    if suffix in _TYPES:
        return _TYPES[suffix]
    import mimetypes

    kind, encoding = mimetypes.guess_type(name, strict=False)
    return kind if kind is not None and encoding is None else _UNKNOWN_TYPE


def kind_of(name: str, content_type: str) -> str:
    """What a file of this name is to a person: image, text, table, audio, video, model, or asset."""
    suffix = Path(name).suffix.lower()
    if suffix in _MODEL_SUFFIXES:
        return "model"
    if suffix in _TABLE_SUFFIXES:
        return "table"
    family = content_type.partition("/")[0]
    if family in ("image", "audio", "video", "text"):
        return family
    return "text" if content_type in _TEXT_TYPES else "asset"


def open_source(source: Any) -> tuple[IO[bytes], str | None]:
    """What `log_asset` was given, as a binary file to read and close, and its name if it has one. Raises Invalid."""
    if isinstance(source, str | os.PathLike):
        path = Path(os.fsdecode(source))
        try:
            return open_plain(path), text_name(path.name)
        except Invalid:
            raise
        except (OSError, ValueError) as error:  # ValueError: a byte 0
            raise Invalid(f"the file {path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if isinstance(source, bytes | bytearray | memoryview):
        return io.BytesIO(source), None
    if callable(getattr(source, "read", None)):
        name = getattr(source, "name", None)
        own_name = text_name(Path(name).name) if isinstance(name, str) and name else None
        return cast("IO[bytes]", _Wrapped(source)), own_name
    raise Invalid(f"an asset of type {type(source).__name__}: give a path, bytes or an open file")


def store(source: IO[bytes], folder: Path, temporary_name: str) -> StoredFile:
    """Copy `source` into `folder` under its SHA-256 and return that and its size. Blocks on the disk.

    Raises OSError (a full disk) and Invalid (too large), and then leaves nothing behind.
    """
    temporary = folder / f"{temporary_name}.tmp"
    try:
        sha256, size = hashlib.sha256(), 0
        with open(temporary, "xb", opener=private_opener) as target:
            while block := source.read(_BLOCK_BYTES):
                size += len(block)
                if size > MAX_ASSET_BYTES:
                    raise Invalid(f"the asset is larger than {MAX_ASSET_BYTES} bytes: split it")
                sha256.update(block)
                target.write(block)
        temporary.replace(folder / sha256.hexdigest())
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    return StoredFile(sha256.hexdigest(), size)


class _Wrapped:
    """An open file of the caller's: text is encoded, and closing leaves it open."""

    def __init__(self, file: _Readable) -> None:
        self._read: Callable[[int], Any] = file.read

    def read(self, size: int) -> bytes:
        block = self._read(size)
        return block.encode() if isinstance(block, str) else bytes(block)

    def __enter__(self) -> "_Wrapped":
        return self

    def __exit__(self, *_: object) -> None:
        return None
