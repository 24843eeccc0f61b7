"""Comet's own client writes to a server without keys, which refuses what a browser could have sent for any page."""

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from kit.comet.processes import Writing, results_of, running_server, scenario, work_tree


def test_the_client_shows_that_it_is_none_of_a_page(client_python: Path, tmp_path: Path) -> None:
    """All methods that write, those by GET too; and a live experiment with files of every kind."""
    home = tmp_path / "client"
    home.mkdir()
    with running_server(tmp_path, key="") as url:
        writing = Writing(url, client_python, home, work_tree(tmp_path / "code"), tmp_path / "server.log")
        processes = {name: scenario(writing, name, url) for name in ("rest", "everything")}
        try:
            results = {name: results_of(writing, name, process) for name, process in processes.items()}
        finally:
            for process in processes.values():
                process.kill()
                process.wait()
        states = results["rest"]["states"]
        assert [states[name][1] for name in ("created", "archived", "restored")] == [False, True, False]
        assert states["beat"]["isAliveBeatDurationMillis"] > 0
        assert states["stopped"][0] != "running"
        assert (states["deleted"], states["both deleted"]) == (None, [None, None])
        for told in (json.dumps(results), (home / "everything.log").read_text()):
            assert "changes something" not in told
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"{url}/api/rest/v2/write/experiment/delete?experimentKey=x", timeout=120)
