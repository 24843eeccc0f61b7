"""Every protocol keeps to its descriptor, and nothing outside of its folder knows it."""

import re
import subprocess
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from runstream_infra.cluster.front import is_written
from runstream_protocols.all import LOCATIONS, PROTOCOLS
from runstream_protocols.protocol import Location, Protocol, Side, side_of

ROOT = Path(__file__).resolve().parents[3]
#: Where a protocol's name may stand: its own folder and the list of all, what documents, tests and measures it, and the
#: Python API that offers the methods of Comet's page on panels.
KNOWING = (
    "protocols/runstream_protocols/all.py",
    "docs/",
    "tests/",
    "bench/",
    "examples/",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "sdk/runstream/api/",
    "sdk/runstream/panels/",
    # The client of sweeps is Runstream's own.
    "sdk/runstream/sweeping/",
    # Lines that users of each client copy from the page.
    "web/src/views/home/howto.ts",
    # Short names in queries, of facts that its client alone captures too.
    "sdk/runstream/query/literals.py",
    # Names of many products, whose keys are secrets.
    "sdk/runstream/capture/secret_words.py",
    # What logs hold never changes: how facts were written before they were events.
    "processors/runstream_model/upcasting.py",
    # Applied migrations never change: their checksums are compared.
    "processors/runstream_processors/store/migrations/",
    # The folders that pytest imports from.
    "pyproject.toml",
    # What fronts route: held equal to the locations by tests/unit/infra/test_manifests.py.
    "infra/compose/front.conf",
    "infra/k8s/base/ingress.yaml",
)

protocols = pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.name)


def tracked() -> Iterator[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return (ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file())


def naming(name: str) -> list[str]:
    """Return the files that have the word and may not."""
    word = re.compile(name.encode(), re.IGNORECASE)
    allowed = (f"protocols/runstream_protocols/{name}/", *KNOWING)
    return [
        path
        for path, content in ((str(one.relative_to(ROOT)), one.read_bytes()) for one in tracked())
        if not path.startswith(allowed) and (word.search(content) or word.search(path.encode()))
    ]


@protocols
def test_nothing_but_its_folder_and_the_list_knows_a_protocol(protocol: Protocol) -> None:
    assert naming(protocol.name) == []


def test_a_word_that_stands_elsewhere_is_found() -> None:
    assert "service/runstream_service/problems.py" in naming("rfc 9457")


@protocols
def test_a_protocol_is_named_as_its_folder(protocol: Protocol) -> None:
    assert (files("runstream_protocols") / protocol.name / "protocol.py").is_file()
    assert protocol.access.name == protocol.name


@protocols
def test_each_route_lies_at_its_side(protocol: Protocol) -> None:
    assert protocol.writes or protocol.reads
    for side, routes in ((Side.GATEWAY, protocol.writes), (Side.QUERY, protocol.reads)):
        for route in routes:
            assert side_of(route.path, protocol.locations) is side, route.path
            assert is_written(route.path) is (side is Side.GATEWAY), route.path


@protocols
def test_every_location_is_needed(protocol: Protocol) -> None:
    paths = [route.path for route in (*protocol.writes, *protocol.reads)]
    for location in protocol.locations:
        assert any(location.covers(path) for path in paths), location
    assert any(path.startswith(protocol.address) for path in paths)


@protocols
def test_open_paths_are_routes(protocol: Protocol) -> None:
    assert protocol.access.open_paths <= {route.path for route in (*protocol.writes, *protocol.reads)}


@protocols
def test_paths_with_tickets_are_of_the_protocol_alone(protocol: Protocol) -> None:
    for path in protocol.access.ticket_paths:
        assert path.endswith("/"), "it would open others that begin so"
        assert any(location.covers(path) for location in protocol.locations), path


def test_protocols_do_not_share_locations() -> None:
    paths = [location.path for location in LOCATIONS]
    assert len(set(paths)) == len(paths)


@pytest.mark.parametrize(
    ("path", "side"),
    [("/a/x", Side.GATEWAY), ("/a/b/x", Side.QUERY), ("/a", Side.QUERY), ("/c", Side.GATEWAY), ("/c/x", Side.QUERY)],
)
def test_the_longest_location_tells_the_side(path: str, side: Side) -> None:
    locations = [Location("/a/", Side.GATEWAY), Location("/a/b/", Side.QUERY), Location("/c", Side.GATEWAY)]
    assert side_of(path, locations) is side
