"""Artifacts and their versions: numbers, names, aliases, and what is refused."""

import dataclasses
from typing import Any

import pytest
from pydantic import ValidationError

from runstream.events import limits
from runstream.events.artifacts import (
    AddedFile,
    ArtifactCreated,
    ArtifactDeleted,
    ArtifactEvent,
    ArtifactFile,
    ArtifactFilesAdded,
    ArtifactUpdated,
    ArtifactVersionDeleted,
    ArtifactVersionLogged,
    ArtifactVersionRemarked,
    ArtifactVersionReserved,
    ArtifactVersionUpdated,
)
from runstream_model import artifact_state
from runstream_model.artifact_rows import ARTIFACTS, CONTENTS, FILES, OUTCOMES, REMARKS, VERSIONS, ArtifactRows
from runstream_model.artifact_state import ArtifactState, Decision, from_json, to_json
from runstream_model.artifacts import fold_artifact
from runstream_model.source import Source
from runstream_processors.store.tables import TABLES, encode_rows

PLACE: dict[str, Any] = {"workspace": "w", "project": None, "artifact_type": "model", "name": "m"}
FILE = ArtifactFile(name="a/b.bin", sha256="0" * 64, size_bytes=5)


def logged(at_us: int = 2, **fields: Any) -> ArtifactVersionLogged:
    return ArtifactVersionLogged(at_us=at_us, **PLACE, **fields)


def updated(ordinal: int, at_us: int = 3, **fields: Any) -> ArtifactVersionUpdated:
    return ArtifactVersionUpdated(at_us=at_us, **PLACE, ordinal=ordinal, **fields)


def remarked(ordinal: int, at_us: int = 9, **remark: Any) -> ArtifactVersionRemarked:
    return ArtifactVersionRemarked(at_us=at_us, **PLACE, ordinal=ordinal, remark=remark)


def reserved(at_us: int = 2, **fields: Any) -> ArtifactVersionReserved:
    return ArtifactVersionReserved(at_us=at_us, **PLACE, **fields)


def added(ordinal: int, *files: AddedFile, at_us: int = 4) -> ArtifactFilesAdded:
    return ArtifactFilesAdded(at_us=at_us, **PLACE, ordinal=ordinal, files=files)


def named(name: str, size_bytes: int = 5, sha256: str = "1" * 64) -> AddedFile:
    return AddedFile(name=name, sha256=sha256, size_bytes=size_bytes)


def after(*events: ArtifactEvent) -> tuple[ArtifactState, Decision]:
    """The state after the events, and what was decided about the last one."""
    decision = Decision(None)
    for event in events:
        decision = fold_artifact(decision.state, event)
    assert decision.state is not None
    return decision.state, decision


def test_versions_are_numbered_and_the_first_one_makes_the_artifact() -> None:
    state, decision = after(logged(5), logged(6, run="r", files=(FILE, ArtifactFile(name="c", link="s3://b/c"))))
    assert (decision.ordinal, decision.version, decision.refused) == (2, "2", "")
    assert (state.created_at_us, state.updated_at_us, state.next_ordinal) == (5, 6, 3)
    second = state.versions[2]
    assert (second.run, second.files, second.size_bytes) == ("r", 2, 5)


def test_a_text_that_a_version_has_is_refused_and_costs_no_number() -> None:
    before, _ = after(logged(version="1.0.0"))
    decision = fold_artifact(before, logged(version="1.0.0"))
    assert decision.state is before
    assert (decision.refused, decision.ordinal) == (artifact_state.VERSION_TAKEN, 1)
    assert fold_artifact(before, logged()).ordinal == 2


def test_a_number_that_is_somebodys_text_is_passed_over() -> None:
    state, _ = after(logged(version="2"), logged())
    assert {ordinal: version.version for ordinal, version in state.versions.items()} == {1: "2", 3: "3"}
    assert fold_artifact(state, logged(version="3")).refused == artifact_state.VERSION_TAKEN


