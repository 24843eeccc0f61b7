"""Panels in the manner of public ones, unmodified: each file of examples/panels in Streamlit's own test process."""

import copy
import importlib
import itertools
import json
import os
import pickle
import signal
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstream as rs
from kit.children.forked import ForkedChild
from kit.servers.up import running_up
from kit.waiting import wait_until
from runstream.errors import Invalid
from runstream.panel_context import VARIABLE, PanelContext
from runstream.panels import PanelLimits, PanelResult, ambient, run_panel, shim

PANELS = Path(__file__).parents[2] / "examples" / "panels"
RUNS = ("first", "second", "third")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("streamlit")
    with running_up(folder / "data", environment=_environment(), errors=folder / "server.log") as url:
        for number, name in enumerate(RUNS):
            _log(url, folder, number, name)
        api = rs.API(url=url)
        wait_until(lambda: len(api.summaries([one.run for one in api.runs()])) == 2 * len(RUNS))
        yield url


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("RUNSTREAM_")}


def _log(url: str, folder: Path, number: int, name: str) -> None:
    quiet: dict[str, Any] = {"capture_code": False, "capture_console": False, "system_metrics_s": 0}
    config = {"lr": 0.1 * (number + 1), "layers": 3}
    run = rs.init(name=name, project="manners", config=config, url=url, dir=folder / "spool", **quiet)
    for step in range(10):
        run.log({"loss": 1 / (step + 1) + number, "acc": float(step)}, step=step)
    assert run.finish(timeout_s=240)


