"""Statements as frames: which sendings count once, and that each frame is read as what was written."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from runstream.events.control import ParametersLogged, TagsAdded
from runstream.events.frame import decode_frame
from runstream_model.decoding import decode_events
from runstream_protocols.kit.attempts import attempt_writer
from runstream_protocols.kit.statements import MAX_NUMBERS, Statement, events_frames

KEY = "k" * 32
AT_US = 1_795_276_541_365_000


def events(frames: Sequence[bytes]) -> list[Any]:
    """Return every event; none may be one that the fold refuses."""
    found: list[Any] = []
    for frame in map(decode_frame, frames):
        taken, rejected = decode_events(frame)
        assert rejected == []
        found += [event for _, event in taken]
    return found


def test_the_same_content_at_the_same_time_has_the_same_numbers() -> None:
    same = Statement(KEY, b"a", AT_US)
    assert same.first_seq() == Statement(KEY, b"a", AT_US).first_seq()
    for other in (Statement(KEY, b"b", AT_US), Statement("j" * 32, b"a", AT_US), Statement(KEY, b"a", 2 * AT_US)):
        assert (other.writer_id, other.first_seq()) != (same.writer_id, same.first_seq())


def test_identities_are_those_of_statements_that_are_in_logs() -> None:
    """A request that a client repeats after an update of the server counts once, too."""
    expected = {
        False: ("24a33172bc4f54a1597b73c99d08d9b9", 2145180381813409792, 8402066693729274880),
        True: ("1f43d53c1e5b89695447f255cc4b2b27", 3051764951230603264, 5832108808058835968),
    }
    for stamped, identity in expected.items():
        statement = Statement(KEY, b"a", AT_US, stamped=stamped)
        assert (statement.writer_id, statement.first_seq(), statement.first_seq(1)) == identity
    assert attempt_writer(KEY, "add 1") == "753e8645cde673aece1f351a1d1e0e69"


def test_a_time_of_ours_tells_equal_content_apart_and_one_of_theirs_does_not() -> None:
    ours = {Statement(KEY, b"a", AT_US + n, stamped=True).first_seq() for n in range(3)}
    theirs = {Statement(KEY, b"a", AT_US + n).first_seq() for n in range(3)}
    assert (len(ours), len(theirs)) == (3, 1)


def test_parts_and_statements_never_share_numbers() -> None:
    taken: list[range] = []
    for number in range(300):
        statement = Statement(KEY, b"%d" % number, AT_US)
        taken += [range(first := statement.first_seq(part), first + MAX_NUMBERS) for part in range(3)]
    taken.sort(key=lambda numbers: numbers.start)
    assert all(before.stop <= after.start for before, after in pairwise(taken))
    assert taken[-1].stop <= 2**63


def test_events_that_are_too_much_for_a_frame_are_several() -> None:
    statement = Statement(KEY, b"a", AT_US)
    logged = [ParametersLogged(at_us=AT_US, values={"x": chr(0x4E00 + n) * 50_000}) for n in range(40)]
    frames = events_frames(statement, logged)
    assert events(frames) == logged
    assert len({decode_frame(frame).header.first_seq for frame in frames}) == len(frames) > 5
    many = [TagsAdded(at_us=AT_US, tags=(str(n),)) for n in range(MAX_NUMBERS + 1)]
    assert len(events_frames(statement, many)) == 2
    assert events_frames(statement, []) == []


def test_an_attempts_writer_is_made_of_what_the_client_calls_it() -> None:
    assert attempt_writer(KEY, "add 1") == attempt_writer(KEY, "add 1") != attempt_writer(KEY, "add 2")
    assert attempt_writer(KEY, "add 1") != attempt_writer("j" * 32, "add 1")