def test_a_number_is_never_given_again() -> None:
    deleted = ArtifactVersionDeleted(at_us=3, **PLACE, ordinal=2)
    state, _ = after(logged(), logged(version="b", aliases=("best",)), deleted, logged(version="b"))
    assert list(state.versions) == [1, 3]
    assert state.aliases == {}
    gone, decision = after(logged(), logged(), ArtifactDeleted(at_us=4, **PLACE))
    assert gone.deleted
    assert [version.ordinal for version in decision.removed] == [1, 2]
    anew = fold_artifact(gone, logged(9, version="1"))
    assert (anew.ordinal, anew.version) == (3, "1")
    assert anew.state is not None
    assert (anew.state.created_at_us, anew.state.description, list(anew.state.versions)) == (9, "", [3])


def test_creating_what_is_there_is_refused_and_what_was_deleted_begins_afresh() -> None:
    created = ArtifactCreated(at_us=1, **PLACE, description="d", notes="n", tags=("a", "a", "b"), public=True)
    state, _ = after(created)
    assert (state.description, state.notes, state.tags, state.public) == ("d", "n", ("a", "b"), True)
    assert fold_artifact(state, created) == Decision(state, artifact_state.NAME_TAKEN)
    anew, _ = after(created, ArtifactDeleted(at_us=2, **PLACE), ArtifactCreated(at_us=3, **PLACE))
    assert anew == ArtifactState("w", None, "model", "m", 3, 3)


def test_an_update_keeps_what_it_leaves_out_and_an_empty_one_changes_nothing() -> None:
    state, _ = after(ArtifactCreated(at_us=1, **PLACE, description="d", tags=("a",)))
    changed, _ = after(
        ArtifactCreated(at_us=1, **PLACE, description="d", tags=("a",)), ArtifactUpdated(at_us=2, **PLACE, notes="n")
    )
    assert changed == dataclasses.replace(state, notes="n", updated_at_us=2)
    assert fold_artifact(changed, ArtifactUpdated(at_us=9, **PLACE, notes="n")).state is changed
    assert fold_artifact(changed, ArtifactUpdated(at_us=3, **PLACE, tags=())).state == dataclasses.replace(
        changed, tags=(), updated_at_us=3
    )


@pytest.mark.parametrize(
    "event",
    [
        ArtifactUpdated(at_us=1, **PLACE),
        ArtifactDeleted(at_us=1, **PLACE),
        updated(1),
        ArtifactVersionDeleted(at_us=1, **PLACE, ordinal=1),
    ],
)
def test_what_is_not_there_cannot_be_changed(event: ArtifactEvent) -> None:
    assert fold_artifact(None, event) == Decision(None, artifact_state.NO_SUCH_ARTIFACT)
    gone, _ = after(logged(), ArtifactDeleted(at_us=4, **PLACE))
    assert fold_artifact(gone, event) == Decision(gone, artifact_state.NO_SUCH_ARTIFACT)


def test_a_version_that_is_not_there_cannot_be_changed() -> None:
    state, _ = after(logged())
    for event in (updated(2, comment="c"), ArtifactVersionDeleted(at_us=3, **PLACE, ordinal=2)):
        assert fold_artifact(state, event) == Decision(state, artifact_state.NO_SUCH_VERSION, 2)


def test_an_alias_is_of_one_version_at_a_time() -> None:
    state, decision = after(logged(aliases=("best", "production")), logged(7, aliases=("best",)))
    assert state.aliases == {"best": 2, "production": 1}
    assert [(version.ordinal, version.aliases) for version in decision.changed] == [
        (1, ("production",)),
        (2, ("best",)),
    ]
    assert state.versions[1].updated_at_us == 7
    state, decision = after(
        logged(aliases=("best", "production")), logged(aliases=("best",)), updated(1, aliases_added=("best",))
    )
    assert state.aliases == {"best": 1, "production": 1}
    assert {version.ordinal for version in decision.changed} == {1, 2}


