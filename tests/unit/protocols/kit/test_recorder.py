"""How long a statement without a time of the client is taken for the same one."""

from collections.abc import Sequence
from typing import Any, cast

import pytest

from runstream.events.control import TagsAdded
from runstream.events.frame import read_header
from runstream.events.positions import Positions
from runstream_protocols.kit.recorder import Recorder
from runstream_service.log import LogUnavailable

KEY = "0" * 32
SECOND_US = 1_000_000


class Appender:
    """Remembers the numbers of what it was given; says of the first that nobody knows."""

    def __init__(self) -> None:
        self.numbers: list[int] = []

    async def append(self, records: Sequence[tuple[bytes, bytes]]) -> Positions:
        self.numbers.append(read_header(records[0][1]).first_seq)
        if len(self.numbers) == 1:
            raise LogUnavailable("the disk does not answer")
        return Positions()


@pytest.mark.parametrize(("later_s", "is_same"), [(30, True), (90, False)])
async def test_content_is_the_same_statement_as_long_as_the_client_may_repeat_it(later_s: int, is_same: bool) -> None:
    now_us = [1_000 * SECOND_US]
    appender, unused = Appender(), cast(Any, None)
    recorder = Recorder(cast(Any, appender), unused, unused, unused, 1.0, now_us=lambda: now_us[0])
    added = [TagsAdded(at_us=1, tags=("a",))]
    with pytest.raises(LogUnavailable):
        await recorder.record(KEY, b"content", added)
    now_us[0] += later_s * SECOND_US
    for _ in range(2):
        await recorder.record(KEY, b"content", added, wait=False)
    first, again, anew = appender.numbers
    assert (first == again) == is_same
    assert anew not in (first, again)
