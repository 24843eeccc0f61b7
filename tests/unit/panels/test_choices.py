"""What people choose in a panel: dropdowns, inputs and checkboxes take the panel's options."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runstream.errors import Invalid
from runstream.panel_context import VARIABLE, PanelContext
from runstream.panels import UI
from runstream.panels.folder import ITEMS

Chosen = Callable[..., tuple[UI, Callable[[], list[dict[str, Any]]]]]


@pytest.fixture
def chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Chosen:
    """A panel's `ui` with these options, and what is on its page."""

    def made(**options: Any) -> tuple[UI, Callable[[], list[dict[str, Any]]]]:
        path = tmp_path / "panel.json"
        path.write_text(PanelContext("w", "p", options=options).to_json())
        monkeypatch.setenv(VARIABLE, str(path))
        return UI(), lambda: [json.loads(line) for line in (tmp_path / ITEMS).read_text().splitlines()]

    return made


def test_the_first_is_chosen_where_nothing_is(chosen: Chosen) -> None:
    ui, items = chosen()
    assert ui.dropdown("Metric", ["loss", "acc"]) == "loss"
    assert ui.dropdown("Metric", ["loss", "acc"], index=-1) == "acc"
    assert ui.dropdown("Nothing", []) is None
    assert ui.dropdown("Several", ["a", "b"], multiple=True) == ["a"]
    assert ui.input("Text", "x") == "x"
    assert ui.checkbox("Smooth") is False
    assert [item["chosen"] for item in items()] == [["loss"], ["acc"], [], ["a"], ["x"], ["no"]]
    with pytest.raises(Invalid, match="index is 2, there are 2 options"):
        ui.dropdown("Metric", ["loss", "acc"], index=2)


def test_options_choose_by_text_or_value(chosen: Chosen) -> None:
    ui, items = chosen(Metric="acc", width=32, Several=["b", "c"], Text="y", Smooth="true")
    assert ui.dropdown("Metric", ["loss", "acc"]) == "acc"
    assert ui.dropdown("Width", [16, 32], key="width") == 32
    assert ui.dropdown("Metric", [3, 4], format_func=lambda value: "acc" if value == 4 else "loss") == 4
    assert ui.dropdown("Several", ["a", "b", "c"], multiple=True) == ["b", "c"]
    assert (ui.input("Text"), ui.checkbox("Smooth")) == ("y", True)
    assert items()[0] == {
        "kind": "control",
        "type": "dropdown",
        "label": "Metric",
        "option": "Metric",
        "choices": ["loss", "acc"],
        "chosen": ["acc"],
    }


def test_columns(chosen: Chosen) -> None:
    ui, items = chosen()
    left, right = ui.columns(2)
    right.display("b")
    left.display("a")
    ui.display("c")
    [second, first, plain] = items()
    assert (second["column"][1:], first["column"][1:], "column" in plain) == ([1, 2], [0, 2], False)
    assert second["column"][0] == first["column"][0]
    with pytest.raises(Invalid, match="give 1 or more"):
        ui.columns(0)


def test_a_choice_that_is_gone_is_passed_over_with_a_note(chosen: Chosen) -> None:
    ui, items = chosen(Metric="lost")
    assert ui.dropdown("Metric", ["loss", "acc"], index=1) == "acc"
    assert items()[0] == {"kind": "note", "text": "Metric: 'lost' is not among the choices"}


def test_outside_of_a_panel_texts_are_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    ui = UI()
    ui.display("a", 3)
    assert ui.dropdown("Metric", ["loss"]) == "loss"
    assert capsys.readouterr().out == "a\n3\n"
    with pytest.raises(Invalid, match="give text, markdown or html"):
        ui.display("a", format="pdf")
