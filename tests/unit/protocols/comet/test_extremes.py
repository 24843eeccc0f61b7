"""The smallest and the largest of what was logged under a name."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from runstream.events.control import AnyEvent, ParametersDeleted, ParametersLogged, encode_event
from runstream_model.past import LoggedEvent
from runstream_protocols.comet.reads.extremes import Extremes, extremes_of, extremes_of_run
from runstream_query.http.context import Context


def logged(*values: Any) -> Extremes | None:
    """The extremes of a parameter that was logged so, a second apart; of ParametersDeleted it was deleted."""
    events: list[AnyEvent] = [
        ParametersDeleted(at_us=at * 1_000_000, names=("p",))
        if value is ParametersDeleted
        else ParametersLogged(at_us=at * 1_000_000, values={"p": value})
        for at, value in enumerate(values)
    ]
    rows = [LoggedEvent(0, at, 0, "0" * 32, encode_event(event).decode()) for at, event in enumerate(events)]
    return extremes_of(rows).get("p")


class _Events:
    """A run with three records, of which it gives as many as it is asked for."""

    async def logs_again(self, *_: object) -> bool:
        return True

    async def of_key(self, scope: object, key: str, about: object, limit: int) -> list[LoggedEvent]:
        rows = [
            LoggedEvent(0, at, 0, "0" * 32, encode_event(ParametersLogged(at_us=at, values={"p": at})).decode())
            for at in range(3)
        ]
        return rows[:limit]


@pytest.mark.parametrize(("limit", "names"), [(3, ["p"]), (2, [])])
async def test_no_more_records_are_read_than_a_request_may_fold(limit: int, names: list[str]) -> None:
    async def off_loop(work: Any, *arguments: Any) -> Any:
        return work(*arguments)

    context = SimpleNamespace(
        repositories=SimpleNamespace(events=_Events()),
        settings=SimpleNamespace(max_past_events=limit),
        scope=None,
        off_loop=off_loop,
    )
    assert list(await extremes_of_run(cast(Context, context), "r", "parameter")) == names


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [
        ((16, 32, 24), ("16", 0), ("32", 1_000)),
        ((16, "32", 24.5), ("16", 0), ("32", 1_000)),
        ((9, "100"), ("9", 0), ("100", 1_000)),
        ((2, 1, 1, 2), ("1", 1_000), ("2", 0)),
        ((5, float("inf"), -float("inf")), ("-Infinity", 2_000), ("Infinity", 1_000)),
        ((1, ParametersDeleted, 5, 4), ("4", 3_000), ("5", 2_000)),
    ],
)
def test_numbers_have_extremes(values: tuple[Any, ...], low: tuple[str, int], high: tuple[str, int]) -> None:
    found = logged(*values)
    assert found is not None
    assert (found.low.text, found.low.ms) == low
    assert (found.high.text, found.high.ms) == high


@pytest.mark.parametrize(
    "values", [(1,), (1, "adam"), ("a", "b"), (1, None), (1, [2]), (1, float("nan")), (1, 2, ParametersDeleted, 3)]
)
def test_what_was_logged_once_or_has_no_order_has_none(values: tuple[Any, ...]) -> None:
    assert logged(*values) is None


def test_nested_parameters_have_extremes_by_their_dotted_names() -> None:
    events = [ParametersLogged(at_us=at, values={"opt": {"lr": lr, "name": "adam"}}) for at, lr in enumerate((2, 1))]
    rows = [LoggedEvent(0, at, 0, "0" * 32, encode_event(event).decode()) for at, event in enumerate(events)]
    assert {name: (one.low.text, one.high.text) for name, one in extremes_of(rows).items()} == {"opt.lr": ("1", "2")}
