"""Options of `runstream panel run` that the panel does not read are told."""

from typing import Any

import pytest

from runstream_infra.cli.panels import unread_options

ITEMS: list[dict[str, Any]] = [
    {"kind": "text", "text": "Metrc"},
    {"kind": "control", "type": "dropdown", "label": "A metric", "option": "Metric"},
    {"kind": "control", "type": "checkbox", "label": "Log", "option": "Log"},
]


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({}, []),
        ({"Metric": "loss", "Log": True}, []),
        ({"Metrc": "x"}, ["the panel reads no option 'Metrc': did you mean Metric?"]),
        ({"Colour": "x", "Log": True}, ["the panel reads no option 'Colour': it reads Metric, Log"]),
    ],
)
def test_what_no_control_reads_is_told(chosen: dict[str, Any], told: list[str]) -> None:
    assert unread_options(chosen, ITEMS) == told


def test_a_panel_without_controls_reads_none() -> None:
    assert unread_options({"Metric": "x"}, []) == ["the panel reads no option 'Metric': it reads none"]
