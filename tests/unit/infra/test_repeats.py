"""A library that repeats itself is written down once in a while, with how often it did."""

import io
import logging

from runstream.service.logs import configure_logging
from runstream_infra.cluster.repeats import Repeats


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_line_passes_once_in_a_while_and_says_how_often_it_came() -> None:
    clock, text = Clock(), io.StringIO()
    kept = logging.getLogger().handlers[:]
    try:
        handler = configure_logging("text", stream=text)
        handler.addFilter(Repeats("aiokafka", every_s=10, monotonic_s=clock))
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
        logging.getLogger().handlers[:] = kept
    said = [line.split(": ", 1)[1] for line in text.getvalue().splitlines()]
    assert said == [
        "Unable connect to node 0",
        "another line",
        "Unable connect to node 1",
        "Unable connect to node 500 (and 499 times before)",
        "Unable connect to node 502",
    ]
