"""Control events: every kind as the golden files have it, and texts of events as frames carry them."""

import functools
import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fuzzing.values import Raw, as_bytes, damaged, mutated, odd_value, written
from runstream.events.control import EVENT_TYPES

_GOLDEN = Path(__file__).parents[1] / "golden"


@functools.cache
def golden_events() -> tuple[Mapping[str, Any], ...]:
    """One valid event at least of every kind, as JSON objects."""
    found = [json.loads(path.read_bytes()) for path in sorted(_GOLDEN.glob("*/events/*.bin"))]
    missing = EVENT_TYPES.keys() - {event["type"] for event in found}
    assert not missing, f"no golden event of {missing}"
    return tuple(found)


def event_of(rng: random.Random, changes: int) -> Any:
    """An event after so many changes."""
    event: Any = rng.choice(golden_events())
    for _ in range(changes):
        event = mutated(rng, event)
    return event


def events_text(rng: random.Random, run: str, first: int, count: int, changes: int) -> bytes:
    """`[[seq, event], ...]`."""
    events = [event_of(rng, changes) for _ in range(count)]
    return as_bytes(written([[first + number, event] for number, event in enumerate(events)]))


def odd_events_text(rng: random.Random, first: int) -> bytes:
    """The same with anything wrong: pairs, numbers, the text itself."""
    pairs: list[Any] = []
    for number in range(rng.choice((0, 1, 1, 2, 4))):
        event = event_of(rng, rng.choice((0, 1, 1, 2, 3)))
        seq: Any = first + number
        match rng.randrange(12):
            case 0:
                seq = odd_value(rng)
            case 1:
                seq = rng.choice((-1, 2**64, 2**64 - 1, first, Raw("1" * 5000), 1.0, True))
            case 2:
                pairs.append(odd_value(rng))
                continue
            case 3:
                pairs.append([seq, event, odd_value(rng)])
                continue
        pairs.append([seq, event])
    data = as_bytes(written(pairs))
    return damaged(rng, data) if rng.random() < 0.25 else data
