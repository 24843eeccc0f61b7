"""What earlier builds kept in names and metadata is understood as the fact that it was."""

from typing import Any

import pytest

from runstream.events import control, roles
from runstream.events.artifacts import ArtifactVersionLogged, ArtifactVersionRemarked
from runstream.events.control import AssetLogged
from runstream_model.past import LoggedEvent
from runstream_model.upcasting import understood


def asset(asset_id: str = "a", **changes: Any) -> AssetLogged:
    plain = {"at_us": 1, "asset_id": asset_id, "name": "n", "sha256": "0" * 64, "size_bytes": 3}
    return AssetLogged(**plain | changes)


@pytest.mark.parametrize(
    ("asset_id", "role"),
    [
        ("comet-code", roles.CODE),
        ("comet-graph", roles.GRAPH),
        ("comet-git-patch", roles.PATCH),
        ("comet-html-00aa", roles.PAGE),
        ("comet-other", None),
        ("code", None),
    ],
)
def test_an_id_gave_a_file_its_role(asset_id: str, role: str | None) -> None:
    event = understood(asset(asset_id, metadata={"override": True}))
    assert event == asset(asset_id, role=role, metadata={"override": True})


def test_a_role_that_is_given_stays() -> None:
    event = asset("comet-code", role="of a later build")
    assert understood(event) is event


@pytest.mark.parametrize("section", ["comet", "git"])
@pytest.mark.parametrize(
    ("values", "project"),
    [
        ({"links.w/p": True}, "p"),
        ({"links.w/größe 1.0": True}, "größe 1.0"),
        ({"links.w/p": False}, None),
        ({"links.w/p": 1}, None),
        ({"links.w/p": True, "pid": 7}, None),
        ({"links.w": True}, None),
        ({"links.w/a/b": True}, None),
        ({"w/p": True}, None),
        ({}, None),
    ],
)
def test_a_fact_of_the_environment_linked_a_run(section: str, values: dict[str, Any], project: str | None) -> None:
    event = control.EnvironmentCaptured(at_us=5, section=section, values=values)
    if project is None or section != "comet":
        assert understood(event) is event
    else:
        assert understood(event) == control.RunLinked(at_us=5, workspace="w", project=project)


def version(**changes: Any) -> ArtifactVersionLogged:
    about = {"workspace": "w", "project": None, "artifact_type": "model-remarks", "name": "net"}
    return ArtifactVersionLogged(**{"at_us": 5, **about, "metadata": {"of": 2, "metadata": {"a": 1}}, **changes})


def test_a_version_of_another_artifact_was_a_remark() -> None:
    assert understood(version()) == ArtifactVersionRemarked(
        at_us=5, workspace="w", artifact_type="model", name="net", ordinal=2, remark={"metadata": {"a": 1}}
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"artifact_type": "model"},
        {"project": "p"},
        {"metadata": {"metadata": {"a": 1}}},
        {"metadata": {"of": "2"}},
        {"metadata": {"of": True}},
        {"metadata": {"of": 0}},
    ],
)
def test_other_versions_were_no_remarks(changes: dict[str, Any]) -> None:
    event = version(**changes)
    assert understood(event) is event


def test_metadata_gave_a_file_its_location_and_its_model() -> None:
    old = asset(metadata={"@link": "s3://b/n", "@model": "net", "epoch": 3})
    assert understood(old) == asset(location="s3://b/n", model="net", metadata={"epoch": 3})
    assert understood(asset(metadata={"@link": ""})) == asset()
    assert old.metadata["@link"] == "s3://b/n", "events never change"


@pytest.mark.parametrize(
    "event",
    [
        asset(metadata={"@link": 5, "@model": None, "link": "s3://b/n"}),
        asset(location="s3://b/n", model="net", metadata={"@link": "x", "@model": "y"}),
        control.AssetDeleted(at_us=1, asset_id="comet-code"),
        control.RunDeleted(at_us=1),
    ],
)
def test_everything_else_is_what_it_was(event: control.AnyEvent) -> None:
    assert understood(event) is event


def test_what_was_understood_is_understood_as_itself() -> None:
    once = understood(asset("comet-graph", metadata={"@link": "s3://b/n", "@model": "net"}))
    assert understood(once) is once


def test_the_past_is_folded_from_what_is_understood() -> None:
    body = control.encode_event(asset("comet-code")).decode()
    assert LoggedEvent(0, 0, 0, "0" * 32, body).event() == asset("comet-code", role=roles.CODE)
