"""What can be said of single states before the newest of each run is known.

A table of states holds old states of a key beside the newest until merges take them away. To find the newest of every
run costs ten times what a look at all states does. So pages look first, with a weaker filter, and ask exactly only of
the runs that are left: a run whose newest states pass a filter has states that pass the weaker one.
"""

from typing import Final, assert_never

from runstream_query.filters.tree import (
    NAMED,
    And,
    Between,
    Compare,
    Expression,
    Field,
    IsNull,
    Not,
    OneOf,
    Or,
    Test,
    TextTest,
)

_RUNNING: Final = Compare(Field("status"), "=", "running")


def weakened(expression: Expression, named: bool) -> Expression | None:
    """An expression that holds for a state of every run that passes `expression`; None if only "true" is one.

    It is for `compile_for_states`. With `named` it also looks into metrics and logged values; without, it looks only
    at the states of runs. Duration is of the clock and not of a state; status too, but only where it is `running`.
    """
    match expression:
        case And(items):
            return _joined(And, [weak for item in items if (weak := weakened(item, named)) is not None])
        case Or(items):
            weak_items = [weak for item in items if (weak := weakened(item, named)) is not None]
            return _joined(Or, weak_items) if len(weak_items) == len(items) else None
        case Not(item):
            strong = _strengthened(item, named)
            return None if strong is None else Not(strong)
        case Compare() | OneOf() | Between() | TextTest() | IsNull():
            return _weakened_test(expression, named)
        case _:
            assert_never(expression)


def _strengthened(expression: Expression, named: bool) -> Expression | None:
    """An expression that fails for a state of every run that fails `expression`; None if only "false" is one."""
    match expression:
        case And(items):
            strong_items = [strong for item in items if (strong := _strengthened(item, named)) is not None]
            return _joined(And, strong_items) if len(strong_items) == len(items) else None
        case Or(items):
            return _joined(Or, [strong for item in items if (strong := _strengthened(item, named)) is not None])
        case Not(item):
            weak = weakened(item, named)
            return None if weak is None else Not(weak)
        case Compare() | OneOf() | Between() | TextTest() | IsNull():
            return _strengthened_test(expression, named)
        case _:
            assert_never(expression)


def _weakened_test(test: Test, named: bool) -> Expression | None:
    kind = test.field.kind
    if kind == "duration":
        return None
    if kind in NAMED:
        # That a value is missing, or is another one, says nothing about single states.
        return test if named and not _is_negation(test) else None
    return Or((test, _RUNNING)) if kind == "status" else test


def _strengthened_test(test: Test, named: bool) -> Expression | None:
    kind = test.field.kind
    if kind == "duration":
        return None
    if kind in NAMED:
        return test if named and _is_negation(test) else None
    return And((test, Not(_RUNNING))) if kind == "status" else test


def _is_negation(test: Test) -> bool:
    match test:
        case Compare(_, operator):
            return operator == "!="
        case OneOf(_, _, negated):
            return negated
        case IsNull(_, negated):
            return not negated
        case Between() | TextTest():
            return False
        case _:
            assert_never(test)


def _joined(kind: type[And] | type[Or], items: list[Expression]) -> Expression | None:
    return None if not items else items[0] if len(items) == 1 else kind(tuple(items))
