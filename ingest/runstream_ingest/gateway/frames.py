"""The frames of a request: split and checked, sorted by writer. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from runstream.events.frame import HEADER, MAGIC, FrameHeader, InvalidFrame, read_header


class BadFrame(Exception):
    """A frame of a request cannot be used. `position` is where it begins in the body; `writer_id` whose it is, where
    that can still be read."""

    def __init__(self, position: int, writer_id: str | None, reason: str) -> None:
        super().__init__(reason)
        self.position = position
        self.writer_id = writer_id


class TooManyFrames(Exception):
    """The request has more frames than are allowed."""


@dataclass(frozen=True, slots=True)
class Sent:
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
    """The frames of a body by writer id, in their order. Raises BadFrame, TooManyFrames."""
    found: dict[str, list[Sent]] = {}
    at = number = 0
    while at < len(body):
        if number == max_frames:
            raise TooManyFrames(f"the request has more than the {max_frames} frames that are allowed: send fewer")
        try:
            header = read_header(body, at)
        except InvalidFrame as error:
            raise BadFrame(at, _writer_at(body, at), str(error)) from None
        found.setdefault(header.writer_id, []).append(Sent(number, header, body[at : at + header.size]))
        at += header.size
        number += 1
    return found


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
