"""Control events: what is refused, what JSON keeps, how a retired version is read."""

import json
import math
from collections.abc import Mapping
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from kit.examples import examples
from runstream.events import control, limits
from runstream.events.control import EVENT_TYPES, OthersLogged, RunArchived, decode_event, encode_event
from runstream.events.upcast import UPCASTS, upcast


def test_every_event_has_a_tag_of_its_own_named_like_its_model() -> None:
    models = get_args(control.AnyEvent)
    assert len(EVENT_TYPES) == len(models)
    for tag, model in EVENT_TYPES.items():
        words = "".join(f"_{char.lower()}" if char.isupper() else char for char in model.__name__).strip("_")
        assert tag.rpartition(".v")[0] == words
        assert model.__doc__


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "run_archived.v1", "at_us": limits.MAX_AT_US + 1},
        {"type": "run_archived.v1", "at_us": -1},
        {"type": "run_archived.v1", "at_us": 1.5},
        {"type": "points_dropped.v1", "at_us": 1, "count": 2**63, "reason": "x"},
        {"type": "points_dropped.v1", "at_us": 1, "count": 0, "reason": "x"},
        {"type": "run_started.v1", "at_us": 1, "workspace": "w", "project": "p", "resumed_at_step": 2**63},
        {"type": "run_started.v1", "at_us": 1, "workspace": "w", "project": "a/b"},
        {"type": "run_started.v1", "at_us": 1, "workspace": " w", "project": "p"},
        {"type": "run_started.v1", "at_us": 1, "workspace": "w", "project": "p", "experiment": ""},
        {"type": "run_started.v1", "at_us": 1, "workspace": "w", "project": "ß" * 64},
        {"type": "run_started.v1", "at_us": 1, "workspace": "w", "project": "p", "group": "x" * 251},
        {"type": "run_started.v1", "at_us": 1, "workspace": "w", "project": "p", "job_type": 7},
        {"type": "parameters_logged.v1", "at_us": 1, "values": {"": 1}},
        {"type": "tags_added.v1", "at_us": 1, "tags": ["x" * 201]},
        {"type": "asset_logged.v1", "at_us": 1, "asset_id": "a", "name": "n", "sha256": "0" * 63, "size_bytes": 0},
        {"type": "output_appended.v1", "at_us": 1, "stream": "stdin", "text": ""},
    ],
)
def test_what_no_column_could_hold_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        decode_event(json.dumps(fields))


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=examples(200), deadline=None)
@given(st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1, max_size=5), JSON_VALUES, max_size=4))
def test_values_come_back_exactly(values: dict[str, Any]) -> None:
    event = OthersLogged(at_us=1, values=values)
    data = encode_event(event)
    decoded = decode_event(data)
    assert decoded == event
    assert repr(decoded) == repr(event)  # 1, 1.0 and True are equal, and so are 0.0 and -0.0; their texts are not
    assert encode_event(decoded) == data


def test_nan_and_a_value_that_is_none_come_back() -> None:
    decoded = decode_event(encode_event(OthersLogged(at_us=1, values={"nan": math.nan, "none": None})))
    assert isinstance(decoded, OthersLogged)
    assert math.isnan(decoded.values["nan"])
    assert decoded.values["none"] is None


def test_half_of_a_surrogate_pair_costs_one_character_not_the_event() -> None:
    event = OthersLogged(at_us=1, values={"path": "data-\udcff.csv"})
    assert decode_event(encode_event(event)) == OthersLogged(at_us=1, values={"path": "data-?.csv"})


def test_what_json_does_not_know_is_refused_when_it_is_encoded() -> None:
    with pytest.raises(TypeError):
        encode_event(OthersLogged(at_us=1, values={"x": object()}))


def test_unknown_fields_are_passed_over() -> None:
    assert decode_event('{"type":"run_archived.v1","at_us":1,"by":"a later build"}') == RunArchived(at_us=1)


def _renamed(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "run_archived.v1", "at_us": fields["when_us"]}


def test_decode_event_reads_a_retired_version() -> None:
    retired = '{"type":"run_shelved.v1","when_us":7}'
    assert decode_event(retired, {"run_shelved.v1": _renamed}) == RunArchived(at_us=7)
    with pytest.raises(ValidationError, match="union_tag_invalid"):
        decode_event(retired)


def test_upcasting_goes_step_by_step_and_ends() -> None:
    again = {"a.v1": lambda fields: {**fields, "type": "a.v2"}, "a.v2": lambda fields: {**fields, "type": "a.v3"}}
    assert upcast({"type": "a.v1", "x": 1}, again) == {"type": "a.v3", "x": 1}
    present = {"type": "a.v3"}
    assert upcast(present, again) is present
    with pytest.raises(ValueError, match="leads back to itself"):
        upcast({"type": "a.v1"}, {"a.v1": lambda fields: fields})


def test_no_retired_tag_is_still_an_event() -> None:
    assert UPCASTS.keys() & EVENT_TYPES.keys() == set()
