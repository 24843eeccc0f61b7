"""What a sender says in the place of a writer that is dead."""

from pathlib import Path

import pytest

from kit.sending.spool_maker import writer_info
from runstream.events.control import WriterLost
from runstream.sender.ends import last_event


@pytest.mark.parametrize(("now_us", "lost_us"), [(900, 900), (500, 500), (100, 500)])
def test_a_writer_is_not_lost_before_it_began(tmp_path: Path, now_us: int, lost_us: int) -> None:
    """The machine's clock may have been set back meanwhile."""
    event = last_event(tmp_path, writer_info("a" * 32, "http://127.0.0.1:1", created_us=500), 3, now_us)
    assert isinstance(event, WriterLost)
    assert event.at_us == lost_us
