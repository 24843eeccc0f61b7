"""XML of requests and of responses. Pure.

Requests are read without entities and document types, within bounds of elements, depth and size.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from runstream_protocols.sagemaker.s3.errors import S3Error, text_in_xml

NAMESPACE: Final = "http://s3.amazonaws.com/doc/2006-03-01/"
#: 10,000 parts with their checksums take 3 MB; 1,000 keys that are as long as they may be 2 MB.
MAX_BYTES: Final = 4_000_000
#: A part with its number, its ETag and two checksums takes five; the most parts are 10,000.
_MAX_ELEMENTS: Final = 50_001
_MAX_DEPTH: Final = 8


@dataclass(slots=True)
class Element:
    """An element of a request, without its namespace and attributes."""

    name: str
    text: str = ""
    children: list["Element"] = field(default_factory=list)

    def all(self, name: str) -> Iterator["Element"]:
        """Return the children of a name."""
        return (child for child in self.children if child.name == name)

    def get(self, name: str) -> str | None:
        """Return the text of the first child of a name; None if there is none."""
        return next((child.text for child in self.all(name)), None)


class _Reading:
    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[tuple[Element, list[str]]] = []
        self._elements = 0

    def start(self, name: str, _: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > _MAX_ELEMENTS or len(self._open) >= _MAX_DEPTH:
            raise malformed(
                f"it has more than {_MAX_ELEMENTS} elements, or some are nested more than {_MAX_DEPTH} deep"
            )
        element = Element(name.rpartition(":")[2])
        if self._open:
            self._open[-1][0].children.append(element)
        else:
            self.root = element
        self._open.append((element, []))

    def end(self, _: str) -> None:
        element, pieces = self._open.pop()
        element.text = "".join(pieces)

    def text(self, piece: str) -> None:
        self._open[-1][1].append(piece)

    def refuse(self, *_: object) -> None:
        raise malformed("it declares a document type, which is not read")


def malformed(why: str) -> S3Error:
    """Return the refusal of a body that cannot be read."""
    return S3Error("MalformedXML", f"the XML of the request cannot be read: {why}")


def parsed(body: bytes, name: str) -> Element:
    """Return the root of a document, which has the name. Raises S3Error."""
    if len(body) > MAX_BYTES:
        raise malformed(f"it has {len(body)} bytes, at most {MAX_BYTES} are read")
    reading = _Reading()
    # Without namespaces: the parser would copy the namespace, which may be as long as the body, into each name.
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reading.start
    parser.EndElementHandler = reading.end
    parser.CharacterDataHandler = reading.text
    parser.StartDoctypeDeclHandler = reading.refuse
    parser.EntityDeclHandler = reading.refuse
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise malformed(str(error)) from None
    if reading.root is None or reading.root.name != name:
        raise malformed(f"its root is {reading.root.name[:40] if reading.root else ''!r}: send {name}")
    return reading.root


def element(name: str, *inside: str) -> str:
    """Return an element around others."""
    return f"<{name}>{''.join(inside)}</{name}>"


def texts(members: Iterable[tuple[str, object]]) -> str:
    """Return elements with texts; those that are None are left out, and truth values are words."""
    return "".join(element(name, _text(value)) for name, value in members if value is not None)


def document(name: str, *inside: str) -> bytes:
    """Return a document of S3's."""
    whole = f'<{name} xmlns="{NAMESPACE}">{"".join(inside)}</{name}>'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{whole}'.encode()


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return text_in_xml(str(value))
