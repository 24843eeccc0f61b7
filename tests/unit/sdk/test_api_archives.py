"""Archives of a server: what is none is the server's failure, wherever it shows."""

import io
import zipfile

import pytest

from runstream.api import ServerFailed
from runstream.api.archives import opened_archive


def _archive() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as files:
        files.writestr("patch", b"text " * 100)
    return made.getvalue()


def test_an_archive_is_read() -> None:
    with opened_archive(_archive(), "x") as files:
        assert files.read("patch") == b"text " * 100


# An archive holds the time at which it was made, so it is no name of a test: all processes have to find the same ones.
@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", _archive()[:-20], _archive().replace(b"patch", b"other", 1)],
    ids=["empty", "html", "cut", "damaged"],
)
def test_what_is_no_archive_is_the_servers_failure(content: bytes) -> None:
    with pytest.raises(ServerFailed, match="archive of a git patch cannot be read"):  # noqa: SIM117
        with opened_archive(content, "a git patch") as files:
            files.read("patch")
