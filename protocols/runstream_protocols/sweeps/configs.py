"""What a sweep searches, and how. Pure."""

import json
import reprlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Final, Literal

from runstream_model.search.distributions import InvalidSpace
from runstream_model.search.searches import Search, SearchMethod
from runstream_model.search.spaces import Space
from runstream_model.search.stopping import Asha, InvalidRule, Rule, rule_in
from runstream_model.search.written import written_space
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.values import is_longer

#: Of one sweep: each request for the next looks at all of them, and at their runs.
MAX_TRIALS: Final = 2_000
MAX_RETRIES: Final = 10
_MAX_CONFIG_CHARS: Final = 100_000
_MAX_METRIC_CHARS: Final = 500
#: Kept in memory, of some megabytes at most.
_MAX_SPACES: Final = 16
_METHODS: Final[Mapping[str, SearchMethod]] = {"grid": "grid", "random": "random", "tpe": "model_based"}
#: What W&B calls a search by a model.
_SYNONYMS: Final = {"bayes": "tpe"}
_DEFAULTS: Final[Mapping[str, Any]] = {
    "goal": "minimize",
    "method": "random",
    "max_trials": None,
    "seed": None,
    "startup_trials": 10,
    "retries": 1,
    "early_stop": None,
}
_BRIEF: Final = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxother = 100


@dataclass(frozen=True, slots=True)
class Config:
    """A sweep as it is kept. `properties`: its members with all defaults; two sweeps are the same where these are."""

    properties: Mapping[str, Any]
    space_size: int | None
    #: How many trials it has at most.
    limit: int

    @property
    def metric(self) -> str:
        metric: str = self.properties["metric"]
        return metric

    @property
    def retries(self) -> int:
        """How often a trial may be given again whose run was lost."""
        return int(self.properties["retries"])

    @property
    def goal(self) -> Literal["minimize", "maximize"]:
        goal: Literal["minimize", "maximize"] = self.properties["goal"]
        return goal

    @property
    def rule(self) -> Rule | None:
        """By which rule trials end early; None: by none."""
        return _rule(self.properties)

    def loss(self, value: float) -> float:
        """Return what a value of the metric is worth: the less the better."""
        return -value if self.goal == "maximize" else value

    def search(self, sweep: str) -> Search:
        """Return the search of the sweep with this id."""
        given, seed = self.properties, self.properties["seed"]
        series = sweep if seed is None else f"seed {seed}"
        space = _space_of(json.dumps(given["space"]))
        return Search(space, _METHODS[given["method"]], series, minimum=given["startup_trials"])


def config_in(given: Mapping[str, Any]) -> Config:
    """Return what a request gives. Raises Refused where nothing can be searched by it."""
    _check_members(given)
    properties = {**_DEFAULTS, **{name: value for name, value in given.items() if value is not None}}
    if isinstance(method := properties["method"], str):
        properties["method"] = _SYNONYMS.get(method, method)
    _check(properties)
    if (rule := _rule(properties)) is not None:
        properties["early_stop"] = {"rule": "asha" if isinstance(rule, Asha) else "median", **asdict(rule)}
    return config_of(properties)


def config_of(properties: Mapping[str, Any]) -> Config:
    """Return the config of a sweep that is kept, or is about to be. Raises Refused."""
    try:
        size = _space_of(json.dumps(properties["space"])).size
    except InvalidSpace as error:
        raise Refused(str(error)[:500], name="space") from None
    method, most = properties["method"], properties["max_trials"]
    if method == "grid" and size is None:
        what = "a grid needs a finite space: give each range of numbers a step, or points"
        raise Refused(f"{what}, or use the method random", name="space")
    limits = [limit for limit in (size, most) if limit is not None]
    if not limits:
        raise Refused("max_trials is missing: the space has no end, so say how many trials to make", name="max_trials")
    if min(limits) > MAX_TRIALS:
        what = f"the sweep has {min(limits)} trials, at most {MAX_TRIALS} can be kept"
        raise Refused(f"{what}: give max_trials, or fewer values", name="max_trials")
    return Config(properties, size, min(limits))


@lru_cache(maxsize=_MAX_SPACES)
def _space_of(text: str) -> Space:
    """The space of its JSON. Each request about a sweep needs it, and `points` take a tenth of a second at most."""
    return written_space(json.loads(text))


def differences(kept: Config, given: Config) -> list[str]:
    """Return the names of the members that differ."""
    return [name for name in given.properties if _text(kept.properties.get(name)) != _text(given.properties[name])]


def _text(member: Any) -> str:
    """A member as JSON, where 1, 1.0 and true differ, as do spaces whose parameters stand in another order."""
    if not isinstance(member, Mapping):
        return json.dumps(member)
    return json.dumps([(name, json.dumps(value, sort_keys=True)) for name, value in member.items()])


def _check_members(given: Mapping[str, Any]) -> None:
    if is_longer(dict(given), _MAX_CONFIG_CHARS):
        raise Refused(f"the sweep has more than {_MAX_CONFIG_CHARS} characters: give shorter lists", name="config")
    known = {"space", "metric", *_DEFAULTS}
    if unknown := sorted(given.keys() - known):
        raise Refused(f"a sweep has no {unknown[0][:60]!r}: give some of {', '.join(sorted(known))}", name="config")


def _check(given: Mapping[str, Any]) -> None:
    space, metric = given.get("space"), given.get("metric")
    if not isinstance(space, dict):
        raise Refused(f"space is {_BRIEF.repr(space)}: give an object with a member for each parameter", name="space")
    if not isinstance(metric, str) or not 0 < len(metric) <= _MAX_METRIC_CHARS:
        raise Refused(f"metric is {_BRIEF.repr(metric)}: give the name of the metric that counts", name="metric")
    _check_one_of(given, "goal", ("minimize", "maximize"))
    _check_one_of(given, "method", tuple(_METHODS))
    _check_whole(given, "max_trials", 1, 2**31, optional=True)
    _check_whole(given, "seed", -(2**63), 2**63 - 1, optional=True)
    _check_whole(given, "startup_trials", 1, 1_000)
    _check_whole(given, "retries", 0, MAX_RETRIES)
    _rule(given)


def _rule(given: Mapping[str, Any]) -> Rule | None:
    try:
        return None if given["early_stop"] is None else rule_in(given["early_stop"])
    except InvalidRule as error:
        raise Refused(str(error), name="early_stop") from None


def _check_one_of(given: Mapping[str, Any], name: str, values: tuple[str, ...]) -> None:
    if given[name] not in values:
        raise Refused(f"{name} is {_BRIEF.repr(given[name])}: give one of {', '.join(values)}", name=name)


def _check_whole(given: Mapping[str, Any], name: str, least: int, most: int, *, optional: bool = False) -> None:
    value = given[name]
    if optional and value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise Refused(f"{name} is {_BRIEF.repr(value)}: give a whole number from {least} to {most}", name=name)
