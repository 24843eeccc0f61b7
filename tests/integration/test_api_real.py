"""`runstream.API` against the real server, over runs that a real trainer logged: every public method, as tables, and
what it says when something is wrong."""

import hashlib
import json
import math
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import runstream
from kit.servers.embedded import Server, wait_until_visible
from runstream._version import VERSION
from runstream.api import API, Change, Curve, Envelope, NameTaken, NotFound, Refused, ServerUnreachable, Session, Writer
from runstream.api.forwarding import forward
from runstream.events.positions import Positions
from runstream.query import Field

STEPS = 1000
WANTED = {"workspace": "default", "project": "wanted"}
WEIGHTS = bytes(range(256)) * 10_000
TRAIN = """
import math, sys
from pathlib import Path
import runstream as rs

url, folder = sys.argv[1], Path(sys.argv[2])
weights = folder / "best.bin"
weights.write_bytes(bytes(range(256)) * 10_000)
for number in range(3):
    run = rs.init(project="digits", experiment="sweep", name=f"mlp-{number}", run_id=f"api-{number}", url=url,
                  dir=folder / "spool", config={"lr": 10.0**-number, "layers": [16, 16], "odd": math.nan,
                  "mixed": number or "none"}, tags=["sweep", f"n{number}"],
                  group="sweep-7" if number else None, job_type=("", "train", "evaluate")[number],
                  system_metrics_s=0, capture_code=False)
    print(f"run {number} begins")
    for step in range(1000):
        run.log({"loss": 1 / (step + 1) + number, "acc": math.nan if step == 7 else step / 1000}, step=step)
    run.log({"loss": -math.inf}, step=1000)
    run.log_other("note", "first try")
    if number == 0:
        run.log_asset(weights, name="models/best.bin", kind="model", step=999, metadata={"epoch": 3})
        run.log_text("remarks.txt", "all is well")
    assert run.finish(timeout_s=240)
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("api")
    (folder / "data").mkdir()
    with Server(folder / "data") as server:
        subprocess.run([sys.executable, "-c", TRAIN, server.url, str(folder)], check=True, capture_output=True)
        wait_until_visible(server.url, [f"api-{number}" for number in range(3)])
        yield server.url


@pytest.fixture
def api(url: str) -> API:
    return runstream.API(url=url)


def test_runs_by_filter_sort_and_columns(api: API) -> None:
    columns = ["param.lr", "param.mixed", "metric.loss.min", "metric.acc.last"]
    found = api.runs('metric.loss.max > 1.5 and tag = "sweep"', "-param.lr", columns=columns, project="digits")
    assert [view.id for view in found] == ["api-1", "api-2"]
    first = found[0]
    assert (first.name, first.status, first.experiment, first.tags) == ("mlp-1", "finished", "sweep", ("sweep", "n1"))
    assert first.columns == {"param.lr": 0.1, "param.mixed": 1, "metric.loss.min": -math.inf, "metric.acc.last": 0.999}
    assert first.ended_at is not None
    assert abs((first.ended_at - first.started_at).total_seconds() - first.duration_s) < 1e-3
    assert [view.id for view in api.runs(sort="id", limit=2)] == ["api-0", "api-1"]
    assert api.run(first) == api.run("api-1") == api.run("api-1", wait_for="0:0", wait_s=1)


@pytest.mark.parametrize(
    "do",
    [
        lambda api: api.rename("a-name", "x"),
        lambda api: api.add_tags("a-name", "x"),
        lambda api: api.delete("a-name"),
        lambda api: api.archive("a-name"),
        lambda api: api.log_artifact_version("m", "model", {"a": b"1"}, run="a-name"),
    ],
)
def test_a_command_about_a_run_that_does_not_exist_makes_none(do: Callable[[API], object], api: API) -> None:
    with pytest.raises(NotFound, match="No run has the id 'a-name'"):
        do(api)
    assert list(api.runs('id = "a-name"')) == []


def test_commands_take_several_runs(api: API) -> None:
    started = {"type": "run_started.v1", "workspace": "default", "project": "several"}
    ids = [f"several-{number}" for number in range(5)]
    api.command(ids, started)
    found = api.runs(project="several")
    assert sorted(run.id for run in found) == ids
    api.add_tags(found, ["old", "done"])
    assert [run.tags for run in api.runs(project="several")] == 5 * [("old", "done")]
    api.remove_tags(ids[:2], "old")
    assert sorted(run.id for run in api.runs('tag = "old"', project="several")) == ids[2:]
    with pytest.raises(NotFound, match="'nobody'"):
        api.delete([ids[0], "nobody"])
    assert len(api.runs(project="several")) == 5, "a request that names nobody's run does nothing"
    api.delete(found[:3])
    assert len(api.runs(project="several")) == 2
    api.restore([found[0], found[1]])
    api.archive([found[3], found[4]])
    assert len(api.runs(project="several")) == 2
    assert api.delete([]) == api.position


def test_runs_by_group(api: API) -> None:
    found = api.runs('group = "sweep-7"', "job_type")
    assert [(run.id, run.group, run.job_type) for run in found] == [
        ("api-2", "sweep-7", "evaluate"),
        ("api-1", "sweep-7", "train"),
    ]
    assert found.to_arrow()["group"].to_pylist() == ["sweep-7", "sweep-7"]
    assert (api.run("api-0").group, api.run("api-0").job_type) == ("", "")
    training = (Field("group") == "sweep-7") & (Field("job_type") != "evaluate")
    assert [run.id for run in api.runs(training.filter())] == ["api-1"]


def test_runs_as_tables(api: API) -> None:
    found = api.runs('name contains "mlp"', "id", columns=["param.lr", "param.mixed"])
    frame = found.to_pandas()
    assert list(frame["run"]) == ["api-0", "api-1", "api-2"]
    assert list(frame["param.lr"]) == [1.0, 0.1, 0.01]
    table = found.to_arrow()
    assert table["run"].to_pylist() == ["api-0", "api-1", "api-2"]
    assert table["param.lr"].to_pylist() == [1.0, 0.1, 0.01]
    assert table["param.mixed"].to_pylist() == ['"none"', "1", "2"], "several kinds under one name: JSON"
    assert table["started_at"].type == pa.timestamp("us", tz="UTC")
    assert table["tags"].to_pylist()[0] == ["sweep", "n0"]
    none = api.runs('name = "nobody"')
    assert list(none.to_pandas()["run"]) == none.to_arrow()["run"].to_pylist() == []


def test_what_a_run_logged(api: API) -> None:
    view = api.run("api-0")
    assert view.parameters() == api.parameters(view) == {"lr": 1.0, "layers": [16, 16], "odd": "NaN", "mixed": "none"}
    assert view.others() == api.others("api-0") == {"note": "first try"}
    environment = api.environment(view)
    assert environment == view.environment()
    assert environment["host.hostname"] == socket.gethostname()
    assert "run 0 begins" in api.output(view, "stdout")
    assert api.output("api-0", "stderr").count("run 0 begins") == 0
    kinds = [event["type"] for event in api.history(view)]
    assert kinds[0] == "run_started.v1"
    assert {"parameters_logged.v1", "asset_logged.v1", "run_finished.v1"} <= set(kinds)
    (writer,) = api.writers(view)
    assert (writer.ended, writer.clock_ahead_s) == (True, None)
    assert writer.last_seen_at is not None
    assert abs(writer.last_seen_at - datetime.now(UTC)) < timedelta(hours=1)


def test_summaries(api: API) -> None:
    (summary,) = api.summaries("api-1", "acc")
    assert (summary.count, summary.nan_count, summary.maximum, summary.maximum_step) == (STEPS, 1, 0.999, 999)
    assert math.isnan(summary.mean)
    found = api.summaries(api.runs(sort="id"), ["lo*"])
    assert [(row.run, row.minimum) for row in found] == [(f"api-{number}", -math.inf) for number in range(3)]
    assert list(found.to_pandas()["count"]) == found.to_arrow()["count"].to_pylist() == [STEPS + 1] * 3
    assert api.run("api-1").summaries("acc").to_arrow()["maximum_at"].type == pa.timestamp("us", tz="UTC")


def test_curves(api: API) -> None:
    view = api.run("api-0")
    curve = api.series(view, "acc").get("api-0", "acc")
    assert isinstance(curve, Curve)
    assert list(curve.steps) == list(range(STEPS))
    assert [value if value == value else None for value in curve.values] == [
        None if step == 7 else step / 1000 for step in range(STEPS)
    ]
    table = api.series(api.runs(sort="id"), "*", step_from=10, step_to=19).to_arrow()
    assert table.num_rows == 3 * 2 * 10
    assert table.schema.names == ["run", "metric", "step", "at", "value", "writer"]
    assert list(view.series("loss").to_pandas()["value"])[-1] == -math.inf
    envelopes = view.series("acc", max_points=10)
    (envelope,) = envelopes
    assert isinstance(envelope, Envelope)
    assert (sum(envelope.count), sum(envelope.nan_count)) == (STEPS, 1)
    assert len(envelope) <= 10
    assert max(envelope.maximum) == 0.999
    assert set(envelopes.to_pandas()["metric"]) == {"acc"}
    (by_time,) = view.series("acc", max_points=10, by="time")
    assert sum(by_time.count) == STEPS


def test_files(api: API, tmp_path: Path) -> None:
    view = api.run("api-0")
    (found,) = api.assets(view, "model")
    assert (found.name, found.size_bytes, found.step, found.metadata) == (
        "models/best.bin",
        len(WEIGHTS),
        999,
        {"epoch": 3},
    )
    assert found.sha256 == hashlib.sha256(WEIGHTS).hexdigest()
    assert api.download(found, tmp_path).read_bytes() == WEIGHTS
    assert (tmp_path / "best.bin").exists()
    files = view.assets()
    assert sorted(asset.name for asset in files) == ["models/best.bin", "remarks.txt"]
    (text,) = [asset for asset in files if asset.name == "remarks.txt"]
    assert api.download(text, tmp_path / "copy.txt").read_text() == "all is well"
    both = api.download_all(files, tmp_path / "all")
    assert [path.relative_to(tmp_path / "all").as_posix() for path in both] == [one.name for one in files]
    assert [len(path.read_bytes()) for path in both] == [one.size_bytes for one in files]
    table = files.to_arrow()
    assert json.loads(table["metadata"].to_pylist()[0]) == {"epoch": 3}
    assert list(files.to_pandas()["size_bytes"]) == [len(WEIGHTS), len("all is well")]


def test_places(api: API) -> None:
    assert "digits" in [project.project for project in api.projects()]
    (experiment,) = api.experiments(project="digits")
    assert (experiment.experiment, experiment.runs) == ("sweep", 3)
    assert experiment.created_at is not None
    workspace = experiment.workspace
    assert workspace in [found.workspace for found in api.workspaces()]
    narrow = runstream.API(url=api.url, workspace=workspace, project="digits")
    assert len(narrow.runs()) == 3
    assert len(runstream.API(url=api.url, project="nowhere").runs()) == 0
    assert "created_at" in api.projects(workspace).to_arrow().schema.names


def test_a_name_is_created_once_whoever_asks_for_it_at_the_same_time(url: str) -> None:
    def create(number: int) -> str:
        return runstream.API(url=url).create_project("wanted", description=f"of {number}")

    with ThreadPoolExecutor(8) as threads:
        requested = [threads.submit(create, number) for number in range(8)]
    failures = [one.exception() for one in requested]
    [winner] = [number for number, failure in enumerate(failures) if failure is None]
    assert all(isinstance(failure, NameTaken) for failure in failures if failure is not None)
    api = runstream.API(url=url)
    assert [found.description for found in api.projects() if found.project == "wanted"] == [f"of {winner}"]
    api.create_project("wanted", exist_ok=True)
    assert api.create_experiment("e", "wanted")
    assert api.create_experiment("e2", "wanted"), "another name of the same project"
    with pytest.raises(NameTaken, match=r"experiment 'e' in 'default/wanted' already: give another name"):
        api.create_experiment("e", "wanted")
    api.command("default/wanted", {"type": "experiment_deleted.v1", **WANTED, "experiment": "e"})
    assert api.create_experiment("e", "wanted"), "a deleted name is free again"
    api.command("default/wanted", {"type": "project_deleted.v1", **WANTED})
    assert api.create_project("wanted")


def test_what_came_of_a_command_can_be_queried(url: str) -> None:
    def outcome(query: str) -> tuple[int, Any]:
        try:
            with urllib.request.urlopen(f"{url}/api/v1/commands/{query}", timeout=120) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    body = {"key": "api-1", "event": {"type": "run_notes_set.v1", "notes": "the same"}}
    ids = []
    for _ in range(2):
        request = urllib.request.Request(f"{url}/ingest/v1/commands", json.dumps(body).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=120) as response:
            ids += json.load(response)["commands"]
    assert [outcome(f"{command}?key=api-1")[1]["changed"] for command in ids] == [True, True], "its time changed"
    status, problem = outcome(f"{ids[0]}?key=api-2")
    assert (status, "no command" in problem["detail"]) == (404, True)
    status, problem = outcome("nonsense?key=api-1")
    assert (status, "is no command's id" in problem["detail"]) == (400, True)


def test_commands_are_read_back_at_once_and_the_past_stays(api: API) -> None:
    view = api.run("api-2")
    before = list(api.history(view))[-1]["position"]
    position = api.rename(view, "better")
    assert api.run(view).name == "better"
    assert api.run(view, as_of=before).name == "mlp-2"
    assert api.run(view, wait_for=position).name == "better"
    api.add_tags(view, ["kept", "x"])
    api.remove_tags(view, "x")
    api.set_notes(view, "a remark")
    changed = api.run(view)
    assert (changed.tags, changed.notes) == (("sweep", "n2", "kept"), "a remark")
    for hide in (api.archive, api.delete):
        hide(view)
        assert "api-2" not in [run.id for run in api.runs()]
        api.restore(view)
        assert "api-2" in [run.id for run in api.runs()]
    home = changed.workspace, changed.project, changed.experiment
    api.move(view, "w2", "p2")
    assert [run.id for run in api.runs(workspace="w2", project="p2")] == ["api-2"]
    api.move(view, *home)
    for other in ("best", "shown"):
        api.runs.link(view, "w2", other)
    assert api.run(view).links == ("w2/best", "w2/shown")
    api.runs.unlink(view, "w2", "best")
    linked = api.run(view)
    assert (linked.links, linked.project) == (("w2/shown",), home[1])
    project = {"workspace": home[0], "project": home[1], "type": "project_updated.v1", "description": "handwriting"}
    api.command(f"{home[0]}/{home[1]}", project)
    assert [found.description for found in api.projects() if found.project == "digits"] == ["handwriting"]
    told = api.writers(view, as_of=before)
    assert [writer.ended for writer in told] == [True], "who wrote commands later is not there yet"
    assert len(api.writers(view)) == 2
    api.rename(view, "mlp-2")
    assert isinstance(told[0], Writer)


def test_live_tells_what_changes(api: API) -> None:
    since = api.set_notes("api-1", "before")
    changes = api.live("api-1", "loss", since=since, reconnect=False)
    api.set_notes("api-1", "after")
    change = next(changes)
    assert isinstance(change, Change)
    assert change.run is not None
    assert (change.kind, change.run.id, change.run.notes) == ("run", "api-1", "after")


def test_parts_of_the_api_read_the_same_and_more(api: API) -> None:
    details = api.runs.details("api-0")
    assert (details.run, list(details.writers)) == (api.run("api-0"), list(api.writers("api-0")))
    assert (details.parameters, details.assets, details.clock_ahead_s) == (4, len(api.assets("api-0")), None)
    batches = list(api.series.batches(["api-0", "api-1"], "acc"))
    assert sum(batch.num_rows for batch in batches) == 2 * STEPS
    assert batches[0].schema.names == api.series("api-0", "acc").to_arrow().schema.names
    first = api.runs("id startswith 'api-'", "id", 2)
    assert ([run.id for run in first], first.more) == (["api-0", "api-1"], True)


def test_what_the_server_tells_of_itself(url: str, api: API) -> None:
    assert api.server.readiness().ready
    status = api.server.status()
    assert (status.version, status.quarantined_records) == (VERSION, 0)
    rights = api.server.key()
    assert rights is not None
    assert (rights.name, rights.may_write) == (None, True), "this server has no keys"
    assert list(api.server.odd_clocks()) == []
    settings = {one.variable: one for one in api.server.settings()}
    page, port = settings["RUNSTREAM_QUERY_MAX_PAGE"], settings["RUNSTREAM_LISTEN_PORT"]
    assert (page.value, page.default, page.origin) == (1000, 1000, "default")
    assert (port.value, port.origin) == (int(url.rpartition(":")[2]), "option")
    assert settings["RUNSTREAM_API_KEYS"].value is None


def test_the_position_covers_everything_that_was_written(url: str) -> None:
    writer = runstream.API(url=url)
    assert writer.position == ""
    positions = [writer.set_notes("api-0", "one"), writer.set_notes("api-1", "two")]
    assert Positions.parse(writer.position) == Positions.parse(positions[0]).merged(Positions.parse(positions[1]))
    assert API.over(Session(url)).run("api-0", wait_for=writer.position).notes == "one"


def test_errors_name_the_thing_and_the_next_step(api: API) -> None:
    with pytest.raises(NotFound, match=r"no run has the id 'nobody': look it up"):
        api.run("nobody")
    with pytest.raises(NotFound, match="nobody"):
        list(api.history("nobody"))
    with pytest.raises(Refused, match=r"(?s)column 14.*metric\.loss <\n {13}\^") as refused:
        api.runs("metric.loss <")
    assert (refused.value.problem["column"], refused.value.problem["name"]) == (14, "filter")
    with pytest.raises(Refused, match="sort"):
        api.runs(sort="nonsense")
    with pytest.raises(Refused, match="as_of"):
        api.run("api-0", as_of="yesterday")
    with pytest.raises(Refused, match="run_melted"):
        api.command("api-0", {"type": "run_melted.v1"})
    with pytest.raises(ValueError, match="limit is -1"):
        api.runs(limit=-1)


def test_no_server_names_the_address_and_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    absent = runstream.API(url=address)
    for ask in (absent.runs, lambda: absent.run("a"), lambda: next(absent.live(reconnect=False))):
        with pytest.raises(ServerUnreachable, match=rf"no response from {address} .*`runstream up`.*RUNSTREAM_URL"):
            ask()
    with pytest.raises(ServerUnreachable, match=re.escape(address)):
        absent.series("a").to_arrow()


def test_the_base_install_is_enough_for_the_command_line(url: str) -> None:
    program = (
        "import sys\n"
        "for name in 'aiohttp chdb clickhouse_connect numpy pandas prometheus_client pyarrow'.split():\n"
        "    sys.modules[name] = None\n"
        "from runstream_infra.cli import app\n"
        "sys.exit(app.run(sys.argv[1:]))\n"
    )
    for command in (
        ["query", "metric.acc.max > 0.5 and param.lr < 0.5", "--sort", "id"],
        ["runs"],
        ["show", "api-0"],
        ["series", "api-0", "loss"],
    ):
        requested = [sys.executable, "-c", program, *command, "--url", url]
        done = subprocess.run(requested, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        if command[0] == "query":
            assert re.search(r"api-1 .* 0\.999 .*0\.1", done.stdout), "what the filter looks at is shown"


def test_the_example_of_the_documentation_runs(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    document = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    [example] = re.findall(r"^```python\n(.*?)^```", document, re.DOTALL | re.MULTILINE)
    monkeypatch.setenv("RUNSTREAM_URL", url)
    exec(example, {})
    printed = capsys.readouterr().out
    assert "'kept'" in printed
    assert printed.rstrip().endswith(VERSION)


def test_no_public_method_is_left_out() -> None:
    # Artifacts, Comet's methods and saved views have tests of their own: test_artifacts_api.py, test_managing.py,
    # query_api/test_comet_methods.py.
    elsewhere = {"get", "get_experiment_asset", "get_experiment_asset_by_name"}
    public = {
        name
        for name, value in vars(API).items()
        if name[0] != "_" and not (isinstance(value, forward) and value.part in ("artifacts", "comet"))
    } - elsewhere
    public |= {name for name in API.__annotations__ if name not in ("artifacts", "comet", "views")}
    assert public <= set(re.findall(r"\b(?:api|writer|API)\.(\w+)", Path(__file__).read_text()))
