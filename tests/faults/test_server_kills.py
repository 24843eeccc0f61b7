"""SIGKILL of the embedded server, at random and at the engine's own renames, under real trainers.

What every trainer's log() returned for is visible exactly once afterwards, value by value, and the read models equal
those that the log gives when it is folded again.
"""

import os
import random
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from kit.servers.embedded import Server, Trainers, check, rebuild_is_equal, wait_until_visible

#: Random kills, and kills at renames, of the default run. `make faults KILLS=1000` runs it longer.
KILLS = max(8, int(os.environ.get("RUNSTREAM_KILLS", "0")))
RENAME_KILLS = max(3, KILLS // 5)


@pytest.mark.timeout(900 + 6 * KILLS)
def test_random_kills_of_the_server_lose_and_double_nothing(tmp_path: Path) -> None:
    source = random.Random(3)
    data = tmp_path / "data"
    data.mkdir()
    with Server(data) as server, Trainers(tmp_path, server.url, count=3) as trainers:
        for _ in range(KILLS):
            # Some die before they have folded anything, some while they write, some while they drain a backlog.
            time.sleep(source.choice((0.0, 0.05, 0.2, 0.6)) * source.random())
            server.kill()
            server.start()
        trainers.finish()
        wait_until_visible(server.url, trainers.runs())
        server.stop()
    points = check(data, trainers)
    print(f"\nserver kills: {KILLS} at random; {points} points, 0 lost, 0 doubled")
    rebuild_is_equal(data)


@pytest.mark.timeout(900 + 12 * RENAME_KILLS)
def test_kills_at_the_engines_renames_lose_and_double_nothing(tmp_path: Path) -> None:
    strace = shutil.which("strace")
    assert strace, "this test injects kills with strace: install the package strace"
    if subprocess.run([strace, "-o", "/dev/null", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets no program trace another (ptrace), so no kill can be put at a rename")
    source = random.Random(5)
    renames = "rename,renameat,renameat2"
    data = tmp_path / "data"
    data.mkdir()
    with Server(data) as server, Trainers(tmp_path, server.url, count=2) as trainers:
        for _ in range(RENAME_KILLS):
            server.kill()
            # The engine's writing thread renames once an insert; strace counts for each thread by itself.
            inject = f"inject={renames}:signal=SIGKILL:when={source.randrange(1, 16)}"
            options = ("-f", "-qqq", "-o", "/dev/null", "-e", f"trace={renames}", "-e", inject)
            server.start(strace, *options, must_be_ready=False)
            # The trainers go on, so a thread of the engine comes to that rename, sooner or later.
            assert server.wait_for_death(120.0), f"no rename was the one to die at: {server.log()[-3000:]}"
            server.start()
            time.sleep(0.2)
        trainers.finish()
        wait_until_visible(server.url, trainers.runs())
        server.stop()
    points = check(data, trainers)
    print(f"\nserver kills: {RENAME_KILLS}, each at one of the engine's renames; {points} points, 0 lost, 0 doubled")
    rebuild_is_equal(data)
