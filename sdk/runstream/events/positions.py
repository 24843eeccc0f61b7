"""How far in the log something is: a value that responses carry and reads can wait for."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Self

#: Begins a token that names the offsets to read next. A token without it is one of an older server.
_NEXT: Final = "next:"
#: What a column of offsets holds. No log comes near it.
_MAX_OFFSET: Final = 2**64 - 1


class InvalidPositions(ValueError):
    """A text that is not a position token; the message shows it and the expected form."""


@dataclass(frozen=True, slots=True)
class Positions:
    """The offset to read next in each partition: every record before it is covered, none from it on.

    A partition that is absent is at 0, its beginning, and `Positions()` is the beginning of the log. Two values are
    equal if they mean the same. As text: `next:0:42` or `next:0:42,3:8` (partition:offset, ascending), and `next:` for
    the beginning.
    """

    next_offsets: Mapping[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if 0 in self.next_offsets.values():
            further = {part: offset for part, offset in self.next_offsets.items() if offset}
            object.__setattr__(self, "next_offsets", further)

    @classmethod
    def after(cls, part: int, offset: int) -> Self:
        """Return the position right behind a record: it covers that record, and all before it in its partition."""
        return cls({part: offset + 1})

    def covers(self, wanted: "Positions") -> bool:
        """Whether every record that is before `wanted` is before this."""
        return all(self[part] >= offset for part, offset in wanted.next_offsets.items())

    def merged(self, other: "Positions") -> "Positions":
        """The later offset of each partition."""
        merged = dict(self.next_offsets)
        for part, offset in other.next_offsets.items():
            merged[part] = max(offset, merged.get(part, 0))
        return Positions(merged)

    def common(self, other: "Positions") -> "Positions":
        """The earlier offset of each partition: what both cover."""
        return Positions({part: min(offset, other[part]) for part, offset in self.next_offsets.items()})

    def __getitem__(self, part: int) -> int:
        return self.next_offsets.get(part, 0)

    def __bool__(self) -> bool:
        """Whether it covers anything."""
        return bool(self.next_offsets)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Iterate over (partition, offset to read next), ascending."""
        return iter(sorted(self.next_offsets.items()))

    def __str__(self) -> str:
        return _NEXT + ",".join(f"{part}:{offset}" for part, offset in self)

    def in_old_spelling(self) -> str:
        """Return the token as servers wrote it before `next:`: `0:41,3:7` names the last record that is covered in each
        partition, and the empty text is the beginning."""
        return ",".join(f"{part}:{offset - 1}" for part, offset in self)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a token of either spelling. Raises InvalidPositions."""
        bare = text.strip()
        is_next = bare.startswith(_NEXT)
        next_offsets: dict[int, int] = {}
        for item in filter(None, bare.removeprefix(_NEXT).split(",")):
            part, colon, number = item.partition(":")
            if not (colon and _is_number(part) and _is_number(number)):
                raise InvalidPositions(
                    f"{text[:100]!r} is no position: give next:PARTITION:OFFSET[,...] as a response had it"
                )
            offset = int(number) if is_next else min(int(number) + 1, _MAX_OFFSET)
            next_offsets[int(part)] = max(offset, next_offsets.get(int(part), 0))
        return cls(next_offsets)


def _is_number(text: str) -> bool:
    """Whether it is a whole number of 64 bits at most: 2^64 has 20 digits."""
    return text.isascii() and text.isdigit() and len(text) <= 20 and int(text) <= _MAX_OFFSET