@pytest.fixture
def page_of(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Opens a panel as a page whose widgets a test can use."""
    testing: Any = importlib.import_module("streamlit.testing.v1")
    monkeypatch.setenv("RUNSTREAM_URL", server)
    monkeypatch.delenv("RUNSTREAM_API_KEY", raising=False)
    shim.install()
    ambient.provide()

    def opened(name: str, **context: Any) -> Any:
        path = tmp_path / "panel.json"
        path.write_text(PanelContext("default", "manners", **context).to_json())
        monkeypatch.setenv(VARIABLE, str(path))
        page = testing.AppTest.from_file(str(PANELS / f"{name}.py"), default_timeout=120).run()
        assert not page.exception, page.exception
        return page

    # A panel takes the place of the program, which processes that are forked later would run.
    program = sys.modules["__main__"]
    yield opened
    sys.modules["__main__"] = program
    ambient.withdraw()
    shim.uninstall()


def texts(elements: Any) -> list[str]:
    return [str(one.value) for one in elements]


def test_losses(page_of: Any) -> None:
    page = page_of("losses")
    assert (page.selectbox[0].value, page.selectbox[0].options) == ("acc", ["acc", "loss"])
    assert len(page.get("image")) == 1
    page.selectbox[0].select("loss").run()
    page.checkbox[0].check().run()
    assert not page.exception
    assert page_of("losses", options={"Metric": "loss"}).selectbox[0].value == "loss", "the page chose"


def test_leaderboard(page_of: Any) -> None:
    page = page_of("leaderboard")
    page.sidebar.selectbox[0].select("loss").run()
    page.sidebar.slider[0].set_value(2).run()
    shown = page.dataframe[0].value
    assert list(shown["name"]) == ["first", "second"]
    assert shown["link"].str.startswith("http").all()
    page.sidebar.radio[0].set_value("highest").run()
    assert list(page.dataframe[0].value["name"]) == ["third", "second"]


def test_curves(page_of: Any, server: str) -> None:
    first = next(one for one in rs.API(url=server).runs() if one.name == "first")
    page = page_of("curves", experiment_colors={first.run: "#ff0000"})
    assert page.get("plotly_chart")[0].proto.spec.count("#ff0000") == 1
    page.sidebar.slider[0].set_value(0.9).run()
    page.sidebar.multiselect[0].set_value([]).run()
    assert (texts(page.info), len(page.get("plotly_chart"))) == (["Choose a metric"], 0)


def test_compare(page_of: Any) -> None:
    page = page_of("compare")
    assert [tab.label for tab in page.tabs] == ["Parameters", "Metrics", "Details"]
    assert list(page.table[0].value.index) == ["lr"], "only what differs"
    page.toggle[0].set_value(False).run()
    assert sorted(page.table[0].value.index) == ["layers", "lr"]
    assert len(page.metric) == 4


def test_scatter(page_of: Any) -> None:
    page = page_of("scatter")
    assert texts(page.caption) == ["3 experiments"]
    page.selectbox[0].select("loss")
    page.button[0].click().run()
    assert texts(page.caption) == ["3 experiments, drawn on request"]


def test_pager(page_of: Any) -> None:
    page = page_of("pager")
    assert "first (1 of 3)" in page.markdown[0].value
    page.button[0].click().run()
    assert "third (3 of 3)" in page.markdown[0].value
    page.button[1].click().run()
    assert "first (1 of 3)" in page.markdown[0].value


def test_export(page_of: Any) -> None:
    page = page_of("export")
    assert [one.value for one in page.metric] == ["3", "2"]
    assert len(page.get("download_button")) == 1
    assert len(page.dataframe[0].value) == 6


def test_linked(page_of: Any) -> None:
    page = page_of("linked")
    page.selectbox[0].select("second").run()
    assert page.query_params["run"] == "second"
    assert "Chosen: **second**" in page.markdown[0].value


def test_distribution(page_of: Any) -> None:
    page = page_of("distribution")
    page.sidebar.number_input[0].set_value(3).run()
    assert len(page.get("image")) == 1


def test_report(page_of: Any) -> None:
    page = page_of("report", width=640, height=480, theme="dark")
    assert texts(page.text)[:2] == ["plain *text*", "(640, 480)\ndark"]
    assert any("- **first**: finished" in text for text in texts(page.markdown))
    page.button[0].click().run()
    assert texts(page.text)[-1] == "more"


def test_chosen(page_of: Any) -> None:
    page = page_of("chosen")
    assert texts(page.success) == ["3 experiments"]
    page.number_input[0].set_value(-1.0).run()
    assert texts(page.warning) == ["no experiment is that good"]


def test_watching(page_of: Any) -> None:
    page = page_of("watching")
    assert sorted(texts(page.markdown)) == ["first: step 9", "second: step 9", "third: step 9"]


def test_widgets(page_of: Any) -> None:
    page = page_of("widgets")
    page.sidebar.text_input[0].input("world").run()
    page.sidebar.multiselect[0].set_value([]).run()
    page.button[0].click().run()
    page.button[0].click().run()
    assert "world 4" not in texts(page.markdown), "what is no text stands alone"
    assert texts(page.markdown)[0] == "world"
    assert any("count" in text and "2" in text for text in texts(page.markdown))


def test_steps(page_of: Any) -> None:
    page = page_of("steps")
    page.sidebar.slider[0].set_value(9).run()
    shown = page.dataframe[0].value
    assert dict(zip(shown["experiment_name"], shown["loss"], strict=True)) == {
        "first": 0.1,
        "second": 1.1,
        "third": 2.1,
    }
    assert len(page.get("plotly_chart")) == 2


def test_metrics_as_a_frame(server: str) -> None:
    api = rs.API(url=server)
    keys = [one.run for one in api.runs()]
    frame = api.get_metrics_df(keys, ["loss", "acc"])
    assert list(frame.columns) == ["experiment_key", "experiment_name", "step", "loss", "acc"]
    assert len(frame) == 30
    assert frame[frame["experiment_name"] == "first"]["acc"].tolist() == [float(step) for step in range(10)]
    assert len(api.get_metrics_df(keys, ["loss"], "duration")) == 300
    assert api.get_metrics_df(keys, ["nothing"]).empty
    assert api.get_metrics_df([], ["loss"]) is None
    with pytest.raises(Invalid, match="x_axis is 'time': give one of step"):
        api.get_metrics_df(keys, ["loss"], "time")


def test_bare(page_of: Any, capsys: pytest.CaptureFixture[str]) -> None:
    page = page_of("bare")
    page.sidebar.selectbox[0].select("second").run()
    assert texts(page.markdown) == ["### Summary", "<b>3</b> experiments", "Chosen: second"]
    assert "Chosen: second" in capsys.readouterr().out


def snapshot(server: str, source: str, **options: Any) -> PanelResult:
    context = PanelContext("default", "manners", options=options)
    return run_panel(source, context, url=server, read_key=None, limits=PanelLimits(120, 8192))


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("curves", {"control", "library", "plotly"}),
        ("compare", {"control", "table", "markdown", "text"}),
        ("losses", {"control", "image"}),
        ("bare", {"control", "markdown", "html"}),
    ],
)
def test_the_snapshot_has_what_the_live_panel_shows(server: str, name: str, kinds: set[str]) -> None:
    result = snapshot(server, (PANELS / f"{name}.py").read_text())
    assert (result.status, result.error) == ("ok", "")
    assert {str(item["kind"]) for item in result.items} == kinds


def test_a_snapshot_takes_options_for_widgets_of_streamlit(server: str) -> None:
    result = snapshot(server, (PANELS / "leaderboard.py").read_text(), Metric="loss", Rows="1")
    [table] = [item for item in result.items if item["kind"] == "table"]
    assert (table["total"], table["links"]) == (1, ["link"])


def test_a_snapshot_says_what_it_cannot_show_and_what_was_raised(server: str) -> None:
    source = "import streamlit as st\nst.line_chart({'a': [1, 2]})\nst.warning('odd')\nraise KeyError('x')\n"
    result = snapshot(server, source)
    assert [item["kind"] for item in result.items] == ["note", "table", "note"]
    assert "live panel only" in result.items[0]["text"]
    assert (result.status, "line 4" in result.error) == ("failed", True)


def test_lines_that_install_packages_say_what_is_missing(server: str) -> None:
    source = "%pip install streamlit no-such-package-of-ours\nimport streamlit as st\nst.write('after')\n"
    result = snapshot(server, source)
    assert result.error == ""
    assert "installs no-such-package-of-ours, and this server installs nothing" in result.items[0]["text"]
    assert result.items[1]["text"] == "after"


def test_experiments_are_cached_and_copied_as_values(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSTREAM_API_KEY", "key-of-the-other-process")
    experiments = rs.API(url=server).runs()
    assert copy.deepcopy(experiments[0]) is experiments[0]
    packed = pickle.dumps(list(experiments))
    assert b"key-of-the-other-process" not in packed
    [again, *_] = pickle.loads(packed)
    assert (again.run, again.parameters()) == (experiments[0].run, experiments[0].parameters())


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_panel_is_served_on_this_machine_until_that_ends(server: str, tmp_path: Path, how: signal.Signals) -> None:
    file = tmp_path / "mine.py"
    file.write_text("import streamlit as st\nst.write('first')\n")
    told = ("panel", "serve", file, "-p", "manners", "--url", server, "--json", "--no-browser")
    child = ForkedChild("runstream_infra.cli", *told, environment=_environment(), errors=tmp_path / "errors.log")
    try:
        lines = list(itertools.takewhile(lambda line: line != "}\n", child.stdout))
        assert lines, (tmp_path / "errors.log").read_text()
        address = json.loads("".join(lines) + "}")["address"]
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(f"{address}/_stcore/health", timeout=60) as response:
            assert response.read() == b"ok"
        served = [path for path in Path("/proc").glob("[0-9]*") if _runs_panels_of(path, child.pid)]
        [copy] = {path for one in served for path in _panel_files(one)}
        file.write_text("import streamlit as st\nst.write('second')\n")
        wait_until(lambda: "second" in copy.read_text())
    finally:
        child.send_signal(how)
        code = child.wait(timeout_s=60)
    assert code == (0 if how is signal.SIGTERM else -how), (tmp_path / "errors.log").read_text()
    wait_until(lambda: not copy.parent.exists())
    wait_until(lambda: not any("panels/supervisor.py" in "".join(_command(path)) for path in served))


def _command(process: Path) -> list[str]:
    try:
        return (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def _runs_panels_of(process: Path, parent: int) -> bool:
    """Whether it is the supervisor of a panel that the parent started."""
    try:
        status = (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return status[1] == str(parent) and any(part.endswith("panels/supervisor.py") for part in _command(process))


def _panel_files(process: Path) -> list[Path]:
    return [Path(part) / "panel.py" for part in _command(process) if Path(part).name.startswith("rs-panel-")]
