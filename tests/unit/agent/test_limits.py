"""What a run may take."""

import os
from pathlib import Path

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


MIB = 1 << 20


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": f"{100 * MIB}\n"}, 100),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, None),
        # The least of the groups above counts, whatever its own says.
        (
            {
                "proc/self/cgroup": "0::/pod/one\n",
                "sys/fs/cgroup/pod/one/memory.max": "max\n",
                "sys/fs/cgroup/pod/memory.max": f"{200 * MIB}\n",
                "sys/fs/cgroup/memory.max": f"{300 * MIB}\n",
            },
            200,
        ),
        # The first version, with the path of the host: the container sees its own group at the top.
        (
            {
                "proc/self/cgroup": "12:cpu,cpuacct:/docker/1\n4:memory:/docker/1\n0::/docker/1\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{400 * MIB}\n",
            },
            400,
        ),
        (
            {"proc/self/cgroup": "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{2**63 - 4096}"},
            None,
        ),
        ({"proc/self/cgroup": "nothing\n::\n", "sys/fs/cgroup/memory.max": ""}, None),
    ],
)
def test_a_container_has_the_memory_that_it_is_given(
    tmp_path: Path, files: dict[str, str], expected: int | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    machine = (os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")) >> 20
    assert ram_mb(tmp_path) == min(expected or machine, machine)


def test_settings_reach_the_supervisor_as_they_are() -> None:
    settings = SupervisorSettings("http://127.0.0.1:9", "/d", "host", RunLimits(memory_mb=100, max_memory_mb=200))
    assert SupervisorSettings.of_json(settings.to_json()) == settings
    with pytest.raises(Invalid, match="max_memory_mb of an agent is 63"):
        RunLimits(max_memory_mb=63)
