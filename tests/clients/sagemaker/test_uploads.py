"""Uploads in parts, copies and bodies in chunks, as the unmodified boto3 sends them; and files through a restart."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from kit.clients import python_of
from kit.foreign import READING_KEY, own
from kit.sagemaker.server import KEY, Server
from kit.servers.up import running_up

Logged = dict[str, Any]
STEPS = ("large_files", "parted", "refused_parts", "copies", "chunked")


@pytest.fixture(scope="module")
def kept(server: Server) -> Logged:
    """What came of the steps of uploads."""
    return {name: one["value"] for name, one in server.told(*STEPS).items()}


def test_large_files_go_in_parts_and_come_in_ranges(kept: Logged) -> None:
    assert kept["large_files"] == {
        "is_same": True,
        "is_copied": True,
        "etag": True,
        "head": [True, "application/x-large", {"who": "me"}],
        "checksum": True,
        "open": [],
    }


def test_parts_are_one_object_when_they_are_completed(kept: Logged) -> None:
    found = kept["parted"]
    assert found["seen"] == found["sizes"]
    assert found["open"] == ["parted ü/&.bin"]
    assert found["before"] == ["404", 404], "until then nobody sees it"
    assert (found["is_same"], found["again"], found["late"]) == (True, True, ["NoSuchUpload", 404])


def test_what_cannot_be_completed_is_refused(kept: Logged) -> None:
    assert kept["refused_parts"] == {
        "small": ["EntityTooSmall", 400],
        "order": ["InvalidPartOrder", 400],
        "twice": ["InvalidPartOrder", 400],
        "etag": ["InvalidPart", 400],
        "missing": ["InvalidPart", 400],
        "none": ["MalformedXML", 400],
        "number": ["InvalidArgument", 400],
        "upload": ["NoSuchUpload", 404],
        "no_upload": ["NoSuchUpload", 404],
        "other_key": ["NoSuchUpload", 404],
        "part_number": ["InvalidArgument", 400],
        "part_md5": ["BadDigest", 400],
        "aborted": ["done", 204],
        "behind": ["NoSuchUpload", 404],
        "twice_aborted": ["NoSuchUpload", 404],
        "key": ["404", 404],
    }


def test_copies_have_the_bytes_and_the_metadata_that_are_wanted(kept: Logged) -> None:
    assert kept["copies"] == {
        "metadata": [[{"a": "1"}, "text/csv"], [{"b": "2"}, "binary/octet-stream"]],
        "etags": True,
        "content": "copied",
        "missing": ["NoSuchKey", 404],
        "no_bucket": ["NoSuchBucket", 404],
        "itself": ["InvalidRequest", 400],
        "if_match": ["PreconditionFailed", 412],
        "if_none": ["PreconditionFailed", 412],
        "done": ["done", 200],
    }


def test_bodies_in_chunks_are_kept_whole_or_not_at_all(kept: Logged) -> None:
    assert kept["chunked"] == {
        "whole": 200,
        "is_same": True,
        "encoding": None,
        "wrong_sum": 400,
        "no_sum": 400,
        "cut": 400,
        "short": 400,
        "long": 400,
        "no_length": 411,
    }


def test_files_and_parts_are_there_after_a_restart(tmp_path: Path) -> None:
    environment = own() | {"RUNSTREAM_API_KEYS": f"{KEY},{READING_KEY}:read"}
    data, errors = tmp_path / "data", tmp_path / "server.log"
    with running_up(data, environment=environment, errors=errors) as url:
        server = Server(url, python_of("sagemaker"))
        program = subprocess.Popen(
            server.command("half_uploaded"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=server.environment(),
        )
        assert program.stdout is not None
        assert program.stdout.readline() == "half\n"
    stored = {path.name for path in (data / "assets").glob("??/*")}
    with running_up(data, "--port", url.rpartition(":")[2], environment=environment, errors=errors):
        told, _ = program.communicate("go on\n", timeout=120)
        found = json.loads(told)["half_uploaded"]["value"]
        assert found == {"before": "before the restart", "is_whole": True, "buckets": ["half-uploaded"]}
    left = {path.name for path in (data / "assets").glob("??/*")}
    assert len(stored - left) == 1, "the bytes of the part are gone"
    assert len(left) == 2, "but for the two objects nothing is stored"
