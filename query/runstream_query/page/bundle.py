"""The built page in memory. What is not in it by name cannot be requested, whatever a path looks like."""

import gzip
import hashlib
import mimetypes
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: Where infra/page_build.py puts what it builds.
BUILT: Final = Path(__file__).parent / "static"
_PACKED: Final = ".gz"
#: Types that do not depend on what is installed on the machine.
_TYPES: Final = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class File:
    """A file as it is sent. tag: of its content, for ETag. packed: by gzip."""

    content: bytes
    packed: bytes
    content_type: str
    tag: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """One built page: the document of all addresses, and the files that it loads, by name."""

    document: File
    files: Mapping[str, File]


class Bundles:
    """The page as it is built now. A checkout may build another one while the server runs."""

    def __init__(self, folder: Path = BUILT) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._known: tuple[object, Bundle | None] = (None, None)

    def newest(self) -> Bundle | None:
        """Return the page; None if none is built. Reads files where another one was built since the last call."""
        with self._lock:
            try:
                stat = (self._folder / "index.html").stat()
                built = (stat.st_ino, stat.st_mtime_ns)
                if self._known[0] != built:
                    self._known = built, _read(self._folder)
            except FileNotFoundError:
                self._known = None, None
            return self._known[1]

    @property
    def known(self) -> Bundle | None:
        """The page that the last call of `newest` found: what its document loads. Reads nothing."""
        return self._known[1]


def _read(folder: Path) -> Bundle:
    """Raises FileNotFoundError while another build takes the place of this one."""
    files = {
        path.name: _file(path.read_bytes(), path.suffix, path.with_name(path.name + _PACKED).read_bytes())
        for path in (folder / "static").iterdir()
        if path.suffix != _PACKED
    }
    document = (folder / "index.html").read_bytes()
    return Bundle(_file(document, ".html", gzip.compress(document, mtime=0)), files)


def _file(content: bytes, suffix: str, packed: bytes) -> File:
    if suffix == ".html":
        content_type = "text/html; charset=utf-8"
    else:
        content_type = _TYPES.get(suffix) or mimetypes.types_map.get(suffix, "application/octet-stream")
    return File(content, packed, content_type, hashlib.sha256(content).hexdigest()[:32])
