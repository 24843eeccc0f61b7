"""Panels against a real server with keys: what they show, what ends them, and what they may not do."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import runstream as rs
from kit.children.forked import run_forked
from kit.servers.up import running_up
from runstream.panels import PanelContext, PanelLimits, PanelResult, run_panel

WRITER, READER = "a-key-that-may-write-0", "a-key-that-only-reads"
SECRET = "the-secret-of-the-users-shell"


@dataclass(frozen=True)
class Started:
    url: str
    folder: Path
    runs: dict[str, str]


def environment(**more: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RUNSTREAM_")}
    return clean | {"MY_TOKEN": SECRET} | more


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """A server with both kinds of keys, and three runs."""
    folder = tmp_path_factory.mktemp("panels")
    keys = environment(RUNSTREAM_API_KEYS=f"{WRITER},{READER}:read")
    with running_up(folder / "data", environment=keys, errors=folder / "server.log") as url:
        runs = {name: logged(url, folder, name, n) for n, name in enumerate(["a", "b", "c<"])}
        wait_until_readable(url, list(runs.values()))
        yield Started(url, folder, runs)


def wait_until_readable(url: str, runs: list[str]) -> None:
    """`finish` waits until everything is acknowledged, which is a moment before it can be read."""
    api, deadline_s = rs.API(url=url, api_key=WRITER), time.monotonic() + 60
    while sum(one.count for one in api.summaries(runs)) < len(runs) * 40:
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


def logged(url: str, folder: Path, name: str, number: int) -> str:
    quiet: dict[str, Any] = {"capture_code": False, "capture_console": False, "system_metrics_s": 0}
    run = rs.init(
        name=name, project="digits", config={"lr": 0.1}, url=url, api_key=WRITER, dir=folder / "spool", **quiet
    )
    for step in range(20):
        run.log({"loss": 1 / (step + 1) + number, "acc": float(step)}, step=step)
    assert run.finish(timeout_s=240)
    return run.run_id


def ran(server: Started, source: str, limits: PanelLimits | None = None, **context: Any) -> PanelResult:
    found = PanelContext("default", "digits", **context)
    return run_panel(source, found, url=server.url, read_key=READER, limits=limits)


def texts(result: PanelResult) -> list[str]:
    return [item["text"] for item in result.items if item["kind"] == "text"]


def test_a_panel_knows_what_it_is_about(server: Started) -> None:
    source = """
from runstream import API, ui
api = API()
metric = ui.dropdown("Metric", api.get_panel_metrics_names())
found = api.get_panel_experiments()
ui.display(api.get_panel_workspace(), api.get_panel_project_name(), metric, ",".join(one.name for one in found))
ui.display(str(api.get_panel_options()), str(len(api.get_metrics_for_chart(found, [metric]))), api.get_panel_report())
"""
    result = ran(server, source, filter="metric.loss.last > 0.5", options={"Metric": "loss"})
    assert (result.status, result.error) == ("ok", "")
    options = "{'Metric': 'loss'}"
    assert texts(result) == ["default", "digits", "loss", "b,c<", options, "2", f"4 requests to {server.url}"]
    assert result.items[0]["choices"] == ["acc", "loss"]
    chosen = [server.runs["b"], server.runs["a"]]
    assert texts(ran(server, source, experiments=chosen))[3] == "b,a"


def test_figures_of_both_libraries_and_tables(server: Started) -> None:
    source = """
import matplotlib.pyplot as plt
import plotly.graph_objects as go
from runstream import API, ui
api = API()
charts = api.get_metrics_for_chart(api.get_panel_experiment_keys(), ["loss"])
for chart in charts.values():
    plt.plot(chart["metrics"][0]["steps"], chart["metrics"][0]["values"])
