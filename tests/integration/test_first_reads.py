"""The first requests of a server find everything loaded: an import would hold up the event loop, and all others."""

import importlib.util
import json
import subprocess

from kit import children


def test_no_first_request_has_the_loop_import_anything() -> None:
    assert importlib.util.find_spec("pandas"), "what pyarrow loads late has to be there to be seen"
    command = children.command("children.first_reads")
    done = subprocess.run(command, env=children.environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    imported = json.loads(done.stdout)
    assert len(imported) == 16
    assert {path: names for path, names in imported.items() if names} == {}
