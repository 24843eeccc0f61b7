"""How long a statement without a time of the client is taken for the same one."""

from collections.abc import Sequence
from typing import Any, cast

import pytest
from aiohttp.test_utils import make_mocked_request

from runstream.events.control import TagsAdded
from runstream.events.frame import read_header
from runstream.events.positions import Positions
from runstream_ingest.gateway.rights import WriterRights
from runstream_protocols.kit.recorder import Recorder
from runstream_service.access import Action
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


def recorder_of(appender: Appender, **options: Any) -> Recorder:
    unused = cast(Any, None)
    return Recorder(cast(Any, appender), unused, WriterRights(None, 10), unused, unused, 1.0, **options)


async def test_nothing_is_appended_outside_of_a_request() -> None:
    """Nobody would know what its principal may write."""
    appender = Appender()
    with pytest.raises(LookupError):
        await recorder_of(appender).record(KEY, b"content", [TagsAdded(at_us=1, tags=("a",))])
    assert appender.numbers == []


@pytest.mark.parametrize(("later_s", "is_same"), [(30, True), (90, False)])
async def test_content_is_the_same_statement_as_long_as_the_client_may_repeat_it(later_s: int, is_same: bool) -> None:
    now_us = [1_000 * SECOND_US]
    appender = Appender()
    recorder = recorder_of(appender, now_us=lambda: now_us[0])
    added = [TagsAdded(at_us=1, tags=("a",))]
    with recorder.responding(make_mocked_request("POST", "/"), Action.LOG):
        with pytest.raises(LogUnavailable):
            await recorder.record(KEY, b"content", added)
        now_us[0] += later_s * SECOND_US
        for _ in range(2):
            await recorder.record(KEY, b"content", added, wait=False)
    first, again, anew = appender.numbers
    assert (first == again) == is_same
    assert anew not in (first, again)