def test_labels_are_set_then_removed_then_added() -> None:
    state, _ = after(
        logged(tags=("a", "b"), stages=("x",), status="new"),
        updated(1, tags=("b", "c"), tags_removed=("c",), tags_added=("d", "b"), status="done", comment="c"),
    )
    version = state.versions[1]
    assert (version.tags, version.stages, version.status, version.comment) == (("b", "d"), ("x",), "done", "c")
    assert fold_artifact(state, updated(1, 99, tags=("b", "d"), status="done")) == Decision(state, "", 1, "1")


def test_labels_are_bounded() -> None:
    full = tuple(f"t{i}" for i in range(limits.MAX_LABELS))
    state, _ = after(logged(tags=full))
    assert fold_artifact(state, updated(1, tags_added=("one more",))).refused == artifact_state.TOO_MANY_LABELS
    assert fold_artifact(state, updated(1, tags_removed=("t0",), tags_added=("one more",))).refused == ""


def test_an_artifact_is_bounded() -> None:
    comment = "x" * 400
    state, _ = after(logged(comment=comment))
    state = dataclasses.replace(state, chars=state.chars + limits.MAX_ARTIFACT_CHARS - 1_000)
    refused = fold_artifact(state, logged(comment=comment))
    assert (refused.refused, refused.ordinal) == (artifact_state.ARTIFACT_FULL, 0)
    assert fold_artifact(state, updated(1, comment="x" * 900)).refused == artifact_state.ARTIFACT_FULL
    smaller = fold_artifact(state, updated(1, comment="")).state
    assert smaller is not None
    assert fold_artifact(smaller, logged(comment=comment)).ordinal == 2


def test_a_state_comes_back_from_its_json_and_an_old_one_gets_defaults() -> None:
    state, _ = after(logged(aliases=("best",), tags=("größe",)), logged(version="x"), updated(2, status="s"))
    assert from_json(to_json(state)) == state
    least = (
        '{"workspace":"w","project":null,"artifact_type":"t","name":"n","created_at_us":1,"updated_at_us":2,"new":3}'
    )
    assert from_json(least) == ArtifactState("w", None, "t", "n", 1, 2)


def test_a_remark_counts_and_changes_nothing_else_of_a_version() -> None:
    before, _ = after(logged(2))
    state, decision = after(logged(2), remarked(1, at_us=5, a=1), remarked(1, at_us=6, a=1))
    assert (decision.refused, decision.ordinal, decision.version) == ("", 1, "1")
    assert decision.changed == (dataclasses.replace(before.versions[1], remarks=2),)
    assert state.updated_at_us == before.updated_at_us
    assert from_json(to_json(state)) == state
    assert after(logged(2), remarked(2))[1].refused == artifact_state.NO_SUCH_VERSION
    assert fold_artifact(None, remarked(1)).refused == artifact_state.NO_SUCH_ARTIFACT
    full = dataclasses.replace(state, chars=limits.MAX_ARTIFACT_CHARS)
    assert fold_artifact(full, remarked(1)) == Decision(full, artifact_state.ARTIFACT_FULL, 1, "1")


def test_rows_fit_their_tables_and_a_refused_event_has_only_an_outcome() -> None:
    rows = ArtifactRows()
    known: dict[str, ArtifactState] = {}
    events: tuple[ArtifactEvent, ...] = (
        logged(version="1", files=(FILE,)),
        logged(version="1"),
        updated(1, comment="c"),
        remarked(1, checked=True, loss=float("nan")),
        remarked(2),
    )
    for offset, event in enumerate(events):
        rows.fold(known, event, Source("ab", offset, 3, offset), lambda table: True)
    taken = rows.take()
    assert {table: len(found) for table, found in taken.items()} == {
        OUTCOMES: 5,
        CONTENTS: 1,
        FILES: 0,
        REMARKS: 1,
        VERSIONS: 1,
        ARTIFACTS: 1,
    }
    for table, found in taken.items():
        assert [list(row) for row in found] == [list(TABLES[table])] * len(found)
        encode_rows(table, found)
    assert [(row["changed"], row["refused"]) for row in taken[OUTCOMES]] == [
        (True, ""),
        (False, artifact_state.VERSION_TAKEN),
        (True, ""),
        (True, ""),
        (False, artifact_state.NO_SUCH_VERSION),
    ]
    assert [taken[VERSIONS][0][name] for name in ("comment", "remarks", "offset")] == ["c", 1, 3]
    assert (taken[REMARKS][0]["remark"], taken[REMARKS][0]["seq"]) == ('{"checked":true,"loss":"NaN"}', 3)
    assert not any(rows.take().values())


