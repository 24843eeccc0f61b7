"""The read models as they are declared."""

import pytest

from runstream.events.control import RunFinished, RunStarted, RunStatusChanged, WriterLost
from runstream_model.projections import PROJECTIONS, Projection
from runstream_model.writer_marks import WriterMark, has_ended

AT_US = 1_770_000_000_000_000


@pytest.mark.parametrize("projection", PROJECTIONS.values(), ids=PROJECTIONS)
def test_a_projection_is_whole(projection: Projection) -> None:
    names = [column.name for column in projection.columns]
    assert len(set(names)) == len(names)
    assert projection.version >= 1
    assert {*projection.key, "part", "offset"} <= set(names)
    assert all(column.meaning for column in projection.columns)
    assert all(column.nullable or column.internal for column in projection.columns if column.optional)
    if projection.view is None:
        assert not projection.view_where
        assert all(column.in_view for column in projection.columns)


def test_a_view_and_a_table_never_have_the_same_name() -> None:
    views = [projection.view for projection in PROJECTIONS.values() if projection.view is not None]
    assert len({*views, *PROJECTIONS}) == len(views) + len(PROJECTIONS)


def test_what_is_computed_is_shown_and_not_stored() -> None:
    runs = PROJECTIONS["run_states"]
    assert "duration_s" in [column.name for column in runs.visible]
    assert "duration_s" not in [column.name for column in runs.stored]
    assert "state" not in [column.name for column in runs.visible]
    assert "state" in [column.name for column in runs.viewed]


def test_a_writer_has_ended_unless_it_started_and_did_not_end_since() -> None:
    started = RunStarted(at_us=AT_US, workspace="w", project="p")
    changed = RunStatusChanged(at_us=AT_US, status="failed")
    finished = RunFinished(at_us=AT_US)
    lost = WriterLost(at_us=AT_US, reason="gone")
    without_heartbeats = RunStarted(at_us=AT_US, workspace="w", project="p", heartbeats=False)
    assert WriterMark().ended
    for before in (False, True):
        assert has_ended(before, []) is before
        assert has_ended(before, [changed]) is before
        assert has_ended(before, [started, changed]) is False
        assert has_ended(before, [started, finished, changed]) is True
        assert has_ended(before, [started, lost]) is True
        assert has_ended(before, [finished, started]) is False
        assert has_ended(before, [without_heartbeats, changed]) is True, "nobody waits for one"
        assert has_ended(before, [without_heartbeats, started]) is False
