"""How far in the log something is: a value that answers carry and reads can wait for."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self


class InvalidPositions(ValueError):
    """A text that is not a position token; the message shows it and the expected form."""


@dataclass(frozen=True, slots=True)
class Positions:
    """The last offset, inclusive, of each partition that counts. A partition that is absent counts as 'nothing yet'.

    As text: `0:41` or `0:41,3:7` (partition:offset, ascending), and `` for nothing.
    """

    offsets: Mapping[int, int] = field(default_factory=dict)

    def covers(self, wanted: "Positions") -> bool:
        """Whether everything up to `wanted` is included in this."""
        return all(self.offsets.get(part, -1) >= offset for part, offset in wanted.offsets.items())

    def merged(self, other: "Positions") -> "Positions":
        """The later offset of each partition."""
        merged = dict(self.offsets)
        for part, offset in other.offsets.items():
            merged[part] = max(offset, merged.get(part, -1))
        return Positions(merged)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(sorted(self.offsets.items()))

    def __str__(self) -> str:
        return ",".join(f"{part}:{offset}" for part, offset in self)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text form. Raises InvalidPositions."""
        offsets: dict[int, int] = {}
        for item in filter(None, text.strip().split(",")):
            part, colon, offset = item.partition(":")
            if not (colon and _is_number(part) and _is_number(offset)):
                raise InvalidPositions(
                    f"{text[:100]!r} is no position: give PARTITION:OFFSET[,...] as an answer had it"
                )
            offsets[int(part)] = max(int(offset), offsets.get(int(part), -1))
        return cls(offsets)


def _is_number(text: str) -> bool:
    """Whether it is a whole number of 64 bits at most: 2^64 has 20 digits."""
    return text.isascii() and text.isdigit() and len(text) <= 20 and int(text) < 2**64
