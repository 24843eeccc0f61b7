"""What Comet's predicates mean, in plain Python over plain values and with SQL's third truth value."""

import math
from random import Random
from typing import Any

from hypothesis import strategies as st

from kit.oracles.filter_trees import EDGES_US, NAMES, NOW_US, NUMBERS, WORDS, random_run
from kit.oracles.filters import Run, duration_us, number_in
from runstream_query.filters.times import iso_text

RUNS = [random_run(f"run-{number}", Random(number)) for number in range(40)]
COMPARISONS = ["equal", "less", "less_or_equal", "greater", "greater_or_equal"]
TEXTS = ["contains", "begins_with", "ends_with"]
KINDS = {"params": "param", "log_other": "other", "env_details": "env"}
UNKNOWN = None

numbers = st.sampled_from(NUMBERS)
rules_of_metrics = st.tuples(st.just("metrics"), st.sampled_from(NAMES), st.sampled_from(COMPARISONS), numbers)
rules_of_values = st.tuples(
    st.sampled_from(sorted(KINDS)),
    st.sampled_from(NAMES),
    st.sampled_from(COMPARISONS),
    numbers | st.integers(-3, 3) | st.sampled_from([word for word in WORDS if word]),
)
rules_of_texts = st.tuples(
    st.sampled_from(sorted(KINDS)), st.sampled_from(NAMES), st.sampled_from(TEXTS), st.sampled_from(WORDS)
)
rules_between = st.tuples(
    st.sampled_from(["metrics", *sorted(KINDS)]),
    st.sampled_from(NAMES),
    st.just("between"),
    st.tuples(numbers, numbers).map(lambda ends: [str(end) for end in ends]),
)
rules_of_tags = st.sampled_from([word for word in WORDS if word]).map(lambda word: ("tag", word, "equal", word))
rules_of_times = st.tuples(
    st.just("metadata"),
    st.sampled_from(["start_server_timestamp", "end_server_timestamp"]),
    st.sampled_from(COMPARISONS),
    st.sampled_from(EDGES_US).map(lambda at_us: iso_text(at_us).replace("T", " ").replace("Z", "+00:00")),
)
rules_of_durations = st.tuples(
    st.just("metadata"), st.just("duration"), st.sampled_from(COMPARISONS), st.sampled_from([0, 1.5, 90, 7200])
)
rules_of_absence = st.tuples(
    st.sampled_from(["metrics", *sorted(KINDS)]),
    st.sampled_from(NAMES),
    st.sampled_from(["is_null", "is_not_null", "is_empty", "is_not_empty"]),
    st.none(),
)
Rule = tuple[str, str, str, Any]
plain = st.one_of(
    rules_of_metrics, rules_of_values, rules_of_texts, rules_between, rules_of_tags, rules_of_times, rules_of_durations
)
NEGATABLE = {"equal", "between", *TEXTS}


def _negated(rule: Rule) -> Rule:
    source, name, operator, value = rule
    return (source, name, f"not_{operator}", value) if operator in NEGATABLE else rule


rules = st.one_of(plain, plain.map(_negated), rules_of_absence)


def leaf(rule: Rule) -> dict[str, Any]:
    source, name, operator, value = rule
    return {"source": source, "field": name, "operator": operator, "value": value}


def group(condition: str, items: list[Any]) -> dict[str, Any]:
    return {"condition": condition, "rules": items, "valid": True}


trees = st.recursive(
    rules.map(leaf),
    lambda inner: st.builds(group, st.sampled_from(["AND", "OR"]), st.lists(inner, min_size=1, max_size=3)),
    max_leaves=6,
)


def passes(node: dict[str, Any], run: Run) -> bool | None:
    """SQL's result: true, false or unknown."""
    if "rules" not in node:
        return _passes_leaf(node, run)
    responses = [passes(rule, run) for rule in node["rules"]]
    decides: bool = node["condition"] == "OR"
    if decides in responses:
        return decides
    return UNKNOWN if UNKNOWN in responses else not decides


def _passes_leaf(rule: dict[str, Any], run: Run) -> bool | None:
    operator: str = rule["operator"]
    wanted = rule["value"]
    if rule["source"] == "tag":
        return (wanted in run.tags) != operator.startswith("not_")
    value = _value(rule["source"], rule["field"], run)
    match operator:
        case "is_null":
            return value is None
        case "is_not_null":
            return value is not None
        case "is_empty" | "is_not_empty":
            return UNKNOWN if value is None else (value == "") == (operator == "is_empty")
    if value is None:
        return UNKNOWN
    positive = operator.removeprefix("not_")
    return _true_of(value, positive, wanted) != (positive != operator)


def _value(source: str, name: str, run: Run) -> Any:
    match source, name:
        case "metrics", _:
            return run.metrics[name]["last"] if name in run.metrics else None
        case "metadata", "duration":
            return duration_us(run, NOW_US) / 1e6
        case "metadata", "start_server_timestamp":
            return _as_text(run.times["started"])
        case "metadata", "end_server_timestamp":
            return _as_text(run.times["ended"])
        case _:
            return run.logged[KINDS[source]].get(name)


def _as_text(at_us: int | None) -> str | None:
    """A time as a text that sorts as times do, in the form of the predicates."""
    if at_us is None:
        return None
    whole = iso_text(at_us).rstrip("Z").replace("T", " ")
    return "time " + (whole if "." in whole else f"{whole}.000000")


def _true_of(value: Any, operator: str, wanted: Any) -> bool:
    if isinstance(value, str) and value.startswith("time "):
        text = wanted.removesuffix("+00:00")
        return _ordered(value, operator, "time " + (text if "." in text else f"{text}.000000"))
    if operator in TEXTS:
        shown = _shown(value)
        return {
            "contains": wanted in shown,
            "begins_with": shown.startswith(wanted),
            "ends_with": shown.endswith(wanted),
        }[operator]
    if operator == "between":
        low, high = (float(end) for end in wanted)
        found = number_in(value)
        return found is not None and low <= found <= high
    if not isinstance(wanted, str):
        found = number_in(value)
        return found is not None and _ordered(found, operator, float(wanted))
    found, number = number_in(value), number_in(wanted)
    if isinstance(value, str) and found is not None and number is not None:
        return (operator == "equal" and value == wanted) or _ordered(found, operator, number)
    if isinstance(value, int | float):
        truth = isinstance(value, bool) and operator == "equal" and wanted.lower() == _shown(value)
        return truth or (number is not None and _ordered(float(value), operator, number))
    return _ordered(_shown(value).encode(), operator, wanted.encode())


def _ordered(left: Any, operator: str, right: Any) -> bool:
    if isinstance(left, float) and math.isnan(left) and math.isnan(right):
        return bool(operator == "equal")
    return bool(
        {
            "equal": left == right,
            "less": left < right,
            "less_or_equal": left <= right,
            "greater": left > right,
            "greater_or_equal": left >= right,
        }[operator]
    )


def _shown(value: Any) -> str:
    import json

    if isinstance(value, str):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