def test_an_announced_version_has_its_number_and_text_and_is_no_version_yet() -> None:
    state, decision = after(logged(version="1.3.0"), reserved(aliases=("best",), run="r", metadata={"rows": 3}))
    assert (decision.ordinal, decision.version, decision.refused) == (2, "2.0.0", "")
    assert (decision.changed, decision.removed, sorted(state.versions)) == ((), (), [1])
    assert state.reserved[2].metadata == '{"rows":3}'
    assert from_json(to_json(state)) == state
    second = fold_artifact(state, reserved())
    assert (second.ordinal, second.version) == (3, "3.0.0")
    for taken in (reserved(version="2.0.0"), logged(version="2.0.0")):
        refusal = fold_artifact(state, taken)
        assert (refusal.state, refusal.refused, refusal.ordinal) == (state, "version taken", 2)


def test_an_announced_version_becomes_one_with_its_labels_and_run() -> None:
    state, decision = after(
        logged(aliases=("best",)),
        reserved(version="2.0.0", aliases=("best",), tags=("raw",), run="r"),
        updated(2, aliases_added=("new",)),
        logged(at_us=9, ordinal=2, files=(FILE,), tags=("seen",)),
    )
    version = state.versions[2]
    assert (version.version, version.run, version.files, version.size_bytes) == ("2.0.0", "r", 1, 5)
    assert (version.aliases, version.tags, version.created_at_us) == (("best", "new"), ("raw", "seen"), 9)
    assert (state.versions[1].aliases, state.reserved) == ((), {})
    assert [one.ordinal for one in decision.changed] == [1, 2]
    again = fold_artifact(state, logged(ordinal=2))
    assert (again.state, again.refused, again.version) == (state, "version taken", "2.0.0")


def test_an_announced_version_can_be_given_up() -> None:
    before, _ = after(reserved())
    state, decision = after(reserved(), ArtifactVersionDeleted(at_us=3, **PLACE, ordinal=1))
    assert (decision.ordinal, decision.version, decision.removed) == (1, "1.0.0", ())
    assert fold_artifact(state, logged(ordinal=1)).refused == "no such version"
    assert fold_artifact(state, reserved()).ordinal == before.next_ordinal


def test_announcements_of_the_day_before_and_too_many_of_them_are_given_up() -> None:
    day_us = 24 * 3600 * 1_000_000
    state, _ = after(reserved(1), reserved(2), reserved(day_us + 2))
    assert sorted(state.reserved) == [2, 3]
    large = {"text": "x" * 200_000}
    state, _ = after(*(reserved(metadata=large) for _ in range(9)))
    assert sorted(state.reserved) == [6, 7, 8, 9]
    assert fold_artifact(state, logged(ordinal=5)).refused == "no such version"


def test_an_announced_version_has_no_room_for_more_labels_than_a_version() -> None:
    labels = tuple(map(str, range(limits.MAX_LABELS)))
    state, _ = after(reserved(tags=labels))
    assert fold_artifact(state, logged(ordinal=1, tags=("more",))).refused == "too many labels"


