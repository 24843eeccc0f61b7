"""Runs are managed from the terminal: found by id, beginning, name or `latest`, one or all that a filter finds."""

import io
import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import runstream as rs
from kit.commands import done, told
from kit.servers.embedded import Server
from runstream.api import API, NameTaken, NotFound, ViewChanged
from runstream_infra.cli.exits import BadInput

WAIT_S = 240.0
QUIET: dict[str, Any] = {"capture_console": False, "capture_code": False, "system_metrics_s": 0}
#: Id, name and project of each, the oldest first.
RUNS = (
    ("aaa1", "mlp-1", "p"),
    ("aab2", "mlp-2", "p"),
    ("bbb3", "twice", "p"),
    ("bbc4", "twice", "p"),
    ("zzz5", "aab2", "q"),
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("managing")
    with Server(folder) as server:
        for run_id, name, project in RUNS:
            run = rs.init(run_id=run_id, name=name, project=project, url=server.url, dir=folder / "spool", **QUIET)
            run.log({"loss": float(run_id[-1])})
            assert run.finish(timeout_s=WAIT_S)
        yield server.url


@pytest.fixture
def api(url: str, monkeypatch: pytest.MonkeyPatch) -> API:
    monkeypatch.setenv("RUNSTREAM_URL", url)
    return API(url)


@pytest.mark.parametrize(
    ("word", "run"),
    [("aaa1", "aaa1"), ("aaa", "aaa1"), ("z", "zzz5"), ("mlp-2", "aab2"), ("aab2", "aab2"), ("latest", "zzz5")],
)
def test_a_run_is_found_by_what_people_type(api: API, capfd: pytest.CaptureFixture[str], word: str, run: str) -> None:
    assert told(capfd, "show", word)["run"]["id"] == run
    assert told(capfd, "series", word, "loss")["run"] == run


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("twice", "several runs are called 'twice' (bbc4, bbb3): give the id of one"),
        ("aa", "several runs have ids that begin with 'aa' (aab2, aaa1): give the id of one"),
        ("nope", "no run has the id or the name 'nope'"),
        ("a name of nobody/x", "no run has the id or the name 'a name of nobody/x'"),
        ('"', "no run has the id or the name '\"'"),
    ],
)
def test_what_means_none_or_several_is_told(
    api: API, capfd: pytest.CaptureFixture[str], word: str, message: str
) -> None:
    for command in (("show", word), ("series", word, "loss"), ("archive", word), ("rename", word, "x")):
        assert message in done(capfd, *command, code=2)
    assert api.run("aaa1").archived is False


def test_tags_of_runs_by_name_and_by_filter(api: API, capfd: pytest.CaptureFixture[str]) -> None:
    assert done(capfd, "tag", "mlp-1", "bbc4", "aaa1", "-a", "good", "-a", "seen") == "tagged 2 runs\n"
    assert {run.run for run in api.runs('tag = "good" and tag = "seen"')} == {"aaa1", "bbc4"}
    assert told(capfd, "tag", "--filter", 'tag = "seen"', "-p", "p", "--remove", "seen", "--yes")["done"] == "tagged"
    assert not api.runs('tag = "seen"')
    assert "no tag is given" in done(capfd, "tag", "mlp-1", code=2)


def test_name_and_notes(api: API, capfd: pytest.CaptureFixture[str]) -> None:
    assert done(capfd, "rename", "aaa1", "wide, no dropout") == "aaa1 is called wide, no dropout now\n"
    assert done(capfd, "notes", "wide, no dropout", "diverged") == "aaa1 has other notes now\n"
    assert done(capfd, "notes", "aaa1") == "diverged\n"
    assert (api.run("aaa1").name, api.run("aaa1").notes) == ("wide, no dropout", "diverged")
    done(capfd, "rename", "aaa1", "mlp-1")


def test_what_was_deleted_and_archived_comes_back(api: API, capfd: pytest.CaptureFixture[str]) -> None:
    assert done(capfd, "delete", "mlp-2", "-y") == "deleted aab2\n"
    assert done(capfd, "archive", "zzz5") == "archived zzz5\n"
    assert not api.runs('id = "aab2" or id = "zzz5"')
    assert done(capfd, "restore", "mlp-2") == "restored aab2\n"
    assert done(capfd, "restore", "--filter", "archived", "--yes") == "restored zzz5\n"
    assert len(api.runs()) == len(RUNS)
    assert done(capfd, "archive", "--filter", 'name = "nobody"', "--yes") == "no run matches: nothing is done\n"


