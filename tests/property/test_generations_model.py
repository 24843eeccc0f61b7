"""Processes of up to three builds go from one generation to the next, whatever breaks, and no reader loses what it saw;
and the model would notice.

`make simulate SEEDS=1000000` goes through more histories; each is its seed, so a bad one can be looked at again.
"""

import os
from collections import Counter
from typing import Final

import pytest

from kit.oracles.generations import Result, Shape, simulate

#: A history takes 20 ms.
SEEDS: Final = int(os.environ.get("RUNSTREAM_SEEDS", "6000")) // 60
#: The protocol without one of its steps, and histories that are wrong then.
FLAWED: Final = {
    "a step is recorded behind whatever is there": (Shape(places=False), (5, 11)),
    "nobody waits until all have read a step": (Shape(waits=False), (51, 122)),
    "who reads the old one waits for the old one alone": (Shape(waits_for_ready=False), (213, 267)),
}


@pytest.mark.timeout(86_400)
def test_no_history_loses_what_was_visible_or_ends_halfway() -> None:
    found: dict[int, Result] = {}
    served: Counter[int] = Counter()
    rebuilds: Counter[tuple[bool, str]] = Counter()
    for seed in range(SEEDS):
        result = simulate(seed)
        served[result.serving] += 1
        if result.rebuild is not None:
            rebuilds[result.rebuild.replace, result.rebuild.outcome] += 1
        if not result.right:
            found[seed] = result
    print(f"\nhistories: {SEEDS}, in the end serve generations {dict(served)}; {len(found)} bad")
    print(f"the last rebuild that was requested (does it replace, outcome): {dict(rebuilds)}")
    assert not found
    assert served[2] > SEEDS / 3
    assert sum(count for number, count in served.items() if number > 2) > SEEDS / 20, "hardly ever was a build given up"
    assert sum(rebuilds.values()) > SEEDS / 10


@pytest.mark.parametrize("shape", FLAWED)
def test_the_model_finds_what_goes_wrong_without_a_step(shape: str) -> None:
    flawed, seeds = FLAWED[shape]
    for seed in seeds:
        assert not simulate(seed, flawed).right, seed
        assert simulate(seed).right, seed
