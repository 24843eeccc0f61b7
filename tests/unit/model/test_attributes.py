"""Events -> rows of attribute_states, asset_states and output."""

import json
import math
from typing import Any

import pytest

from runstream.events import control
from runstream_model.attributes import flattened, json_of, number_of, rows_from_events, text_of

WRITER = "00112233445566778899aabbccddeeff"


@pytest.mark.parametrize(
    ("value", "as_json", "text", "number"),
    [
        (3, "3", "3", 3.0),
        (2**53 + 1, "9007199254740993", "9007199254740993", 2.0**53),
        (10**400, "1" + "0" * 400, "1" + "0" * 400, math.inf),
        (-(10**400), "-1" + "0" * 400, "-1" + "0" * 400, -math.inf),
        (0.1, "0.1", "0.1", 0.1),
        (1e300, "1e+300", "1e+300", 1e300),
        (-0.0, "-0.0", "-0.0", -0.0),
        (math.inf, '"Infinity"', "Infinity", math.inf),
        (-math.inf, '"-Infinity"', "-Infinity", -math.inf),
        (True, "true", "true", 1.0),
        (False, "false", "false", 0.0),
        (None, "null", "null", None),
        ("adam", '"adam"', "adam", None),
        ("3", '"3"', "3", None),
        ("", '""', "", None),
        ("größe \u2028", '"größe \u2028"', "größe \u2028", None),
        ([1, math.nan, [math.inf]], '[1,"NaN",["Infinity"]]', '[1,"NaN",["Infinity"]]', None),
        ({"a": {"b": -math.inf}}, '{"a":{"b":"-Infinity"}}', '{"a":{"b":"-Infinity"}}', None),
    ],
)
def test_a_value_as_json_as_text_and_as_a_number(value: Any, as_json: str, text: str, number: float | None) -> None:
    assert (json_of(value), text_of(value)) == (as_json, text)
    assert repr(number_of(value)) == repr(number)  # which tells -0.0 from 0.0
    json.loads(as_json, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_nan_as_json_as_text_and_as_a_number() -> None:
    number = number_of(math.nan)
    assert (json_of(math.nan), text_of(math.nan)) == ('"NaN"', "NaN")
    assert number is not None
    assert math.isnan(number)


def test_nested_parameters_get_dotted_names() -> None:
    value = {"b": {"c": 1, "d": []}, "e": {}, "f": [{"g": 2}]}
    assert list(flattened("a", value)) == [("a.b.c", 1), ("a.b.d", []), ("a.e", {}), ("a.f", [{"g": 2}])]


def test_only_parameters_are_flattened_and_a_section_names_its_values() -> None:
    nested = {"x": {"y": 1}}
    rows = rows_from_events(
        "run",
        WRITER,
        [
            (1, control.ParametersLogged(at_us=5, values=nested)),
            (2, control.OthersLogged(at_us=6, values=nested)),
            (3, control.EnvironmentCaptured(at_us=7, section="git", values=nested)),
        ],
        part=2,
        offset=9,
    )
    assert [(row["kind"], row["name"], row["value"], row["at"]) for row in rows.attributes] == [
        ("parameter", "x.y", "1", 5),
        ("other", "x", '{"y":1}', 6),
        ("environment", "git.x", '{"y":1}', 7),
    ]
    assert all(
        (row["run"], row["part"], row["offset"], row["deleted"]) == ("run", 2, 9, False) for row in rows.attributes
    )


def test_the_last_word_on_a_key_is_the_only_row() -> None:
    rows = rows_from_events(
        "run",
        WRITER,
        [
            (1, control.ParametersLogged(at_us=1, values={"lr": 1, "a": {"b": 1}, "a.b": 2})),
            (2, control.OthersLogged(at_us=2, values={"lr": "other"})),
            (3, control.ParametersDeleted(at_us=3, names=("lr", "never there"))),
            (4, control.ParametersLogged(at_us=4, values={"lr": 3})),
            (5, control.ParametersDeleted(at_us=5, names=("a.b",))),
        ],
        0,
        0,
    )
    keyed = {(row["kind"], row["name"]): row for row in rows.attributes}
    assert len(keyed) == len(rows.attributes) == 4
    assert keyed["parameter", "lr"] | {"at": 4, "deleted": False, "number": 3.0} == keyed["parameter", "lr"]
    assert keyed["other", "lr"]["text"] == "other"
    assert keyed["parameter", "a.b"]["deleted"] is True
    assert keyed["parameter", "never there"]["deleted"] is True


def test_assets_and_their_tombstones() -> None:
    logged = control.AssetLogged(
        at_us=1, asset_id="x", name="n.png", kind="image", sha256="0" * 64, size_bytes=3, metadata={"loss": math.nan}
    )
    rows = rows_from_events("run", WRITER, [(1, logged), (2, control.AssetDeleted(at_us=2, asset_id="gone"))], 0, 4)
    kept, gone = rows.assets
    assert (kept["asset"], kept["metadata"], kept["step"], kept["deleted"]) == ("x", '{"loss":"NaN"}', None, False)
    assert (gone["asset"], gone["deleted"], gone["at"], gone["offset"]) == ("gone", True, 2, 4)
    assert kept.keys() == gone.keys()
    again = rows_from_events("run", WRITER, [(1, logged), (2, control.AssetDeleted(at_us=2, asset_id="x"))], 0, 4)
    assert [row["deleted"] for row in again.assets] == [True]


def test_what_is_known_of_an_asset_beyond_its_bytes_is_in_its_row() -> None:
    plain = {"at_us": 1, "asset_id": "x", "name": "n", "sha256": "0" * 64, "size_bytes": 3}
    facts = {"role": "graph", "location": "s3://b/n", "model": "net", "context": "train"}
    for given in ({}, facts):
        (row,) = rows_from_events("run", WRITER, [(1, control.AssetLogged(**plain | given))], 0, 4).assets
        assert {name: row[name] for name in facts} == dict.fromkeys(facts, "") | given


def test_output_keeps_every_piece() -> None:
    piece = control.OutputAppended(at_us=1, stream="stdout", text="same")
    rows = rows_from_events("run", WRITER, [(7, piece), (8, piece)], 1, 4)
    assert [(row["writer"], row["seq"], row["text"]) for row in rows.output] == [
        (0x0011223344556677, 7, "same"),
        (0x0011223344556677, 8, "same"),
    ]


def test_events_of_a_state_have_no_rows_here() -> None:
    rows = rows_from_events(
        "run",
        WRITER,
        [
            (1, control.RunArchived(at_us=1)),
            (2, control.ProjectDeleted(at_us=1, workspace="w", project="p")),
        ],
        0,
        0,
    )
    assert (rows.attributes, rows.assets, rows.output) == ([], [], [])
