"""What Comet's client gives to create an optimizer, and the search that it means. Pure."""

import json
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal, get_args

from runstream_model.search.distributions import InvalidSpace
from runstream_model.search.searches import Search, SearchMethod, coarse_space
from runstream_model.search.spaces import Space
from runstream_protocols.comet.optimizer.spaces import space_in
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.payloads import Payload
from runstream_protocols.kit.values import is_longer

Algorithm = Literal["bayes", "grid", "random"]
ALGORITHMS: Final[tuple[Algorithm, ...]] = get_args(Algorithm)
#: Of one optimizer: each request for the next looks at all of them.
MAX_ASSIGNMENTS: Final = 10_000
_MAX_CONFIG_CHARS: Final = 100_000
_MAX_GRID_SIZE: Final = 1_000
#: Kept in memory, of some megabytes at most.
_MAX_SPACES: Final = 16
#: Trials with a score, from which on a density is estimated; before, values are drawn at random.
_MINIMUM: Final = 10
_BRIEF: Final = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxother = 100

_COMMON: Final[Mapping[str, Any]] = {
    "maxCombo": 0,
    "metric": "loss",
    "minSampleSize": 100,
    "retryLimit": 20,
    "retryAssignLimit": 0,
    "seed": None,
}
_SPECS: Final[Mapping[Algorithm, Mapping[str, Any]]] = {
    "bayes": {**_COMMON, "objective": "minimize"},
    "grid": {**_COMMON, "gridSize": 10, "randomize": False},
    "random": {**_COMMON, "gridSize": 10},
}
_NOTES: Final[Mapping[str, str]] = {
    "maxCombo": "how many sets of values are tried at most; 0: as many as there are",
    "metric": "the metric that the objective is about",
    "minSampleSize": "of no effect: ranges follow from the distributions",
    "retryLimit": "of no effect: no set of values is drawn twice",
    "retryAssignLimit": "how often a set of values is given again whose experiment did not come to an end",
    "seed": "other values for another one; none: as the id says",
    "objective": "minimize or maximize",
    "gridSize": "how many values a number has in the grid",
    "randomize": "whether the grid is walked in an order of the seed",
}


@dataclass(frozen=True, slots=True)
class Config:
    """An optimizer as its client gave it. `spec` and `parameters` come back as they came: the client compares them."""

    algorithm: Algorithm
    parameters: Mapping[str, Any]
    spec: Mapping[str, Any]
    trials: int

    @property
    def metric(self) -> str:
        metric: str = self.spec.get("metric", "loss")
        return metric

    @property
    def retries(self) -> int:
        """How often an assignment may be given again."""
        return int(self.spec.get("retryAssignLimit", 0))

    def loss(self, score: float | None) -> float | None:
        """Return what a score is worth: the less the better."""
        if score is None:
            return None
        return -score if self.spec.get("objective") == "maximize" else score

    def search(self, optimizer: str) -> Search:
        """Return the search of the optimizer with this id. Raises Refused."""
        seed = self.spec.get("seed")
        series = optimizer if seed is None else f"seed {seed}"
        parameters = json.dumps(dict(self.parameters))
        if self.algorithm == "grid":
            coarse = _space_of(parameters, int(self.spec.get("gridSize", 10)))
            return Search(coarse, "grid", series, in_order=not self.spec.get("randomize", False))
        method: SearchMethod = "random" if self.algorithm == "random" else "model_based"
        return Search(_space_of(parameters, None), method, series, minimum=_MINIMUM)

    def total(self, search: Search) -> int | None:
        """Return how many assignments there are in all; None: no end."""
        limits = [limit for limit in (search.size, int(self.spec.get("maxCombo", 0)) or None) if limit is not None]
        return min(limits) * self.trials if limits else None

    def limit(self, search: Search) -> int:
        """Return how many assignments are made."""
        total = self.total(search)
        return MAX_ASSIGNMENTS if total is None else min(total, MAX_ASSIGNMENTS)


@lru_cache(maxsize=_MAX_SPACES)
def _space_of(parameters: str, grid_size: int | None) -> Space:
    """The space of parameters as JSON, of a grid with so many values of each number. Each request about an optimizer
    needs it, and a grid takes a tenth of a second at most. Raises Refused."""
    space = space_in(json.loads(parameters))
    try:
        return space if grid_size is None else coarse_space(space, grid_size)
    except InvalidSpace as error:
        raise Refused(f"gridSize in the spec is {grid_size}: {error}", name="spec") from None


