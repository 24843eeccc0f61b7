"""A library that repeats itself is written down once in a while, with how often it did."""

import io
import logging

from runstream_service.logs import configure_logging
from runstream_service.repeats import REPEATING, Repeats


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_line_passes_once_in_a_while_and_says_how_often_it_came() -> None:
    clock, text = Clock(), io.StringIO()
    handlers = logging.getLogger().handlers[:]
    try:
        handler = configure_logging("text", stream=text)
        handler.filters[:] = [Repeats("aiokafka", every_s=10, monotonic_s=clock)]
        client = logging.getLogger("aiokafka.client")
        for port in range(500):
            client.error("Unable connect to node %s", port)
        client.error("another line")
        logging.getLogger("runstream.else").error("Unable connect to node %s", 1)
        clock.now_s = 10.0
        client.error("Unable connect to node %s", 500)
        client.error("Unable connect to node %s", 501)
        client.info("Unable connect to node %s", 502)
    finally:
        logging.getLogger().handlers[:] = handlers
    lines = [line.split(": ", 1)[1] for line in text.getvalue().splitlines()]
    assert lines == [
        "Unable connect to node 0",
        "another line",
        "Unable connect to node 1",
        "Unable connect to node 500 (and 499 times before)",
        "Unable connect to node 502",
    ]


def kept(*lines: tuple[str, str, BaseException | None], clock: Clock | None = None) -> list[bool]:
    filtering = Repeats(*REPEATING, every_s=10, monotonic_s=clock or Clock())
    found = []
    for logger, message, error in lines:
        exc_info = (type(error), error, error.__traceback__) if error is not None else None
        record = logging.LogRecord(logger, logging.ERROR, "", 0, message, (), exc_info)
        found.append(filtering.filter(record))
    return found


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def test_asyncio_s_lines_are_the_same_whatever_stands_in_them() -> None:
    text = "socket.accept() out of system resource\nsocket: <asyncio.TransportSocket fd={0}, laddr=('127.0.0.1', {0})>"
    lines = [("asyncio", text.format(number), raised(OSError(24, "Too many open files"))) for number in range(100)]
    assert kept(*lines) == [True] + [False] * 99


def test_another_error_of_the_same_line_is_shown() -> None:
    lines = [
        ("runstream_service.problems", "%s %s failed", raised(ValueError("a"))),
        ("runstream_service.problems", "%s %s failed", raised(ValueError("b"))),
        ("runstream_service.problems", "%s %s failed", raised(KeyError("a"))),
        ("runstream_processors.worker", "the worker failed", None),
        ("runstream_processors.worker", "the worker failed", None),
    ]
    assert kept(*lines) == [True, False, True, True, True]


def test_what_is_remembered_is_bounded() -> None:
    lines = [("asyncio", "".join(chr(97 + int(digit)) for digit in str(number)), None) for number in range(3000)]
    filtering = Repeats("asyncio")
    for logger, message, _ in lines:
        assert filtering.filter(logging.LogRecord(logger, logging.ERROR, "", 0, message, (), None))
    assert len(filtering._told) == 1000
