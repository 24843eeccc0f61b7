"""What the header of a part says of its file: the name as each kind of program writes it, and the type."""

from collections.abc import AsyncIterator

import pytest

from runstream_protocols.kit.multipart import Part, parts_of
from runstream_service.problems import Problem


async def read(disposition: bytes, more: bytes = b"") -> list[Part]:
    async def body() -> AsyncIterator[bytes]:
        yield b"--b\r\nContent-Disposition: form-data; " + disposition + b"\r\n" + more + b"\r\nx\r\n--b--\r\n"

    return [part async for part in parts_of(body(), b"b", 3)]


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        (b'name="file"', None),
        (b'name="file"; filename=""', ""),
        (b'name="file"; filename=plain.txt', "plain.txt"),
        ('name="file"; filename="größe ☃.txt"'.encode(), "größe ☃.txt"),
        (b'name="file"; filename="../../a/b.txt"', "../../a/b.txt"),
        (rb'name="file"; filename="a\\b\"c"', 'a\\b"c'),
        (b'name="file"; filename="a%22b"', "a%22b"),
        (b'name="file"; filename="x"; filename*=UTF-8\'\'gr%C3%B6%C3%9Fe', "größe"),
        (b"name=\"file\"; filename*=utf-8''%FF", "\ufffd"),
        (b'name="file"; filename="x"; filename*=latin-1\'\'%FF', "x"),
    ],
)
async def test_the_name_of_a_file_is_as_it_was_sent(disposition: bytes, name: str | None) -> None:
    (part,) = await read(disposition)
    assert (part.name, part.filename, part.content_type) == ("file", name, "")


async def test_the_type_of_a_file_is_as_it_was_sent() -> None:
    (part,) = await read(b'name="file"; filename="x"', b"Content-Type: text/plain; charset=x\r\n")
    assert part.content_type == "text/plain; charset=x"


async def test_a_name_with_a_nul_is_no_header() -> None:
    with pytest.raises(Problem, match="is none"):
        await read(b'name="file"; filename="a\0b"')
