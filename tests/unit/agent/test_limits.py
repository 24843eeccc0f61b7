"""What a run may take."""

import pytest

from runstream.agent.limits import RunLimits, ram_mb
from runstream.agent.supervisor import SupervisorSettings
from runstream.errors import Invalid


@pytest.mark.parametrize(
    ("wanted", "given", "less"),
    [(None, 1_000, False), (512, 512, False), (1, 64, False), (4_000, 4_000, False), (9_999_999, 4_000, True)],
)
def test_an_instance_type_gets_no_more_than_the_operator_gives(wanted: int | None, given: int, less: bool) -> None:
    memory_mb, sentence = RunLimits(memory_mb=1_000, max_memory_mb=4_000).memory_of(wanted)
    assert (memory_mb, bool(sentence)) == (given, less)
    assert not less or ("9999999" in sentence and "4000 MiB" in sentence)


def test_without_a_bound_the_machine_is_the_bound() -> None:
    assert RunLimits().memory_of(9_999_999)[0] == ram_mb() < 9_999_999


def test_settings_reach_the_supervisor_as_they_are() -> None:
    settings = SupervisorSettings("http://127.0.0.1:9", "/d", "host", RunLimits(memory_mb=100, max_memory_mb=200))
    assert SupervisorSettings.of_json(settings.to_json()) == settings
    with pytest.raises(Invalid, match="max_memory_mb of an agent is 63"):
        RunLimits(max_memory_mb=63)
