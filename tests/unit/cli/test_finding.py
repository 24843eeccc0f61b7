"""Which run a word means, against an API that has many runs."""

from typing import Any, cast

import pytest

from runstream.api import API, NotFound
from runstream_infra.cli.exits import BadInput
from runstream_infra.cli.finding import find_run, find_runs


class _Run:
    def __init__(self, run: str, name: str) -> None:
        self.run, self.name = run, name


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
        word = (filter or '""').split('"')[1]
        by_name = filter is not None and filter.startswith("name =")
        return [one for one in reversed(self._runs) if (one.name == word if by_name else one.run.startswith(word))][
            :limit
        ]


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
