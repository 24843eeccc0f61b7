"""Printed text as a terminal shows it: nested bars, streams that are one, and the order between two."""

import io
import re
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.examples import examples
from runstream.capture.console import ConsoleCapture
from runstream.capture.lines import LineCollapser


def collapsed(text: str, size: int = 10**9) -> str:
    """All that is kept of a text that comes in pieces of this size."""
    lines = LineCollapser()
    return "".join(lines.feed(text[at : at + size]) for at in range(0, len(text), size)) + lines.rest()


def in_frames(frames: list[str], each: int) -> str:
    """All that is kept of frames that come so many at once: a flush comes between two of them."""
    lines = LineCollapser()
    pieces = ["".join(frames[at : at + each]) for at in range(0, len(frames), each)]
    return "".join(lines.feed(piece) for piece in pieces) + lines.rest()


@pytest.mark.parametrize("each", [1, 2, 7, 1000])
def test_nested_bars_leave_what_a_terminal_shows(each: int) -> None:
    """As tqdm draws an inner bar below an outer one, and takes it away when it is full."""
    frames = ["before\n"]
    for outer in range(6):
        frames.append(f"\router {outer}/5")
        frames += [f"\n\rinner {inner}/10\x1b[A" for inner in range(11)]
        frames.append(f"\n\r{' ' * 20}\r\x1b[A")
    frames.append("\nafter\n")
    assert in_frames(frames, each) == "before\nouter 5/5\nafter\n"


@pytest.mark.parametrize("each", [2, 7, 1000])
def test_several_lines_that_are_drawn_again(each: int) -> None:
    """As rich draws: erase each line on the way up."""
    up = "\r\x1b[2K\x1b[1A\x1b[2K\x1b[1A\x1b[2K"
    frames = [f"{up if step else 'start' + chr(10)}\x1b[?25la {step}\nb {step}\nc {step}" for step in range(20)]
    frames.append("\n\x1b[?25hend\n")
    assert in_frames(frames, each) == "start\na 19\nb 19\nc 19\nend\n"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("1%\x1b[1G2%\x1b[G3%\n", "3%\n"),
        ("bar\r\x1b[Kdone\n", "done\n"),
        ("bar\r   \rdone\n", "done\n"),
        ("bar\r   \r\n", "\n"),
        ("\x1b[31mred\x1b[0m\n", "\x1b[31mred\x1b[0m\n"),
        ("one\ntwo\x1b[F\x1b[Jnew\n", "new\n"),
        ("one\x1b[Etwo\n", "one\ntwo\n"),
        ("100%\rdone\r\n", "done\n"),
    ],
)
def test_sequences(text: str, kept: str) -> None:
    assert collapsed(text) == kept


@settings(deadline=None, max_examples=examples(300))
@given(
    st.lists(st.text(st.characters(exclude_characters="\r\n\x1b\v\f\x1c\x1d\x1e\x85\u2028\u2029"), max_size=9)),
    st.integers(1, 9),
)
def test_plain_lines_stay(lines: list[str], size: int) -> None:
    text = "".join(f"{line}\n" for line in lines)
    assert collapsed(text, size) == text


@settings(deadline=None, max_examples=examples(300))
@given(st.text(st.sampled_from("ab\r\n\x1b[012AKJFEGB?hl"), max_size=60), st.integers(1, 9))
def test_any_text_is_taken_whatever_its_pieces(text: str, size: int) -> None:
    found = collapsed(text, size)
    assert len(found) <= len(text) * 100
    assert set(re.sub(r"\n", "", found)) <= set(text)


