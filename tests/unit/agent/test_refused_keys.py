"""A key that the server does not take any more: nothing is lost, another supervisor goes on with another key."""

import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import runstream
from kit.agent_leases import GRANTED, URL, KeptLeases, supervisor_of
from runstream.agent import agent, ending, supervisor
from runstream.agent.agent import Agent, AgentSettings
from runstream.agent.folder import End, RunFolder, folders_in
from runstream.agent.keeping import Keeper
from runstream.agent.leases import KeyRefused, Leases, Stale
from runstream.agent.preparing import Preparation, Prepared
from runstream.api import Refused, Session
from runstream.spool.format import WriterInfo

REFUSED = KeyRefused("unknown key (HTTP 401 from http://127.0.0.1:9)")


@pytest.mark.parametrize(("status", "kind"), [(401, KeyRefused), (403, KeyRefused), (409, Stale), (400, Refused)])
def test_refusals_are_told_apart(monkeypatch: pytest.MonkeyPatch, status: int, kind: type[Exception]) -> None:
    def post(*_: Any) -> Any:
        raise Refused("no", {"status": status})

    session = Session("http://127.0.0.1:9")
    monkeypatch.setattr(Session, "post", post)
    with pytest.raises(kind):
        Leases(session, "w", "p").end(GRANTED, "finished", "", None)


@pytest.mark.parametrize("what", ["file", "end"])
def test_a_result_outlives_a_key_that_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    sent: list[str] = []
    monkeypatch.setattr(ending, "upload", lambda url, path: sent.append(path.read_text()))
    leases = KeptLeases("started")
    first = supervisor_of(tmp_path, leases)
    [folder] = folders_in(tmp_path / "runs")
    model = folder.path / "model.pkl"
    model.write_text("weights")
    folder.note_starting()
    folder.note_end(End("finished", artifact=str(model), has_result=True))
    leases.refusing[what] = REFUSED
    first.run()
    assert (leases.ends, model.read_text()) == ([], "weights")
    leases.refusing.clear()
    sent.clear()
    supervisor_of(tmp_path, leases).run()
    assert leases.ends == [("finished", "")]
    assert sent == ["weights"]
    assert folders_in(tmp_path / "runs") == []


@pytest.mark.parametrize("refused_at", ["before", "meanwhile"])
def test_no_output_is_waited_for_with_a_key_that_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused_at: str
) -> None:
    """Nobody acknowledges it: the wait would be an hour long."""
    leases, looks = KeptLeases("started"), []

    def in_spool(*_: Any) -> str:
        looks.append("look")
        leases.refusing["renew"] = REFUSED
        return "a writer"

    monkeypatch.setattr(supervisor, "in_spool", in_spool)
    monkeypatch.setattr(supervisor, "ensure_sender", lambda _: None)
    monkeypatch.setattr(supervisor, "_LOOK_S", 0.01)
    if refused_at == "before":
        leases.refusing["renew"] = REFUSED
    one = supervisor_of(tmp_path, leases)
    [folder] = folders_in(tmp_path / "runs")
    folder.note_starting()
    folder.note_end(End("failed", "train raised"))
    assert not one.run()
    assert (bool(looks), leases.ends) == (refused_at == "meanwhile", [])
    leases.refusing.clear()
    monkeypatch.setattr(supervisor, "in_spool", lambda *_: None)
    assert supervisor_of(tmp_path, leases).run()
    assert leases.ends == [("failed", "train raised")]


class WatchedAgent(Agent):
    """Notes when it starts supervisors, and stops after five."""

    def _supervise(self, folder: RunFolder) -> None:
        self.starts_s = [*getattr(self, "starts_s", ()), time.monotonic()]
        super()._supervise(folder)
        if len(self.starts_s) == 5:
            self.stop.set()


def test_supervisors_whose_key_is_refused_follow_each_other_more_and_more_slowly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent, "_AGAIN_S", 0.05)
    program = tmp_path / "supervisor.py"
    program.write_text(f"raise SystemExit({supervisor.KEY_REFUSED})")
    supervisor_of(tmp_path, KeptLeases())
    watched = WatchedAgent(AgentSettings(URL, "w", "p", tmp_path), supervisor=[str(program)])
    watched.run()
    pauses_s = [after - before for before, after in pairwise(watched.starts_s)]
    assert all(pause_s >= 0.05 * 2**refused for refused, pause_s in enumerate(pauses_s, start=1)), pauses_s
    assert [agent.again_s(refused) for refused in (0, 1, 30, 10**6)] == [0.05, 0.1, 300.0, 300.0]


def test_output_that_waits_is_sent_with_the_new_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leases = KeptLeases("started")
    second = supervisor_of(tmp_path, leases, "new-key-new-key-new")
    [folder] = folders_in(tmp_path / "runs")
    folder.note_end(End("finished"))
    spool = tmp_path / "spool"
    run = runstream.init(mode="offline", url=URL, api_key="old-key-old-key-old", dir=spool, system_metrics_s=0)
    [writer] = (spool / "writers").iterdir()
    monkeypatch.setattr(supervisor, "in_spool", lambda *_: None)
    second.run()
    assert WriterInfo.read(writer).api_key == "new-key-new-key-new"
    assert leases.ends == [("finished", "")]
    run.finish()


def test_a_preparation_whose_key_is_refused_counts_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def prepare(_: Preparation) -> Prepared:
        raise REFUSED

    monkeypatch.setattr(Preparation, "prepare", prepare)
    leases = KeptLeases()
    for _ in range(7):
        supervisor_of(tmp_path, leases).run()
    [folder] = folders_in(tmp_path / "runs")
    assert (folder.tries, leases.ends) == (0, [])


def test_a_start_that_is_refused_is_released_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Preparation, "prepare", lambda _: Prepared(Path("python"), tmp_path, None, ()))
    leases = KeptLeases()
    leases.refusing["start"] = REFUSED
    supervisor_of(tmp_path, leases).run()
    assert len(folders_in(tmp_path / "runs")) == 1
    supervisor_of(tmp_path, leases).run()
    assert (leases.ends, leases.requests[-1]) == ([], "release")
    assert folders_in(tmp_path / "runs") == []


def test_a_renewal_that_is_refused_cancels_nothing() -> None:
    leases = KeptLeases()
    leases.refusing["renew"] = REFUSED
    keeper = Keeper(leases, GRANTED, 60.0)
    keeper.look()
    assert (leases.requests, keeper.goes_on) == (["renew"], True)