def template(algorithm: str) -> list[dict[str, Any]]:
    """Return the options of an algorithm with their defaults, which the client fills its own with. Raises Refused."""
    options = _SPECS[_algorithm(algorithm)]
    return [
        {"name": name, "type": _type(default), "default": default, "description": _NOTES[name]}
        for name, default in options.items()
    ]


def _type(default: Any) -> str:
    return "integer" if default is None else {bool: "boolean", int: "integer", str: "string"}[type(default)]


def config_in(payload: Payload) -> Config:
    """Return what a request to create an optimizer gives. Raises Refused where nothing could be searched by it."""
    algorithm = _algorithm(payload.text("algorithm"))
    parameters, spec = (_object(payload, name) for name in ("parameters", "spec"))
    if not parameters:
        raise Refused("parameters is empty: give at least one", name="parameters")
    trials = payload.fields.get("trials", 1)
    if not _is_whole(trials, 1, MAX_ASSIGNMENTS):
        raise Refused(
            f"trials is {_BRIEF.repr(trials)}: give a whole number from 1 to {MAX_ASSIGNMENTS}", name="trials"
        )
    config = Config(algorithm, parameters, spec, int(trials))
    _check_spec(algorithm, spec)
    _check_size(config, config.search("new"))
    return config


def config_of(properties: Mapping[str, Any]) -> Config:
    """Return the config that an optimizer keeps."""
    return Config(properties["algorithm"], properties["parameters"], properties["spec"], properties["trials"])


def properties_of(config: Config) -> dict[str, Any]:
    """Return what `config_of` takes back."""
    return {
        "algorithm": config.algorithm,
        "parameters": config.parameters,
        "spec": config.spec,
        "trials": config.trials,
    }


def _algorithm(given: str) -> Algorithm:
    found = next((one for one in ALGORITHMS if one == given), None)
    if found is None:
        raise Refused(f"algorithm is {given[:60]!r}: give one of {', '.join(ALGORITHMS)}", name="algorithm")
    return found


def _object(payload: Payload, name: str) -> dict[str, Any]:
    value = payload.fields.get(name)
    if not isinstance(value, dict):
        raise Refused(f"{name} is {_BRIEF.repr(value)}: give an object", name=name)
    if is_longer(value, _MAX_CONFIG_CHARS):
        raise Refused(f"{name} has more than {_MAX_CONFIG_CHARS} characters: give shorter lists of values", name=name)
    return value


def _check_spec(algorithm: Algorithm, spec: Mapping[str, Any]) -> None:
    for name, value in spec.items():
        if name not in _NOTES:
            known = ", ".join(_SPECS[algorithm])
            raise Refused(f"the spec of {algorithm} has no {name[:60]!r}: give some of {known}", name="spec")
        if not _fits(name, value):
            raise Refused(f"{name} in the spec is {_BRIEF.repr(value)}: give {_WANTED[name]}", name="spec")


_WANTED: Final[Mapping[str, str]] = {
    "metric": "a name",
    "objective": "minimize or maximize",
    "randomize": "true or false",
    "seed": "a whole number",
    "gridSize": f"a whole number from 1 to {_MAX_GRID_SIZE}",
    **dict.fromkeys(("maxCombo", "minSampleSize", "retryLimit", "retryAssignLimit"), "a whole number from 0"),
}


def _fits(name: str, value: Any) -> bool:
    match name:
        case "metric":
            return isinstance(value, str) and 0 < len(value) <= 500
        case "objective":
            return value in ("minimize", "maximize")
        case "randomize":
            return isinstance(value, bool) or value in (0, 1)
        case "seed":
            return value is None or _is_whole(value, -(2**63), 2**63)
        case "gridSize":
            return _is_whole(value, 1, _MAX_GRID_SIZE)
        case _:
            return _is_whole(value, 0, 2**31)


def _is_whole(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _check_size(config: Config, search: Search) -> None:
    total = config.total(search)
    if total is not None and total <= MAX_ASSIGNMENTS:
        return
    if config.algorithm == "grid" or config.spec.get("maxCombo", 0):
        what = f"the {config.algorithm} search has {total} assignments"
        raise Refused(
            f"{what}, at most {MAX_ASSIGNMENTS} can be kept: set maxCombo, or give fewer values or a lower gridSize",
            name="spec",
        )
