"""A slice of `make fuzz` with a seed of its own, and every input that was a fault once."""

from pathlib import Path

import pytest

from fuzzing.__main__ import run, shares
from fuzzing.attacking import SERVED, attack
from fuzzing.cases import Case, Finding
from fuzzing.pool import replayed
from fuzzing.requests import Request, route_of
from fuzzing.targets import PURE

SEED = 20_261_129
PURE_CASES = 4_000
SERVED_CASES = 400
FOUND = Path(__file__).parent / "found"
#: Named TARGET.WHAT.bin.
INPUTS = sorted(FOUND.glob("*.bin"))
SERVED_NAMES = {target.name for target in SERVED}


def told(findings: list[Finding]) -> str:
    return "\n".join(f"{found.case.command}: {found.kind}: {found.detail[:500]}" for found in findings)


def test_no_target_without_a_server_has_a_fault() -> None:
    findings, kinds = run(PURE, shares(PURE, PURE_CASES), SEED, jobs=2)
    assert not kinds, told(findings)


@pytest.fixture(scope="module")
def replays() -> dict[str, str]:
    return replayed([path for path in INPUTS if path.name.split(".")[0] not in SERVED_NAMES])


@pytest.mark.parametrize("name", [path.name for path in INPUTS if path.name.split(".")[0] not in SERVED_NAMES])
def test_an_input_that_was_a_fault_is_none(name: str, replays: dict[str, str]) -> None:
    assert not replays[name]


def test_a_server_stands_an_attack_and_what_was_a_fault_and_good_clients_lose_nothing() -> None:
    """All on one server, as one attack: first what was a fault once."""
    inputs = [path for path in INPUTS if path.name.split(".")[0] in SERVED_NAMES]
    assert inputs
    faults = [Case(path.name.split(".")[0], -1, number, path.read_bytes()) for number, path in enumerate(inputs)]
    findings, kinds = attack(SERVED, shares(SERVED, SERVED_CASES), SEED, extra=faults)
    again = [
        (inputs[one.case.number].name, route_of(Request.unpacked(one.case.data)), one.kind)
        for one in findings
        if one.case.seed == -1
    ]
    assert not kinds, f"{again}\n{told(findings)}"
