"""SIGKILL of trainers and of the sender at random moments: nothing that a call returned for is lost or doubled.

RUNSTREAM_KILLS says how many kills there are in all (40); RUNSTREAM_SEED, which ones (1).
"""

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kit.children import killed_trainers
from kit.sending.collector import Collector, Faults, Record, same
from kit.sending.kills import Trainers, await_sender, kill_sender
from runstream.sender.sync import sync

KILLS = int(os.environ.get("RUNSTREAM_KILLS", "40"))
SEED = int(os.environ.get("RUNSTREAM_SEED", "1"))
CALM = Faults()
ROUGH = Faults(
    drop=0.04,
    lose_response=0.06,
    repeat=0.1,
    refuse_500=0.04,
    refuse_429=0.04,
    half_409=0.04,
    delay_s=0.03,
    seed=SEED,
)


@dataclass
class Tally:
    """What the suite prints."""

    trainer_kills: int = 0
    sender_kills: int = 0
    finished: int = 0
    returned: int = 0
    acknowledged: int = 0
    extra: int = 0
    duplicates: int = 0
    lost: int = 0

    def __str__(self) -> str:
        return (
            f"kills {self.trainer_kills + self.sender_kills} (trainers {self.trainer_kills}, senders "
            f"{self.sender_kills}), runs finished {self.finished}, records returned {self.returned}, acknowledged "
            f"{self.acknowledged} ({self.extra} of which the call had not returned yet), duplicates seen by identity "
            f"{self.duplicates}, lost {self.lost}"
        )


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "spool"
    folder.mkdir()
    yield folder
    kill_sender(folder)


@pytest.mark.timeout(900 + 5 * KILLS)
@pytest.mark.parametrize("faults", [CALM, ROUGH], ids=["calm", "rough"])
def test_kills_lose_nothing(faults: Faults, spool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    choose = random.Random(SEED)
    collector = Collector(faults)
    progress = tmp_path / "progress"
    progress.mkdir()
    trainers = Trainers(spool, collector.url, progress)
    tally = Tally()
    try:
        while tally.trainer_kills + tally.sender_kills < KILLS // 2:
            trainers.refill()
            time.sleep(choose.random() ** 2 * 0.6)
            if choose.random() < 0.5:
                await_sender(spool)
                time.sleep(choose.random() ** 2 * 0.6)
                tally.sender_kills += kill_sender(spool)
            else:
                tally.trainer_kills += trainers.kill(choose.choice(list(trainers.living)))
    finally:
        trainers.close()
    result = sync(spool, timeout_s=120)
    collector.close()
    assert result.left == ()
    # A trainer that was killed while it made its folder has logged nothing, and leaves one without this file.
    assert list((spool / "writers").glob("*/writer.json")) == []
    assert collector.gaps == [] or faults is ROUGH  # an injected 409 sends the sender behind what it has
    assert collector.conflicts == []
    check(trainers, collector, progress, tally)
    with capsys.disabled():
        print(f"\n{tally}")
    assert tally.lost == 0
    assert tally.sender_kills >= KILLS // 8
    assert tally.trainer_kills >= KILLS // 8


def check(trainers: Trainers, collector: Collector, progress: Path, tally: Tally) -> None:
    """Value by value: what each trainer's calls returned for is at the collector, once, and at most one call more."""
    by_run = {taken.key: taken for taken in collector.writers.values()}
    assert len(by_run) == len(collector.writers)
    for trainer in range(trainers.count):
        path = progress / f"{trainer}.progress"
        if not path.exists():
            continue  # killed before it began
        done = killed_trainers.read_progress(path)
        taken = by_run.get(killed_trainers.run_id(trainer))
        records = taken.records if taken is not None else {}
        assert sorted(records) == list(range(taken.next_seq if taken is not None else 0))
        rows = [record for record in records.values() if isinstance(record, tuple)]
        events = [record for record in records.values() if isinstance(record, dict)]
        marks = [event["values"]["mark"] for event in events if event["type"] == "others_logged.v1"]
        steps = Counter(step for step, _, _ in rows)
        assert not [step for step, times in steps.items() if times != 1]
        assert not [step for step in steps if step > done.rows]
        tally.lost += sum(step not in steps for step in range(done.rows)) + max(done.others - len(marks), 0)
        expected_marks = [call + 1 for call in range(killed_trainers.CALLS) if killed_trainers.logs_other(call)]
        assert marks == expected_marks[: len(marks)]
        for step, at_us, values in rows:
            assert at_us > 0
            wanted: Record = (step, at_us, killed_trainers.row(trainer, step))
            assert same((step, at_us, values), wanted), f"trainer {trainer}, call {step}"
        kinds = Counter(event["type"] for event in events)
        if records:
            assert kinds["run_started.v1"] == 1
            assert kinds["run_finished.v1"] + kinds["writer_lost.v1"] == 1
            assert kinds["writer_lost.v1"] == 0 or not done.finished
        tally.finished += done.finished
        tally.returned += done.rows + done.others
        tally.acknowledged += len(rows) + len(marks)
        tally.extra += len(rows) + len(marks) - done.rows - done.others
        tally.duplicates += taken.duplicates if taken is not None else 0
