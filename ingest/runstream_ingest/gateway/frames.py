"""The frames of a request: split and checked, sorted by writer. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from runstream.events.columns import check_lengths
from runstream.events.frame import EVENTS, GROUP, HEADER, MAGIC, ROWS_EXPLICIT, FrameHeader, InvalidFrame, read_checked


class BadFrame(Exception):
    """A frame of a request cannot be used. `position` is where it begins in the body; `writer_id` whose it is, where
    that can still be read."""

    def __init__(self, position: int, writer_id: str | None, reason: str) -> None:
        super().__init__(reason)
        self.position = position
        self.writer_id = writer_id


class TooManyFrames(Exception):
    """The request has more frames than are allowed."""


class Sent(NamedTuple):
    """One frame of a request: its place among all frames, its header, its bytes."""

    number: int
    header: FrameHeader
    data: memoryview


@dataclass(slots=True)
class Verdict:
    """What is to become of one writer's frames: append these, and then the writer's next number is `next_seq`.
    `gap` is set, to the number that was expected, when nothing of the request may be appended."""

    next_seq: int
    appended: list[Sent] = field(default_factory=list)
    duplicates: int = 0
    heartbeats_left_out: int = 0
    beat: bool = False
    gap: int | None = None


def frames_by_writer(body: memoryview, max_frames: int) -> Mapping[str, list[Sent]]:
    """The frames of a body by writer id, in their order. Raises BadFrame, TooManyFrames.

    Every length that a decoder will go by is checked, so that what is acknowledged can be decoded: those of ragged
    groups are inside of packed bytes, and are unpacked here, one group at a time (16 MB at most).
    """
    found: dict[str, list[Sent]] = {}
    at = number = 0
    while at < len(body):
        if number == max_frames:
            raise TooManyFrames(f"the request has more than the {max_frames} frames that are allowed: send fewer")
        try:
            header, ragged = read_checked(body, at)
            for group in ragged:
                check_lengths(group)
        except InvalidFrame as error:
            raise BadFrame(at, _writer_at(body, at), str(error)) from None
        found.setdefault(header.writer_id, []).append(Sent(number, header, body[at : at + header.size]))
        at += header.size
        number += 1
    return found


def are_plain(body: memoryview, most: int) -> bool:
    """Return whether a body has at most so many frames, each of at most one group, and that of plain rows.

    That is what they claim; nothing is checked. But `read_checked` goes by the same claims: of such a frame it takes
    the checksum, looks at the header of one group and has nothing unpacked. Takes 1 us a frame.
    """
    at = frames = 0
    while at < len(body):
        if frames == most or len(body) - at < HEADER.size:
            return False
        _, _, _, size, _, _, _, _, key_size, _, group_count = HEADER.unpack_from(body, at)
        if group_count > 1 or size < HEADER.size or (group_count and not _has_plain_group(body, at, size, key_size)):
            return False
        at += size
        frames += 1
    return True


def _has_plain_group(body: memoryview, at: int, size: int, key_size: int) -> bool:
    end = min(at + size, len(body))
    events_at = at + HEADER.size + key_size
    if events_at + EVENTS.size > end:
        return False
    _, _, events_size = EVENTS.unpack_from(body, events_at)
    group_at = events_at + EVENTS.size + events_size
    if group_at + GROUP.size > end:
        return False
    layout: int = GROUP.unpack_from(body, group_at)[1]
    return layout <= ROWS_EXPLICIT


def verdict(sent: list[Sent], next_seq: int | None, beat_allowed: bool) -> Verdict:
    """What is to become of one writer's frames, in order.

    next_seq: up to where the writer is durable; None for a writer that is not known here, whose first frame is taken
    as it comes (what was folded before is dropped by the fold).
    """
    result = Verdict(sent[0].header.first_seq if next_seq is None else next_seq)
    for frame in sent:
        header = frame.header
        if header.first_seq > result.next_seq:
            return Verdict(result.next_seq, gap=result.next_seq)
        if header.first_seq == header.end_seq:
            if beat_allowed and not result.beat:
                result.beat = True
                result.appended.append(frame)
            else:
                result.heartbeats_left_out += 1
        elif header.end_seq <= result.next_seq:
            result.duplicates += 1
        else:
            result.appended.append(frame)
            result.next_seq = header.end_seq
    return result


def _writer_at(body: memoryview, at: int) -> str | None:
    """The writer's id in the header at `at`, even where the frame is damaged; None where no header can be."""
    if len(body) - at < HEADER.size or bytes(body[at : at + 2]) != MAGIC:
        return None
    writer: bytes = HEADER.unpack_from(body, at)[5]
    return writer.hex()
