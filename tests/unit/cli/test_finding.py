"""Which run a word means, against an API that has many runs."""

import json
import re
from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstream.api import API, NotFound
from runstream.display_names import begins_made, display_name, may_be_made
from runstream_infra.cli.exits import BadInput
from runstream_infra.cli.finding import beginnings, find_run, find_runs, short_ids
from runstream_query.filters.checks import MAX_TESTS


class _Run:
    def __init__(self, run: str, name: str) -> None:
        self.run, self.name = run, name or run
        self.display_name = display_name(self.name, run)


class _Api:
    """Reads runs by id, and lists them by name or by the beginning of an id, the newest first. Counts its requests."""

    def __init__(self, *runs: tuple[str, str]) -> None:
        self._runs = [_Run(*one) for one in runs]
        self.requests = 0

    def run(self, run: str) -> _Run:
        self.requests += 1
        for one in self._runs:
            if one.run == run:
                return one
        raise NotFound(f"no run has the id {run!r}", {"status": 404})

    def runs(self, filter: str | None = None, *, limit: int, **_: Any) -> list[_Run]:
        self.requests += 1
        tests = [_test(text) for text in (filter or "").split(" or ")]
        assert len(tests) <= MAX_TESTS
        return [one for one in reversed(self._runs) if any(test(one) for test in tests)][:limit]


def _test(text: str) -> Callable[[_Run], bool]:
    field, operator, rest = (text or 'id startswith ""').split(" ", 2)
    word = json.loads(rest)

    def holds(run: _Run) -> bool:
        value = run.name if field == "name" else run.run
        if operator == "matches":
            return re.search(word, value) is not None
        return value == word if operator == "=" else value.startswith(word)

    return holds


def test_a_name_is_found_however_many_ids_begin_like_it() -> None:
    api = _Api(("zz", "mlp"), *((f"mlp-{number}", "other") for number in range(50)))
    assert find_run(cast(API, api), "mlp").run == "zz"


def test_an_id_takes_one_request_and_is_no_name() -> None:
    api = _Api(("a", "b"), ("b", "a"))
    assert find_run(cast(API, api), "a").run == "a"
    assert api.requests == 1


def test_each_run_is_found_once() -> None:
    api = _Api(("abc", "first"), ("xyz", "second"))
    assert [run.run for run in find_runs(cast(API, api), ["first", "ab", "xyz"])] == ["abc", "xyz"]


def test_of_very_many_some_are_named() -> None:
    api = _Api(*((f"m{number}", "n") for number in range(50)))
    with pytest.raises(BadInput, match=r"several runs are called 'n' \(m49, m48, m47, m46, m45, \.\.\.\)"):
        find_run(cast(API, api), "n")


def test_the_beginning_of_a_name_is_enough_where_only_one_begins_so() -> None:
    api = _Api(("a1", "linear-lr3"), ("b2", "mlp-3"), ("c3", "mlp-30"), ("linear", "other"))
    assert find_run(cast(API, api), "linear-").run == "a1"
    assert find_run(cast(API, api), "linear").run == "linear", "an id comes before the beginning of a name"
    assert find_run(cast(API, api), "mlp-3").run == "b2", "a whole name comes before beginnings"
    with pytest.raises(BadInput, match=r"several runs have names that begin with 'mlp' \(mlp-30: c3, mlp-3: b2\)"):
        find_run(cast(API, api), "mlp")


def test_a_run_without_a_name_is_found_by_the_one_that_is_shown() -> None:
    one, other = "a1" * 16, "b2" * 16
    api = _Api((one, ""), (other, ""), ("c3", display_name("", other)[:-1] + "x"))
    assert find_run(cast(API, api), display_name("", other)).run == other
    named = _Api((one, ""), (other, display_name("", one)))
    assert find_run(cast(API, named), display_name("", one)).run == other, "a name that somebody gave counts first"


def test_the_beginning_of_a_name_that_is_shown_is_enough() -> None:
    geyser, other = "01a22c35c80474409a0e871054924a48", "b2" * 16
    assert (display_name("", geyser), display_name("", other)) == ("rare-geyser-969", "grand-robin-840")
    api = cast(API, _Api((geyser, ""), (other, ""), ("c3", "rarer"), ("d4", "grand-robin-big")))
    for word in ("rare-", "rare-geyser", "rare-geyser-", "rare-geyser-96", "rare-geyser-969"):
        assert find_run(api, word).run == geyser
    assert find_run(api, "grand-robin-8").run == other
    with pytest.raises(BadInput, match=f"names that begin with 'rare' .rarer: c3, rare-geyser-969: {geyser}."):
        find_run(api, "rare")
    with pytest.raises(BadInput, match=f"'grand-robin' .grand-robin-big: d4, grand-robin-840: {other}."):
        find_run(api, "grand-robin")
    with pytest.raises(BadInput, match="none begins so"):
        find_run(api, "rare-geyser-97")


def test_runs_without_a_name_are_looked_through_only_for_what_may_be_shown() -> None:
    api = _Api(("a1" * 16, ""))
    for word, requests in (("train", 4), ("rare-mlp", 4), ("mlp-3-", 4), ("rare-g", 5), ("rare-geyser-96", 6)):
        api.requests = 0
        with pytest.raises(BadInput):
            find_run(cast(API, api), word)
        assert api.requests == requests, word


@given(st.integers(0, 1 << 64))
def test_every_beginning_of_a_made_name_may_be_one(number: int) -> None:
    name = display_name(None, f"{number:032x}")
    assert all(begins_made(name[:length]) for length in range(1, len(name) + 1))
    assert not begins_made(name + "0000")
    assert not begins_made("x" + name)


def test_names_that_are_made_of_ids() -> None:
    made_id = "01a22c35c80474409a0e871054924a48"
    assert display_name("mine", made_id) == "mine"
    assert (
        display_name(None, made_id) == display_name("", made_id) == display_name(made_id, made_id) == "rare-geyser-969"
    )
    assert display_name(None, "train-7") == display_name("train-7", "train-7") == "train-7", "somebody chose the id"
    made = {display_name(None, f"{number:032x}") for number in range(1000)}
    assert len(made) > 990
    assert all(may_be_made(name) for name in made)
    assert not may_be_made("mlp-3")


@given(st.sets(st.text("01ab", min_size=1, max_size=12), min_size=1), st.data())
def test_beginnings_tell_runs_apart(known: set[str], data: st.DataObject) -> None:
    ids = data.draw(st.lists(st.sampled_from(sorted(known)), unique=True))
    for one, shown in zip(ids, beginnings(ids, known), strict=True):
        assert one.startswith(shown)
        alike = [other for other in known if other.startswith(shown)]
        assert shown == one or alike == [one]
        assert len(shown) == min(len(one), max(6, len(shown)))


def test_short_ids_find_their_runs_among_all_others() -> None:
    ids = [f"01a22c{number:03d}" + "f" * 20 for number in range(300)]
    api = _Api(*((one, "") for one in ids))
    shown = short_ids(cast(API, api), ids[::50])
    assert [len(one) for one in shown] == [9] * 6
    assert [find_run(cast(API, api), one).run for one in shown] == ids[::50]
    assert short_ids(cast(API, api), []) == []
    assert short_ids(cast(API, api), ids[:100]) == [one[:9] for one in ids[:100]]
    assert short_ids(cast(API, api), ids[:101]) == ids[:101]