def test_files_are_added_to_an_open_version_and_the_last_of_a_name_counts() -> None:
    state, decision = after(
        logged(open=True, files=(FILE,)), added(1, named("../x", 7)), added(1, named("../x", 2), named("y", 3), at_us=8)
    )
    version = state.versions[1]
    assert (version.files, version.size_bytes, version.is_open, version.updated_at_us) == (3, 10, True, 8)
    assert (decision.ordinal, decision.version, decision.refused) == (1, "1", "")
    assert decision.changed == (version,)
    assert (state.updated_at_us, state.chars) == (8, version.chars)
    assert from_json(to_json(state)) == state


def test_files_of_a_sealed_version_and_of_none_are_refused() -> None:
    state, _ = after(logged(), logged(open=False), logged(open=True))
    for ordinal in (1, 2):
        refused = fold_artifact(state, added(ordinal, named("x")))
        assert refused == Decision(state, artifact_state.VERSION_SEALED, ordinal, str(ordinal))
    assert fold_artifact(state, added(4, named("x"))) == Decision(state, artifact_state.NO_SUCH_VERSION, 4)
    assert fold_artifact(None, added(1, named("x"))).refused == artifact_state.NO_SUCH_ARTIFACT
    gone = fold_artifact(state, ArtifactVersionDeleted(at_us=5, **PLACE, ordinal=3)).state
    assert fold_artifact(gone, added(3, named("x"))).refused == artifact_state.NO_SUCH_VERSION


def test_an_announced_version_is_logged_as_open() -> None:
    state, _ = after(reserved(), logged(ordinal=1, open=True), added(1, named("x")))
    assert (state.versions[1].files, state.versions[1].is_open) == (1, True)


def test_an_open_version_has_so_many_files_and_a_replaced_one_costs_room() -> None:
    names = [named(str(number)) for number in range(limits.MAX_ARTIFACT_FILES)]
    state, _ = after(logged(open=True), added(1, *names))
    refused = fold_artifact(state, added(1, named("one more")))
    assert refused == Decision(state, artifact_state.TOO_MANY_FILES, 1, "1")
    again = fold_artifact(state, added(1, named("0", 9))).state
    assert again is not None
    assert (again.versions[1].size_bytes, again.chars > state.chars) == (state.versions[1].size_bytes + 4, True)
    full = dataclasses.replace(state, chars=limits.MAX_ARTIFACT_CHARS)
    assert fold_artifact(full, added(1, named("0"))).refused == artifact_state.ARTIFACT_FULL


def test_an_event_that_adds_files_is_a_row_of_its_own() -> None:
    rows, known = ArtifactRows(), dict[str, ArtifactState]()
    events: tuple[ArtifactEvent, ...] = (
        logged(open=True),
        added(1, named("a", 1), named("b"), named("a", 3, "2" * 64)),
        added(2, named("x")),
    )
    for offset, event in enumerate(events):
        rows.fold(known, event, Source("ab", offset, 3, offset), lambda table: True)
    (row,) = (taken := rows.take())[FILES]
    assert list(row) == list(TABLES[FILES])
    encode_rows(FILES, [row])
    assert (row["ordinal"], row["offset"], row["seq"]) == (1, 1, 1)
    assert (row["file_names"], row["file_sizes"], row["file_sha256s"][0]) == (["a", "b"], [3, 5], "2" * 64)
    (version,) = taken[VERSIONS]
    assert (version["open"], version["files"], version["size_bytes"]) == (True, 2, 8)
    assert [one["refused"] for one in taken[OUTCOMES]] == ["", "", artifact_state.NO_SUCH_VERSION]


@pytest.mark.parametrize("name", ["../../data/x.csv", "/etc/passwd", "a\\b", " x ", "größe", "a//b", "."])
def test_a_file_of_an_open_version_may_have_any_name(name: str) -> None:
    assert added(1, named(name)).files[0].name == name


@pytest.mark.parametrize("name", ["", "a\0b", "\ud800", "x" * (limits.MAX_FILE_NAME_CHARS + 1)])
def test_a_name_that_nothing_can_carry_is_none(name: str) -> None:
    with pytest.raises(ValidationError):
        named(name)
