"""Events of artifacts: keys, ids, and which files a version may have."""

import hashlib
from typing import Any

import pytest
from pydantic import ValidationError

from runstream.events import limits
from runstream.events.artifacts import (
    ArtifactCreated,
    ArtifactFile,
    ArtifactVersionLogged,
    ArtifactVersionUpdated,
    artifact_id,
    artifact_key,
    check_file_name,
)
from runstream.events.control import encode_event, key_of
from runstream.events.names import InvalidName, check_key

PLACE: dict[str, Any] = {"at_us": 1, "workspace": "w", "artifact_type": "model", "name": "m"}
SHA256 = "0" * 64


def file(name: str, **fields: Any) -> ArtifactFile:
    return ArtifactFile(name=name, **(fields or {"sha256": SHA256}))


def test_all_events_of_an_artifact_have_one_key() -> None:
    of_workspace = ArtifactCreated(**PLACE)
    of_project = ArtifactCreated(**PLACE, project="p")
    assert (key_of(of_workspace), key_of(of_project)) == ("w/m", "w/p")
    assert of_workspace.key == ArtifactVersionUpdated(**PLACE, ordinal=1).key == artifact_key("w", None, "m")
    longest = ArtifactCreated(at_us=1, workspace="w" * 127, artifact_type="t", name="n" * 127)
    assert check_key(longest.key) == longest.key
    with pytest.raises(ValidationError, match="at most 127"):
        ArtifactCreated(at_us=1, workspace="w", artifact_type="t", name="n" * 128)


def test_an_id_is_of_one_place_type_and_name() -> None:
    places = [
        ("w", None, "t", "n"),
        ("w", "n", "t", "n"),
        ("w", "p", "t", "n"),
        ("w", None, "n", "t"),
        ("wt", None, "t", "n"),
    ]
    assert len({artifact_id(*place) for place in places}) == len(places)
    # It is in tables and in addresses: it stays what it is.
    assert artifact_id("w", None, "t", "n") == hashlib.sha256(b"w\0\0t\0n").hexdigest()[:32]
    assert ArtifactCreated(**PLACE).artifact == artifact_id("w", None, "model", "m")


@pytest.mark.parametrize("name", ["a", "a/b.bin", "größe/日本 2.txt", "..a/b..", "-", "C:x", "a b/.c"])
def test_names_that_a_file_may_have(name: str) -> None:
    assert check_file_name(name) == name
    assert file(name).name == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "/etc/passwd",
        "a/",
        "a//b",
        ".",
        "..",
        "a/../b",
        "./a",
        "a\\b",
        "a\nb",
        "\0",
        " a",
        "a ",
        "\ud800",
        "ß" * 128,
    ],
)
def test_names_that_lead_elsewhere_or_cannot_be_written_are_refused(name: str) -> None:
    with pytest.raises(InvalidName):
        check_file_name(name)
    with pytest.raises(ValidationError):
        file(name)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"sha256": SHA256, "link": "s3://b/k"},
        {"sha256": SHA256.upper() + "A"},
        {"link": "no address"},
        {"link": "s3: //b"},
        {"link": "https://a/\nb"},
        {"link": "s3://b/k", "size_bytes": -1},
        {"sha256": SHA256, "content_type": ""},
    ],
)
def test_a_file_is_here_or_elsewhere(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ArtifactFile(name="a", **fields)


def test_files_of_a_version_can_stand_beside_each_other() -> None:
    beside = (file("a/b"), file("a/c"), file("ab", link="s3://b/k"))
    assert ArtifactVersionLogged(**PLACE, files=beside).files == beside
    for files, message in (
        ((file("a"), file("a")), "same name"),
        ((file("a/b"), file("a/b/c")), "would have to be a directory"),
        (tuple(file(f"{i}") for i in range(limits.MAX_ARTIFACT_FILES + 1)), "pack them into one archive"),
    ):
        with pytest.raises(ValidationError, match=message):
            ArtifactVersionLogged(**PLACE, files=files)


def test_a_version_with_all_the_files_that_it_may_have_fits_into_an_event() -> None:
    digest = hashlib.sha256(b"").hexdigest()
    files = tuple(file(f"{'x' * 70}/{i:06}", sha256=digest, size_bytes=2**40) for i in range(limits.MAX_ARTIFACT_FILES))
    assert len(encode_event(ArtifactVersionLogged(**PLACE, files=files))) < limits.MAX_EVENT_BYTES


@pytest.mark.parametrize(
    "fields",
    [
        {"version": "a/b"},
        {"version": ""},
        {"tags": ("x" * 201,)},
        {"aliases": tuple(f"{i}" for i in range(limits.MAX_LABELS + 1))},
        {"comment": "x" * (limits.MAX_COMMENT_CHARS + 1)},
        {"run": "-no-run"},
    ],
)
def test_metadata_of_a_version_is_bounded(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ArtifactVersionLogged(**PLACE, **fields)
