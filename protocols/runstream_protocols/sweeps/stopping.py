"""Whether a trial is to end early: decided by its rule from what the runs of all trials logged."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from runstream_model.search.stopping import (
    Asha,
    MedianRule,
    Progress,
    Reading,
    is_below_median,
    rung_that_stops,
)
from runstream_protocols.sweeps.configs import Config
from runstream_protocols.sweeps.state import KnownTrial, Sweep
from runstream_query.http.context import Context
from runstream_query.repositories.series import RunProgress

_ANY_STEP: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a trial is to end, and why."""

    stop: bool
    reason: str = ""


_GO_ON: Final = Decision(False)


async def decide(context: Context, sweep: Sweep, known: Sequence[KnownTrial], number: int, run: str) -> Decision:
    """Return whether the run of a trial is to end: it is no longer the trial's, or the rule of the sweep says so."""
    trial = known[number]
    if trial.run != run:
        return Decision(True, f"the trial {number} was given to another worker, as the attempt {trial.attempt}")
    rule = sweep.config.rule
    if rule is None:
        return _GO_ON
    metric, runs = sweep.config.metric, [one.run for one in known]
    own = await context.repositories.series.progress(context.scope, [run], metric, _ANY_STEP)
    if not own:
        return _GO_ON
    if isinstance(rule, Asha):
        return await _by_rungs(context, sweep.config, rule, runs, run, own[0].last_step)
    return await _by_median(context, sweep.config, rule, runs, run, own[0].last_step)


async def _by_rungs(context: Context, config: Config, rule: Asha, runs: Sequence[str], run: str, last: int) -> Decision:
    rungs = rule.rungs(last)
    if not rungs:
        return _GO_ON
    found = await context.repositories.series.first_points(context.scope, runs, config.metric, rungs)
    readings: dict[int, list[Reading]] = defaultdict(list)
    for one in found:
        readings[one.rung].append(Reading(one.run, config.loss(one.value), one.at_us))
    rung = rung_that_stops(rule, readings, run)
    if rung is None:
        return _GO_ON
    return Decision(True, f"at step {rung} it was not among the best 1 of {rule.reduction_factor}")


async def _by_median(
    context: Context, config: Config, rule: MedianRule, runs: Sequence[str], run: str, last: int
) -> Decision:
    if last < rule.grace_steps:
        return _GO_ON
    found = await context.repositories.series.progress(context.scope, runs, config.metric, last)
    own = next((one for one in found if one.run == run), None)
    others = [_progress(config, one, last) for one in found if one.run != run]
    if own is None or not is_below_median(rule, last, _progress(config, own, last), others):
        return _GO_ON
    return Decision(True, f"at step {last} its best value is worse than the median of the others")


def _progress(config: Config, one: RunProgress, step: int) -> Progress:
    best = one.low if config.goal == "minimize" else one.high
    return Progress(one.run, config.loss(one.mean), config.loss(best), one.last_step >= step)