def test_runs_move(api: API, capfd: pytest.CaptureFixture[str]) -> None:
    done(capfd, "move", "bbb3", "bbc4", "--to", "attic/old/exp")
    found = api.runs(workspace="attic", project="old")
    assert {(run.run, run.experiment) for run in found} == {("bbb3", "exp"), ("bbc4", "exp")}
    done(capfd, "move", "--filter", 'workspace = "attic"', "--to", "default/p", "--yes")
    assert not api.runs('workspace = "attic"')
    assert "give WORKSPACE/PROJECT" in done(capfd, "move", "bbb3", "--to", "p", code=2)


def test_nothing_is_done_without_a_yes(
    api: API, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = done(capfd, "delete", "--filter", 'project = "p"', code=2)
    assert "delete 4 runs? Nobody can be asked here: give --yes" in refused
    assert "delete 1 run?" in done(capfd, "delete", "aaa1", code=2)
    assert "say which runs" in done(capfd, "delete", code=2)
    assert "say which runs" in done(capfd, "delete", "aaa1", "--filter", "archived", code=2)

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    done(capfd, "delete", "--filter", 'project = "p"', code=130)
    assert len(api.runs()) == len(RUNS)
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    assert "mlp-1" in done(capfd, "archive", "--filter", 'project = "p"'), "what it is about is shown first"
    assert len(api.runs()) == 1
    done(capfd, "restore", "--filter", "archived", "--yes")


def test_the_version(capfd: pytest.CaptureFixture[str]) -> None:
    assert done(capfd, "--version").startswith("runstream 0.")


def test_views_are_saved_listed_and_deleted(api: API, capfd: pytest.CaptureFixture[str]) -> None:
    made = api.views.save("by rank", {"charts": ["loss"]}, "p", author="ada")
    with pytest.raises(NameTaken, match="at revision 1"):
        api.views.save("by rank", {}, "p")
    assert api.views.get("by rank", "p") == made
    changed = api.views.save("by rank", {"charts": []}, "p", replaces=made, author="bob")
    with pytest.raises(ViewChanged, match="by bob"):
        api.views.save("by rank", {}, "p", replaces=made)
    with pytest.raises(ViewChanged, match="by bob"):
        api.views.delete(made)
    api.views.save("another", {}, "p", type="dashboard")
    assert [(one.name, one.type, one.view) for one in api.views("p")] == [
        ("another", "dashboard", None),
        ("by rank", "view", None),
    ]
    assert api.views("q") == []
    assert [one.name for one in api.views("p", type="dashboard")] == ["another"]
    listed = told(capfd, "views", "list", "-p", "p")["views"]
    assert [(one["name"], one["revision"], one["changed_by"]) for one in listed] == [
        ("another", 1, None),
        ("by rank", 2, "bob"),
    ]
    assert "by rank" in done(capfd, "views", "list", "-p", "p")
    assert told(capfd, "views", "show", "by rank", "-p", "p")["view"] == {"charts": []}
    assert json.loads(done(capfd, "views", "show", "by rank", "-p", "p")) == {"charts": []}
    assert "at revision 2" in done(capfd, "views", "delete", "by rank", "-p", "p")
    assert "no view 'by rank'" in done(capfd, "views", "show", "by rank", "-p", "p", code=BadInput.exit_code)
    with pytest.raises(NotFound):
        api.views.delete("by rank", "p")
    with pytest.raises(NotFound):
        api.views.save("by rank", {}, "p", replaces=changed)


def test_output_is_read_by_line(api: API, capfd: pytest.CaptureFixture[str]) -> None:
    api.command("prints", {"type": "run_started.v1", "workspace": "default", "project": "printing"})
    for number in range(4):
        text = f"step {number}\nloss {number / 10}\n"
        api.command("prints", {"type": "output_appended.v1", "stream": "stdout", "text": text})
    found = api.runs.output_lines("prints", -3)
    assert [(one.number, one.text) for one in found] == [(6, "loss 0.2"), (7, "step 3"), (8, "loss 0.3")]
    matches = api.runs.search_output("prints", r"^LOSS 0\.[12]", regex=True, ignore_case=True)
    assert ({one.text for one in matches}, matches.more) == ({"loss 0.1", "loss 0.2"}, False)
    assert api.runs.search_output("prints", "step", 2).more
    last = done(capfd, "output", "prints", "--last", "2").splitlines()
    assert last == [one.text for one in found[-2:]]
    assert done(capfd, "output", "prints", "--search", "STEP 2", "-i") == "5: step 2\n"
    assert len(told(capfd, "output", "prints", "--search", "step")["lines"]) == 4
