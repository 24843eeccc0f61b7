"""A key that is taken away: what waits in the spools goes on with another (docs/runbook.md)."""

from pathlib import Path

import runstream as rs
from runstream.sender.retarget import retarget_moved
from runstream.spool.format import Acked, WriterInfo

URL = "http://127.0.0.1:9"


def test_writers_of_the_same_server_get_the_new_key_in_the_middle_of_their_runs(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    run = rs.init(mode="offline", url=URL, api_key="old-key-old-key-old", dir=spool, system_metrics_s=0)
    run.log({"loss": 1.0})
    [folder] = (spool / "writers").iterdir()
    (folder / "acked").write_bytes(Acked(next_seq=1, offset=100).pack())

    assert retarget_moved(spool, URL, URL, "new-key-new-key-new") == 1
    info = WriterInfo.read(folder)
    assert (info.url, info.api_key) == (URL, "new-key-new-key-new")
    assert Acked.read(folder) == Acked(next_seq=1, offset=100), "it goes on where it was"
    assert retarget_moved(spool, URL, URL, "new-key-new-key-new") == 0, "nothing is left to change"
    run.finish()
