"""Configurations in the forms that people keep them in: what they become, with bounded work, and what is told."""

import argparse
import collections
import dataclasses
import enum
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import numpy as np
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.examples import examples
from runstream.client.content.plain import MAX_NAMES, Conversion


class Opt(str, enum.Enum):  # noqa: UP042 (its str() is not its value)
    ADAM = "adam"


class Plain(enum.Enum):
    LOW = 1


@dataclasses.dataclass
class Node:
    name: str
    parent: "Node | None" = None
    children: list["Node"] = dataclasses.field(default_factory=list)
    peer: Any = None


class Inner(pydantic.BaseModel):
    width: int = 3
    opt: Opt = Opt.ADAM
    hidden: str = pydantic.Field("secret", exclude=True)


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow", arbitrary_types_allowed=True)
    inner: Inner = Inner()
    node: Any = None

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def double(self) -> int:
        return 2 * self.inner.width


@attrs.define
class Slots:
    lr: float
    deep: Any


class OmegaLike(Mapping[str, Any]):
    """Reads as OmegaConf's DictConfig does: items of values that are missing raise."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def __getitem__(self, key: str) -> Any:
        if self._values[key] == "???":
            raise ValueError(f"missing mandatory value: {key}")
        value = self._values[key]
        return OmegaLike(value) if isinstance(value, dict) else value

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class Keyed:
    def keys(self) -> list[str]:
        return ["a"]

    def __getitem__(self, key: str) -> int:
        return 7


def parameters(values: object) -> dict[str, Any]:
    found = Conversion("parameter").parameters(values)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("value", "flat"),
    [
        (argparse.Namespace(lr=1), {"v.lr": 1}),
        (SimpleNamespace(lr=1, deep=SimpleNamespace(x=2)), {"v.lr": 1, "v.deep.x": 2}),
        (Slots(0.1, Slots(0.2, None)), {"v.lr": 0.1, "v.deep.lr": 0.2, "v.deep.deep": None}),
        (Inner(), {"v.width": 3, "v.opt": "adam"}),
        (
            Model(more=1, node=SimpleNamespace(x=1)),
            {"v.inner.width": 3, "v.inner.opt": "adam", "v.node.x": 1, "v.more": 1, "v.double": 6},
        ),
        (pydantic.RootModel[dict[str, int]]({"a": 1}), {"v.a": 1}),
        (pydantic.RootModel[list[int]]([1, 2]), {"v": [1, 2]}),
        (OmegaLike({"a": {"b": 1}, "c": "x"}), {"v.a.b": 1, "v.c": "x"}),
        (Keyed(), {"v.a": 7}),
        (collections.OrderedDict(a=1), {"v.a": 1}),
        ({}, {"v": {}}),
        (Opt.ADAM, {"v": "adam"}),
        (Plain.LOW, {"v": 1}),
        ({Opt.ADAM: 1}, {"v.adam": 1}),
        ([Opt.ADAM, Slots(1, 2), {Opt.ADAM: Node}], {"v": ["adam", {"lr": 1, "deep": 2}, {"adam": "Node"}]}),
        (Node, {"v": "Node"}),
        (Model, {"v": "Model"}),
        (Slots, {"v": "Slots"}),
        (dict, {"v": "dict"}),
        (np.float32, {"v": "float32"}),
        (len, {"v": "len"}),
        (range(3), {"v": [0, 1, 2]}),
        (collections.deque([1]), {"v": [1]}),
        (np.int64(3), {"v": 3}),
        (np.array(2.5), {"v": 2.5}),
        (True, {"v": True}),
        ("half \ud800", {"v": "half ?"}),
    ],
)
def test_every_form_of_configuration(value: Any, flat: dict[str, Any]) -> None:
    found = parameters({"v": value})
    assert found == flat
    assert [type(one) for one in found.values()] == [type(one) for one in flat.values()]
    json.dumps(found)


def test_integers_that_python_does_not_write() -> None:
    assert parameters({"v": 10**5000, "w": [10**5000]}) == {"v": hex(10**5000), "w": [hex(10**5000)]}


def test_the_forms_at_the_top() -> None:
    assert parameters(SimpleNamespace(a=1)) == parameters(argparse.Namespace(a=1)) == {"a": 1}
    assert parameters(Inner()) == {"width": 3, "opt": "adam"}

    class Settings:
        lr = 0.1

        def method(self) -> None: ...

    assert parameters(Settings) == {"lr": 0.1}
    for instances_only in (Node, Model, Slots, 3, "text", None, [1]):
        assert Conversion("parameter").parameters(instances_only) is None


def cyclic() -> list[Any]:
    twice: dict[str, Any] = {"lr": 1}
    twice |= {"a": twice, "b": [twice]}
    root = Node("root")
    children = [Node("left", root), Node("right", root)]
    root.children = children
    children[0].peer, children[1].peer = children[1], children[0]
    namespace = SimpleNamespace(lr=1)
    namespace.self = namespace
    model = Model()
    model.node = {"up": model}
    inside: list[Any] = [1]
    inside.append(inside)
    return [twice, root, {"lr": root, "other": root}, namespace, model, {"list": inside}]


@pytest.mark.parametrize("index", range(6))
def test_what_contains_itself_ends(index: int) -> None:
    conversion = Conversion("parameter")
    found = conversion.parameters(cyclic()[index])
    assert found is not None
    assert 0 < len(found) < 40
    assert len(json.dumps(found)) < 5000
    assert "contains itself" in " ".join(problem.message for problem in conversion.problems)


def shared(make: Any) -> Any:
    """A value with 2 ** 40 paths through it, none of which is a circle."""
    value = make(1, 1)
    for _ in range(40):
        value = make(value, value)
    return value


@pytest.mark.parametrize(
    "make",
    [
        lambda a, b: {"a": a, "b": b},
        lambda a, b: {"list": [a, b]},
        lambda a, b: SimpleNamespace(a=a, b=b),
        lambda a, b: Node("n", parent=a, peer=b),
        lambda a, b: Model(node=a, more=b),
        lambda a, b: OmegaLike({"a": {"x": a}, "b": [b]}),
    ],
)
def test_the_work_is_bounded(make: Any) -> None:
    conversion = Conversion("parameter")
    found = conversion.parameters({"first": 1, "v": shared(make)})
    assert found is not None
    assert found["first"] == 1
    assert 1 < len(found) <= MAX_NAMES
    assert conversion.problems
    assert len(conversion.problems) <= 1001


def test_endless_mappings_end() -> None:
    class Endless(Mapping[str, int]):
        def __getitem__(self, key: str) -> int:
            return 1

        def __iter__(self) -> Iterator[str]:
            number = 0
            while True:
                number += 1
                yield str(number)

        def __len__(self) -> int:
            return 1

    for convert in (Conversion.parameters, Conversion.values):
        conversion = Conversion("parameter")
        found = convert(conversion, {"before": 1, "v": Endless()})
        assert found is not None
        assert found["before"] == 1
        assert conversion.problems


def test_names_that_meet_are_told() -> None:
    conversion = Conversion("parameter")
    long = "x" * 600
    assert conversion.parameters({"a": {"b": 1}, "a.b": 2, 3: "x", "3": "y", long: 1, long + "y": 2}) == {
        "a.b": 2,
        "3": "y",
        "x" * 500: 2,
    }
    told = [problem.message for problem in conversion.problems]
    assert "parameter 'a.b' stands there twice, the last counts (2): rename one" in told
    assert "parameter '3' stands there twice, the last counts ('y'): rename one" in told
    assert sum("under the first 500 characters" in message for message in told) == 2
    assert sum("stands there twice" in message for message in told) == 3
    inner = Conversion("value")
    assert inner.values({"v": {1: "a", "1": "b"}}) == {"v": {"1": "b"}}
    assert "'v.1' stands there twice" in inner.problems[0].message


class Broken:
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("no object is bound")

    def __str__(self) -> str:
        raise RuntimeError("no text either")


@dataclasses.dataclass
class Unset:
    here: int = 1
    later: int = dataclasses.field(init=False)


def test_what_cannot_be_read_costs_only_itself() -> None:
    conversion = Conversion("parameter")
    values = {"a": 1, "bad": Broken(), "omega": OmegaLike({"x": "???", "y": 2}), "unset": Unset(), "": 3, "z": [4]}
    found = conversion.parameters(values)
    assert found is not None
    bad = found.pop("bad")
    assert isinstance(bad, str)
    assert found == {"a": 1, "omega.y": 2, "unset.here": 1, "z": [4]}
    told = " ".join(problem.message for problem in conversion.problems)
    for name in ("'omega.x'", "'unset.later'", "''", "'bad'"):
        assert f"parameter {name}" in told


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.sampled_from([Opt.ADAM, Plain.LOW, Node, len, np.float32(1), Path("x"), 1j])
)
trees = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=4) | st.integers(0, 3) | st.none(), inner, max_size=4)
        | st.builds(lambda a, b: SimpleNamespace(a=a, b=b), inner, inner)
        | st.builds(Slots, inner, inner)
        | st.builds(lambda a: Model(node=a), inner)
        | st.builds(lambda a: OmegaLike({"k": a}), inner)
    ),
    max_leaves=15,
)


@settings(deadline=None, max_examples=examples(200))
@given(st.dictionaries(st.text(max_size=4), trees, max_size=5))
def test_anything_becomes_json_and_keeps_its_neighbours(values: dict[str, Any]) -> None:
    flat, nested = Conversion("parameter").parameters(values), Conversion("value").values(values)
    assert flat is not None
    assert nested is not None
    for found in (flat, nested):
        json.dumps(found).encode()
        assert "" not in found
    assert set(nested) == {name.encode("utf-8", "replace").decode() for name in values if name}
    for name, value in values.items():
        if name and isinstance(value, bool | int | str) and not isinstance(value, enum.Enum):
            assert name in flat
