"""Stages of models, and the revisions that remarks record."""

from datetime import UTC, datetime
from typing import Any

import pytest

from runstream_protocols.mlaide.finding import own_metadata, type_of
from runstream_protocols.mlaide.stages import STAGES, revisions_of, stage_named, stage_of
from runstream_query.repositories.artifacts import ArtifactRecord, RemarkRecord

AT = datetime(2026, 1, 31, tzinfo=UTC)


def remark(text: str) -> RemarkRecord:
    return RemarkRecord(1, 0, 7, 0, AT, text)


@pytest.mark.parametrize(
    ("stages", "stage"),
    [
        ((), None),
        (("archive", "s"), None),
        (("NONE",), "NONE"),
        (("archive", "production"), "PRODUCTION"),
        (("Staging", "PRODUCTION"), "STAGING"),
    ],
)
def test_a_version_with_a_stage_is_a_model(stages: tuple[str, ...], stage: str | None) -> None:
    assert stage_of(stages) == stage


@pytest.mark.parametrize("wrong", ["", "BEST", None, 7, ["STAGING"]])
def test_what_is_no_stage(wrong: Any) -> None:
    assert stage_named(wrong) is None
    assert [stage_named(one.lower()) for one in STAGES] == list(STAGES)


def test_revisions_follow_each_other_whatever_else_is_remarked() -> None:
    texts = (
        '{"stage":"STAGING"}',
        '{"used_by":"r"}',
        '{"stage":["PRODUCTION"]}',
        '{"stage":"production","note":"good"}',
        '{"stage":"ABANDONED","note":7}',
        '{"note":"nothing"}',
    )
    found = [(one.old_stage, one.new_stage, one.note) for one in revisions_of([remark(text) for text in texts])]
    assert found == [
        ("NONE", "STAGING", None),
        ("STAGING", "PRODUCTION", "good"),
        ("PRODUCTION", "ABANDONED", None),
    ]


@pytest.mark.parametrize(
    ("text", "kind", "own"),
    [
        ('{"rows":"2","@type":"model"}', "model", {"rows": "2"}),
        ('{"@type":7,"@links":{}}', "dataset", {}),
        ("", "dataset", {}),
    ],
)
def test_metadata_of_ours_are_not_shown_and_tell_the_type(text: str, kind: str, own: dict[str, Any]) -> None:
    record = ArtifactRecord("w/p", "a", "w", "p", "dataset", "n", "", "", (), False, AT, AT, 1, 1, "1")
    whole, shown = own_metadata(text)
    assert (type_of(record, whole), shown) == (kind, own)
