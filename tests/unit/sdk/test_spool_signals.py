"""Signals that come in the middle of a call of the spool's writer, at every place where one can."""

import dis
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runstream.spool.writer import SpoolWriter

Make = Callable[..., SpoolWriter]
Read = Callable[[Path], Any]


class _Interrupted(BaseException):
    """Stands for KeyboardInterrupt."""


class _Interrupter:
    """Calls `handler` and raises at the n-th place in the spool's code where CPython would run a signal handler: behind
    a call, at the beginning of a function, at a jump back."""

    _PLACES = ("CALL", "RESUME", "JUMP_BACKWARD", "POP_JUMP_BACKWARD", "FOR_ITER")

    def __init__(self, at: int, handler: Callable[[], None] = lambda: None) -> None:
        self.left = at
        self._handler = handler
        self.fired = False
        self._last: dict[Any, str] = {}

    def __call__(self, frame: Any, event: str, _: Any) -> Any:
        if os.sep + "spool" + os.sep not in frame.f_code.co_filename or self.fired:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            before = self._last.get(frame, "")
            self._last[frame] = dis.opname[frame.f_code.co_code[frame.f_lasti]]
            if before.startswith(self._PLACES):
                self.left -= 1
                if self.left < 0:
                    self.fired = True
                    self._handler()
                    raise _Interrupted
        return self


def _interrupted_calls(
    spool: SpoolWriter, interrupter: _Interrupter, read: Read, until_interrupted: bool = False
) -> tuple[list[int], list[int], list[Any]]:
    """Log rows, with every kind of turn among them, while interrupted. Returns the calls that returned, those that
    raised, and the rows that a sender would have seen at that moment."""
    returned, raised, seen = [], [], []
    for i in range(14):
        data: dict[str, Any] = {"id": i, "x": 0.0}
        if i % 5 == 3:
            data = {f"metric {i} " + "n" * 20: 1.0, "id": i}
        if i % 7 == 5:
            data["bad"] = "text"
        sys.settrace(interrupter)
        try:
            spool.log_row(data, i)
        except _Interrupted:
            raised.append(i)
            sys.settrace(None)
            if until_interrupted:
                break
            seen = read(spool.folder).rows
        else:
            returned.append(i)
        finally:
            sys.settrace(None)
    return returned, raised, seen


def test_an_interrupt_at_any_place_loses_and_doubles_nothing(make_writer: Make, read: Read) -> None:
    fired = 0
    for at in range(100_000):
        spool = make_writer(segment_bytes=600)
        interrupter = _Interrupter(at * 3)  # every third place; other turns of the loop meet the others
        returned, raised, seen = _interrupted_calls(spool, interrupter, read)
        spool.log_row({"id": 99, "x": 1.0}, 99)
        assert spool.close()
        written = read(spool.folder)
        ids = written.values("id")
        assert len(ids) == len(set(ids)), f"doubled at place {at * 3}"
        assert set(returned) | {99} <= set(ids), f"lost at place {at * 3}"
        assert set(ids) <= set(returned) | set(raised) | {99}
        assert written.seqs == list(range(spool.next_seq))
        assert written.dirt == b""
        assert written.rows[: len(seen)] == seen, f"what a sender may have sent changed at place {at * 3}"
        fired += interrupter.fired
        if not interrupter.fired:
            break
    assert fired > 100


def test_a_handler_that_ends_the_process_writes_its_last_words_at_any_place(make_writer: Make, read: Read) -> None:
    """What the interrupted call returned for before, and what the handler writes, stands in the file: nothing comes
    after the handler."""
    fired = 0
    for at in range(100_000):
        spool = make_writer(segment_bytes=600)
        found: list[Any] = []

        def end(spool: SpoolWriter = spool, found: list[Any] = found) -> None:
            spool.take_over()
            assert spool.write_event(json.dumps({"type": "last"}).encode())
            assert spool.close()
            found.append(read(spool.folder))

        interrupter = _Interrupter(at * 3, end)
        returned, raised, _ = _interrupted_calls(spool, interrupter, read, until_interrupted=True)
        if not interrupter.fired:
            break
        (written,) = found
        ids = written.values("id")
        assert len(ids) == len(set(ids)), f"doubled at place {at * 3}"
        assert set(returned) <= set(ids) <= set(returned) | set(raised), f"lost at place {at * 3}"
        assert written.events[-1] == (written.next_seq - 1, {"type": "last"})
        assert written.seqs == list(range(written.next_seq))
        assert written.dirt == b""
        fired += 1
    assert fired > 100
