"""What kinds of files the types of artifacts are."""

import pytest

from runstream_protocols.sagemaker.associations import kind_of_type


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ("ROCCurve", "sagemaker-roc-curve"),
        ("PrecisionRecallCurve", "sagemaker-precision-recall-curve"),
        ("ConfusionMatrix", "sagemaker-confusion-matrix"),
        ("Table", "sagemaker-table"),
        ("DataSet", "sagemaker-data-set"),
        ("text/csv", "sagemaker-artifact"),
        ("", "sagemaker-artifact"),
        ("x" * 62, "sagemaker-artifact"),
        ("Größe", "sagemaker-artifact"),
    ],
)
def test_a_type_that_is_a_word_is_a_kind(given: str, kind: str) -> None:
    assert kind_of_type(given) == kind
    assert len(kind) <= 100