ui.display(plt, go.Figure(go.Bar(y=[1, 2])), go.Figure(go.Bar(y=[3])), api.get_panel_experiments().to_pandas())
"""
    result = ran(server, source)
    assert (result.error, [item["kind"] for item in result.items]) == (
        "",
        ["image", "library", "plotly", "plotly", "table"],
    )
    assert result.items[-1]["total"] == 3


def test_the_documented_panel_runs(server: Started) -> None:
    document = (Path(__file__).parents[2] / "docs" / "panels.md").read_text()
    source = document.partition("```python\n")[2].partition("```")[0]
    result = ran(server, source)
    assert (result.error, [item["kind"] for item in result.items]) == ("", ["control", "image", "table", "text"])
    assert result.items[2]["columns"] == ["", "name", "status", "user", "duration_s"]


def test_an_error_is_shown_with_what_came_before(server: Started) -> None:
    source = "from runstream import ui\nprint('printed')\nui.display('early')\ndef f():\n    return {}['x']\nf()\n"
    result = ran(server, source)
    assert (result.status, texts(result), result.stdout) == ("failed", ["early"], "printed\n")
    assert result.error.startswith('Traceback (most recent call last):\n  File "panel.py", line 6, in <module>')
    assert "return {}['x']" in result.error
    assert result.error.rstrip().endswith("KeyError: 'x'")


@pytest.mark.parametrize(
    ("source", "status", "message"),
    [
        ("while True: pass", "timeout", "stopped after 2.5 s"),
        ("while True:\n    try:\n        while True: pass\n    except BaseException: pass", "timeout", "stopped after"),
        ("import time, os\nif os.fork(): time.sleep(60)\nelse: time.sleep(60)", "timeout", "stopped after"),
        ("import os; os._exit(7)", "killed", "exit code 7"),
        ("import os; os.kill(os.getpid(), 11)", "killed", "SIGSEGV"),
        ("raise SystemExit('no data')", "failed", "no data"),
        ("x = (", "failed", "SyntaxError"),
        ("open('big', 'wb').write(bytes(100 << 20))", "failed", "File too large"),
    ],
)
def test_whatever_ends_a_panel_its_page_is_there(server: Started, source: str, status: str, message: str) -> None:
    early = "from runstream import ui; ui.display('early')\n" if status != "failed" else ""
    result = ran(server, early + source, PanelLimits(timeout_s=2.5))
    assert (result.status, texts(result)) == (status, ["early"] if early else [])
    assert message in result.error


@pytest.mark.parametrize("source", ["x = bytearray(1 << 30)", "x = []\nwhile True: x.append(bytearray(1 << 20))"])
def test_memory_has_an_end(server: Started, source: str) -> None:
    result = ran(server, f"from runstream import ui; ui.display('early')\n{source}", PanelLimits(memory_mb=300))
    assert (result.status, texts(result)) == ("memory", ["early"])
    assert "The panel may take 300 MiB" in result.error


def test_no_process_of_a_panel_is_left(server: Started) -> None:
    source = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid)
"""
    result = ran(server, source)
    assert result.status == "ok"
    child = int(result.stdout)
    deadline = time.monotonic() + 30  # a signal is taken when the process gets its turn
    while lives(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not lives(child)


def lives(pid: int) -> bool:
    """Whether it runs; one that has ended and that nobody has asked about yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_panel_sees_no_secrets_and_may_not_write(server: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", SECRET)
    monkeypatch.setenv("RUNSTREAM_API_KEY", WRITER)
    monkeypatch.setenv("HOME", str(server.folder))
    source = f"""
import os, pathlib
from runstream import API
from runstream.settings import load_settings
print(dict(os.environ), list(pathlib.Path.home().iterdir()), list(pathlib.Path.cwd().iterdir()))
print(load_settings().values.api_key.get_secret_value())
api = API()
for write in (lambda: api.add_tags({server.runs["a"]!r}, "x"), lambda: api.create_project("new")):
    try:
        write()
    except Exception as error:
        print(type(error).__name__, error)
"""
    result = ran(server, source)
    assert result.error == ""
    assert SECRET not in result.stdout
    assert WRITER not in result.stdout
    assert "[] []" in result.stdout, "home and working directory are empty"
    assert READER in result.stdout
    assert result.stdout.count("Refused This key only reads") == 2


def cli(server: Started, folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    variables = {"RUNSTREAM_URL": server.url, "RUNSTREAM_READ_KEY": READER} | more
    given = environment(HOME=str(folder), **{name: value for name, value in variables.items() if value})
    return run_forked("runstream_infra.cli", "panel", *arguments, environment=given, folder=folder)


def test_the_command_writes_the_page(server: Started, tmp_path: Path) -> None:
    (tmp_path / "names.py").write_text(
        "from runstream import API, ui\n"
        "ui.dropdown('Which', ['x', 'y'])\nui.input('n')\n"
        "ui.display(', '.join(one.name for one in API().get_panel_experiments()))\n"
    )
    options = ["--option", "Which=y", "--option", "n:=[1]"]
    done = cli(server, tmp_path, "run", "names.py", "-p", "digits", "--filter", 'name != "a"', *options)
    assert (done.returncode, done.stderr) == (0, "")
    page = (tmp_path / "names.html").read_text()
    assert '<div class="text">b, c&lt;</div>' in page
    assert "<span>Which</span> y" in page
    (tmp_path / "bad.py").write_text("1/0")
    done = cli(server, tmp_path, "run", "bad.py", "-p", "digits", "--out", "x.html", "--json")
    response = json.loads(done.stdout)
    assert (done.returncode, response["status"], response["page"]) == (1, "failed", "x.html")
    assert "ZeroDivisionError" in (tmp_path / "x.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "variables", "code", "message"),
    [
        (["names.py"], {"RUNSTREAM_READ_KEY": "", "RUNSTREAM_API_KEY": WRITER}, 2, "key that only reads"),
        (["names.py"], {"RUNSTREAM_READ_KEY": WRITER}, 2, "key that only reads"),
        (["names.py"], {"RUNSTREAM_READ_KEY": ""}, 2, "RUNSTREAM_READ_KEY"),
        (["none.py"], {}, 2, "cannot be read"),
        (["names.py", "--option", "x"], {}, 2, "no LABEL=TEXT"),
        (["names.py", "--option", "x:={"], {}, 2, "no LABEL:=JSON"),
        (["names.py"], {"RUNSTREAM_URL": "http://127.0.0.1:9"}, 3, "no response"),
    ],
)
def test_the_command_refuses(
    server: Started, tmp_path: Path, arguments: list[str], variables: dict[str, str], code: int, message: str
) -> None:
    (tmp_path / "names.py").write_text("print(1)")
    done = cli(server, tmp_path, "run", *arguments, **variables)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert not (tmp_path / "names.html").exists()


def test_a_key_that_only_reads_may_be_the_only_one(server: Started, tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("print(1)")
    done = cli(server, tmp_path, "run", "one.py", RUNSTREAM_READ_KEY="", RUNSTREAM_API_KEY=READER)
    assert done.returncode == 0, done.stderr


def test_panels_are_kept_as_versions_of_a_project(server: Started, tmp_path: Path) -> None:
    wrote = {"RUNSTREAM_API_KEY": WRITER}
    source = "from runstream import API, ui\nui.display('{} of ' + API().get_panel_project_name())\n"
    for number, word in enumerate(["first", "second"], start=1):
        (tmp_path / "losses.py").write_text(source.format(word))
        done = cli(server, tmp_path, "add", "losses.py", "-p", "digits", "--comment", word, "--json", **wrote)
        assert json.loads(done.stdout)["ordinal"] == number, done.stderr
    (tmp_path / "losses.py").unlink()
    listed = json.loads(cli(server, tmp_path, "ls", "-p", "digits", "--json", **wrote).stdout)["panels"]
    assert [(one["name"], one["versions"]) for one in listed] == [("losses", 2)]
    assert "losses" in cli(server, tmp_path, "ls", "-p", "digits", **wrote).stdout
    assert cli(server, tmp_path, "ls", "-p", "elsewhere", "--json", **wrote).stdout.split() == [
        "{",
        '"panels":',
        "[]",
        "}",
    ]
    for version, word in ((None, "second"), ("1", "first"), (listed[0]["version"], "second")):
        which = ["losses", "-p", "digits", *(["--version", version] if version else [])]
        assert cli(server, tmp_path, "show", *which, **wrote).stdout == source.format(word)
        done = cli(server, tmp_path, "run", *which)
        assert done.returncode == 0, done.stderr
        assert f"{word} of digits" in (tmp_path / "losses.html").read_text()


def test_panels_that_cannot_be_kept_or_found(server: Started, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("x = (")
    (tmp_path / "good.py").write_text("x = 1")
    wrote = {"RUNSTREAM_API_KEY": WRITER}
    for arguments, variables, code, message in (
        (["add", "bad.py"], wrote, 2, "no Python"),
        (["add", "none.py"], wrote, 2, "does not exist"),
        (["add", "good.py"], {"RUNSTREAM_API_KEY": READER}, 3, "does not let this in"),
        (["add", "good.py", "--name", "x" * 1000], wrote, 2, "name"),
        (["show", "nobody"], wrote, 2, "nobody"),
        (["run", "nobody"], {}, 2, "nobody"),
    ):
        done = cli(server, tmp_path, *arguments, "-p", "kept", **variables)
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
        assert message in done.stderr
    assert cli(server, tmp_path, "add", "good.py", "-p", "kept", **wrote).returncode == 0
    done = cli(server, tmp_path, "show", "good", "-p", "kept", "--version", "7", **wrote)
    assert (done.returncode, "version" in done.stderr) == (2, True)