class Both:
    """A stream that writes to another, as loggers of output do."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> Any:
        return self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()


@pytest.mark.parametrize("wrapped", [False, True])
def test_streams_that_are_one_are_heard_once(wrapped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), write_through=True)
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", Both(stream) if wrapped else stream)
    seen: list[tuple[str, str]] = []
    first, second = (ConsoleCapture(lambda name, text: seen.append((name, text))) for _ in range(2))
    first.install()
    second.install()
    print("to stdout")
    print("to stderr", file=sys.stderr)
    for capture in (first, second):
        capture.flush(last=True)
    label = "stderr" if wrapped else "stdout"
    each = [("stdout", "to stdout\n"), (label, "to stderr\n")] if wrapped else [("stdout", "to stdout\nto stderr\n")]
    assert seen == each * 2, "once for each run"
    second.remove()
    first.remove()
    print("no more")
    first.flush(last=True)
    assert seen == each * 2
    assert stream.buffer.getvalue() == b"to stdout\nto stderr\nno more\n"


def test_lines_of_two_streams_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    seen: list[tuple[str, str]] = []
    capture = ConsoleCapture(lambda name, text: seen.append((name, text)))
    capture.install()
    for percent in (1, 50, 100):
        sys.stderr.write(f"\r{percent}%")
    sys.stderr.write("\n")
    print("trained")
    print("a warning", file=sys.stderr)
    capture.flush()
    assert seen == [("stderr", "100%\n"), ("stdout", "trained\n"), ("stderr", "a warning\n")]
    seen.clear()
    for number in range(500):
        print(number, file=sys.stderr if number % 2 else sys.stdout)
    capture.flush(last=True)
    assert len(seen) == 2, "very many turns are no events of their own"
    assert "".join(text for _, text in seen).count("\n") == 500
    capture.remove()


def heard(*flushes: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """What is kept of what two streams print, flush by flush; the last one ends the capture."""
    kept: list[tuple[str, str]] = []
    streams = {"stdout": io.StringIO(), "stderr": io.StringIO()}
    with pytest.MonkeyPatch.context() as patch:
        for name, stream in streams.items():
            patch.setattr(sys, name, stream)
        capture = ConsoleCapture(lambda name, text: kept.append((name, text)))
        capture.install()
        for number, written in enumerate(flushes, 1):
            for name, text in written:
                streams[name].write(text)
            capture.flush(last=number == len(flushes))
        capture.remove()
    return kept


BAR = [("stderr", f"\r{share}%") for share in range(0, 101, 20)]


def test_a_bar_without_a_newline_ends_where_it_stood() -> None:
    kept = heard([*BAR, ("stdout", "trained\n"), ("stdout", "saved\n")])
    assert kept == [("stderr", "100%\n"), ("stdout", "trained\nsaved\n")]


def test_a_bar_that_ended_is_told_from_one_that_goes_on() -> None:
    """Between two flushes either may have happened: what is printed below waits for one more."""
    ended = heard(BAR, [("stdout", "one\n")], [("stdout", "two\n")], [("stdout", "three\n")])
    assert ended == [("stderr", "100%\n"), ("stdout", "one\n"), ("stdout", "two\n"), ("stdout", "three\n")]
    goes_on = heard(BAR[:3], [("stdout", "one\n")], [*BAR[3:], ("stderr", "\n")], [("stdout", "two\n")])
    assert goes_on == [("stdout", "one\n"), ("stderr", "100%\n"), ("stdout", "two\n")]


def test_the_newline_that_comes_late_is_no_empty_line() -> None:
    kept = heard(BAR, [("stdout", "one\n")], [], [("stderr", "\nwarning\n")])
    assert kept == [("stderr", "100%\n"), ("stdout", "one\n"), ("stderr", "warning\n")]


def test_a_loop_that_prints_beside_its_bar_leaves_one_bar() -> None:
    steps = [[("stderr", f"\r{step}/9"), ("stdout", f"loss {step}\n")] for step in range(10)]
    kept = heard(*steps, [("stderr", "\r9/9\n"), ("stdout", "done\n")])
    assert [text for name, text in kept if name == "stderr"] == ["9/9\n"]
    assert (
        "".join(text for name, text in kept if name == "stdout") == "".join(f"loss {n}\n" for n in range(10)) + "done\n"
    )


def test_a_line_that_is_written_in_parts_is_no_bar() -> None:
    kept = heard([("stdout", "loading ")], [("stderr", "warning\n")], [("stdout", "done\n")])
    assert kept == [("stderr", "warning\n"), ("stdout", "loading done\n")]


def test_nested_bars_end_where_they_stood() -> None:
    frames = [("stderr", f"\router {outer}/2\n\rinner {inner}/3\x1b[A") for outer in range(3) for inner in range(4)]
    kept = heard([*frames, ("stdout", "after\n")])
    assert kept == [("stderr", "outer 2/2\ninner 3/3\n"), ("stdout", "after\n")]
