"""Which files of an unknown type are texts that Comet's client could not read without being told so."""

import pytest

from runstream_protocols.comet.reads.contents import is_foreign_text
from runstream_query.http.files import file_headers


@pytest.mark.parametrize("beginning", ["größe", "名前: 日本\n", "name = 'ü'\n" * 300])
def test_texts_beyond_ascii_are_told_apart(beginning: str) -> None:
    content = beginning.encode()
    assert is_foreign_text(content)
    assert all(is_foreign_text(content[:end]) for end in range(len(content) - 1, len(content) // 2, -1))


@pytest.mark.parametrize(
    "beginning",
    [b"", b"plain", b"\x89PNG\r\n", b"a\xff\xfeb", "ü\0".encode(), '{"a": "ü"}'.encode(), ' ["ü"]'.encode()],
)
def test_bytes_ascii_and_json_are_left_as_they_are(beginning: bytes) -> None:
    assert not is_foreign_text(beginning)


@pytest.mark.parametrize(
    ("logged", "sent"),
    [
        ("text/plain", "text/plain; charset=utf-8"),
        ("text/markdown", "text/markdown; charset=utf-8"),
        ("text/csv; charset=latin-1", "text/csv; charset=latin-1"),
        ("application/xml", "application/xml; charset=utf-8"),
        ("application/x-sh", "application/x-sh; charset=utf-8"),
        ("image/svg+xml", "image/svg+xml; charset=utf-8"),
        ("application/json", "application/json"),
        ("application/octet-stream", "application/octet-stream"),
        ("image/png", "image/png"),
        ("no type", "application/octet-stream"),
    ],
)
def test_texts_have_a_charset(logged: str, sent: str) -> None:
    assert file_headers("name", logged)["Content-Type"] == sent
