"""A network that drops, delays, repeats, cuts and reorders requests between the real sender and the real server."""

import os
import time
from pathlib import Path

from kit.servers.embedded import Server, Trainers, check, rebuild_is_equal, wait_until_visible
from kit.servers.proxy import FaultyProxy

#: Requests that something is done to, and all kinds of faults among them. `make faults KILLS=1000` waits for more.
FAULTS = max(24, int(os.environ.get("RUNSTREAM_KILLS", "0")))


def test_a_faulty_network_loses_and_doubles_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with (
        Server(data) as server,
        FaultyProxy(server.url, seed=2) as proxy,
        Trainers(tmp_path, proxy.url, count=3) as trainers,
    ):
        deadline = time.monotonic() + 60 + FAULTS
        while (sum(proxy.faults.values()) < FAULTS or len(proxy.faults) < 8) and time.monotonic() < deadline:
            time.sleep(0.1)
        trainers.request_end()
        proxy.healthy = True
        trainers.finish()
        wait_until_visible(server.url, trainers.runs())
        server.stop()
    points = check(data, trainers)
    print(f"\nfaulty network: {dict(proxy.faults)}; {points} points, 0 lost, 0 doubled")
    assert len(proxy.faults) == 8, proxy.faults
    rebuild_is_equal(data)
