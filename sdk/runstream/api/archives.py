"""ZIP archives that a server made."""

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from runstream.api.errors import ServerFailed
from runstream.api.transport import IS_IT_OURS


@contextmanager
def opened_archive(content: bytes, what: str) -> Iterator[zipfile.ZipFile]:
    """Open an archive; `what` names it in an error. Raises ServerFailed where it, or a file in it, cannot be read."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as files:
            yield files
    except (zipfile.BadZipFile, NotImplementedError, zlib.error) as error:
        raise ServerFailed(f"the archive of {what} cannot be read: {error}. {IS_IT_OURS}") from error
