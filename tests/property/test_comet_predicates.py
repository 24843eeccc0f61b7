"""What Comet's predicates mean (`kit.oracles.predicates`) against the filter tree they become.

That the engine agrees with the tree is test_filter's business."""

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from kit.examples import examples
from kit.oracles.filter_trees import NOW_US
from kit.oracles.filters import holds
from kit.oracles.predicates import RUNS, Rule, group, leaf, passes, rules, trees
from runstream_protocols.comet.reads.predicates import Column, Predicate, expression_of_predicates, expression_of_tree
from runstream_query.filters import check


def found_by(expression: Any) -> set[str]:
    check(expression)
    return {run.id for run in RUNS if holds(expression, run, NOW_US)}


@given(trees)
@settings(max_examples=examples(400), deadline=None)
def test_a_search_finds_what_its_rules_are_true_of(tree: dict[str, Any]) -> None:
    whole = tree if "rules" in tree else group("AND", [tree])
    assert found_by(expression_of_tree(whole, ())) == {run.id for run in RUNS if passes(whole, run)}


@given(st.lists(st.tuples(rules, st.booleans()), min_size=1, max_size=5))
@settings(max_examples=examples(300), deadline=None)
def test_a_query_needs_all_predicates_and_one_of_the_negated_ones_of_a_source(
    given_rules: list[tuple[Rule, bool]],
) -> None:
    predicates = [Predicate(rule[0], group("AND", [leaf(rule)]), negated) for rule, negated in given_rules]
    wanted = set()
    for run in RUNS:
        sources = {predicate.source for predicate in predicates if predicate.negated}
        together = all(passes(dict(one.query), run) for one in predicates if not one.negated)
        either = all(
            any(passes(dict(one.query), run) for one in predicates if one.negated and one.source == source)
            for source in sources
        )
        if together and either:
            wanted.add(run.id)
    expression = expression_of_predicates(predicates, ())
    assert expression is not None
    assert found_by(expression) == wanted


@given(trees)
@example(leaf(("env_details", "loss", "equal", "NaN")))
@settings(max_examples=examples(200), deadline=None)
def test_a_source_that_the_client_left_out_is_looked_up_by_name_and_type(tree: dict[str, Any]) -> None:
    columns: list[Column] = []

    def bare(node: dict[str, Any]) -> dict[str, Any]:
        """The tree as the client sends it below a nested group: every name made unique, so that it can be found."""
        if "rules" in node:
            return {**node, "rules": [bare(rule) for rule in node["rules"]]}
        columns.append(Column(node["field"], node["source"], f"type of {node['source']}"))
        columns.append(Column(node["field"], "log_other", "another type"))
        return {key: value for key, value in node.items() if key != "source"} | {"type": f"type of {node['source']}"}

    stripped = group("AND", [bare(tree)])
    found, wanted = expression_of_tree(stripped, columns), expression_of_tree(group("AND", [tree]), ())
    assert repr(found) == repr(wanted)  # as texts: a NaN in them equals no other
