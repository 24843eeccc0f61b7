"""`run.config` and `run.summary`: mappings whose writes are logged."""

import argparse
import copy
import json
import pickle
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import runstream as rs
from runstream.spool.writer import SpoolWriter

Make = Callable[..., SpoolWriter]


@pytest.fixture
def run(tmp_path: Path) -> rs.Run:
    return rs.init(
        mode="offline",
        dir=tmp_path / "spool",
        config={"lr": 0.1, "net": {"width": 64}},
        capture_console=False,
        capture_code=False,
        system_metrics_s=0,
    )


@pytest.fixture
def kept(run: rs.Run, read: Callable[[Path], Any]) -> Callable[[str], dict[str, Any]]:
    """All values of the events of one type, the later ones over the earlier."""

    def look(tag: str) -> dict[str, Any]:
        assert run.spool_folder is not None
        found: dict[str, Any] = {}
        for event in read(run.spool_folder).of_type(tag):
            found |= event["values"]
        return found

    return look


def test_a_configuration_reads_like_a_mapping_and_by_attribute(run: rs.Run) -> None:
    assert run.config.lr == run.config["lr"] == 0.1
    assert run.config.net == {"width": 64}
    assert dict(run.config) == {**run.config} == run.config.as_dict() == {"lr": 0.1, "net": {"width": 64}}
    assert (list(run.config), len(run.config), "lr" in run.config) == (["lr", "net"], 2, True)
    assert (run.config.get("nope"), run.config.get("nope", 3)) == (None, 3)
    with pytest.raises(KeyError):
        run.config["nope"]
    with pytest.raises(AttributeError, match=r"the config of this run has no 'nope' .it has lr, net"):
        run.config.nope  # noqa: B018
    assert not hasattr(run.config, "nope")
    assert copy.deepcopy(run.config) == pickle.loads(pickle.dumps(run.config)) == dict(run.config)


def test_what_is_written_to_a_configuration_is_logged(run: rs.Run, kept: Any) -> None:
    run.config.lr = 0.2
    run.config["seed"] = 7
    run.config.update({"net": {"width": 32}}, allow_val_change=True)
    run.config.update(argparse.Namespace(layers=3), dropout=0.5)
    run.config.setdefaults({"lr": 9, "warmup": 10})
    assert run.config.setdefault("seed", 1) == 7
    run.config({"called": True})
    run.config = {"assigned": 1}
    run.log_params({"logged": "yes"})
    parameters = kept("parameters_logged.v1")
    assert parameters == {
        "lr": 0.2,
        "seed": 7,
        "net.width": 32,
        "layers": 3,
        "dropout": 0.5,
        "warmup": 10,
        "called": True,
        "assigned": 1,
        "logged": "yes",
    }
    assert dict(run.config) == {"lr": 0.2, "net": {"width": 32}} | {
        name: value for name, value in parameters.items() if name not in ("lr", "net.width")
    }


def test_names_with_an_underscore_are_names(run: rs.Run, kept: Any) -> None:
    run.config._x = 1
    run.config["_y"] = 2
    assert (run.config._x, run.config["_x"], run.config._y) == (1, 1, 2)
    assert kept("parameters_logged.v1")["_x"] == 1
    with pytest.raises(AttributeError, match="the config of this run has no '_z'"):
        run.config._z  # noqa: B018
    assert not hasattr(run.config, "__array__")
    for name, value in (("_values", 3), ("update", 4)):
        setattr(run.config, name, value)
    assert (run.config["_values"], run.config["update"]) == (3, 4), "the object keeps its own, the values are there"
    assert callable(run.config.update)
    assert copy.deepcopy(run.config)["_x"] == 1


def test_a_summary_has_what_was_logged_last_and_what_was_set(run: rs.Run, kept: Any) -> None:
    for step in range(5):
        run.log({"loss": 1 / (step + 1), "acc": step}, step=step)
    run.log({"val": 0.5, "acc": 10}, step=1)
    run.sample({"system/cpu_percent": 3.0}, 0)
    assert dict(run.summary) == {"loss": 0.2, "acc": 10.0, "val": 0.5}
    run.summary["best"] = 9
    run.summary.acc = 11
    run.summary.update({"note": "fine"})
    run.log({"acc": 12})
    assert (run.summary.acc, run.summary["best"], run.summary.get("loss")) == (11, 9, 0.2)
    assert kept("others_logged.v1") == {"best": 9, "acc": 11, "note": "fine"}
    run.finish()
    assert run.summary.val == 0.5


def test_a_disabled_run_has_a_configuration_and_a_summary() -> None:
    run = rs.init(mode="disabled", config={"lr": 0.1})
    run.log({"loss": 1})
    run.summary["best"] = 2
    assert (run.config.lr, dict(run.summary)) == (0.1, {"loss": 1.0, "best": 2})


def test_nothing_that_is_set_raises(run: rs.Run, caplog: pytest.LogCaptureFixture) -> None:
    class Unreadable:
        def __str__(self) -> str:
            raise ValueError("no text")

        def __bool__(self) -> bool:
            raise ValueError("neither")

    for odd in ([1, 2], 5, "text", array("d", [1, 2]), Unreadable(), {Unreadable(): 1}):
        run.config.update(odd)
        run.config.setdefaults(odd)
        run.summary.update(odd)
    run.config.update([("a", 1)])
    run.config[2] = "two"  # type: ignore[index]
    assert (run.config.a, run.config["2"], run.config.setdefault(2, 0)) == (1, "two", "two")  # type: ignore[arg-type]
    assert "log_params() of run" in caplog.text


def test_the_last_values_of_many_segments(make_writer: Make) -> None:
    """What was logged once, long ago, and what alternates."""
    writer = make_writer(segment_bytes=2048, max_segment_bytes=2048)
    writer.log_row({"once": 7})
    for step in range(1000):
        writer.log_row({"a": step, "b": -step})
        if step % 3 == 0:
            writer.log_row({"a": step + 0.5})
    writer.log_row({"bad": None, "c": 1})
    assert len(list(writer.folder.glob("*.rows"))) > 10
    assert writer.last_values() == {"once": 7.0, "a": 999.5, "b": -999.0, "c": 1.0}
    writer.close()
    assert writer.last_values()["a"] == 999.5


def test_pictures_figures_histograms_tables_and_texts_in_log(run: rs.Run, read: Any, tmp_path: Path) -> None:
    np, pd, image = pytest.importorskip("numpy"), pytest.importorskip("pandas"), pytest.importorskip("PIL.Image")
    pyplot = pytest.importorskip("matplotlib.pyplot")
    figure = pyplot.figure()
    run.log(
        {
            "loss": 0.5,
            "val": {"picture": image.new("RGB", (4, 3))},
            "pixels": np.zeros((5, 4, 3), np.uint8),
            "figure": figure,
            "weights": np.array([0.0, 1.0, 1.0, np.nan, np.inf]),
            "list": [1, 2, 2, 3],
            "frame": pd.DataFrame({"x": [1, 2], "y": ["a", "b,c"]}),
            "rows": [{"x": 1}, {"x": 2, "y": 3}],
            "text": "a prediction",
            "pair": [image.new("L", (2, 2)), image.new("L", (3, 3))],
        },
        step=7,
    )
    pyplot.close(figure)
    assert run.spool_folder is not None
    written = read(run.spool_folder)
    assert [(row[1], row[2]) for row in written.rows] == [({"loss": 0.5}, 7)]
    assets = written.of_type("asset_logged.v1")
    assert {asset["step"] for asset in assets} == {7}
    assert [(asset["name"], asset["kind"], asset["content_type"]) for asset in assets] == [
        ("val/picture", "image", "image/png"),
        ("pixels", "image", "image/png"),
        ("figure", "image", "image/png"),
        ("weights", "histogram", "application/json"),
        ("list", "histogram", "application/json"),
        ("frame", "table", "text/csv"),
        ("rows", "table", "text/csv"),
        ("text", "text", "text/plain; charset=utf-8"),
        ("pair", "image", "image/png"),
        ("pair", "image", "image/png"),
    ]
    data = [(run.spool_folder / "assets" / asset["sha256"]).read_bytes() for asset in assets]
    weights, listed = json.loads(data[3]), json.loads(data[4])
    assert (weights["count"], weights["nan_count"], weights["infinite_count"]) == (5, 1, 1)
    assert (weights["min"], weights["max"], weights["mean"], sum(weights["counts"])) == (0.0, 1.0, 2 / 3, 3)
    assert (listed["counts"][0], listed["counts"][-1], len(listed["edges"])) == (1, 1, 65)
    assert data[5].decode() == 'x,y\n1,a\n2,"b,c"\n'
    assert data[6].decode() == "x,y\n1,\n2,3\n"
    assert data[7].decode() == "a prediction"


def test_content_alone_takes_a_step_of_its_own(run: rs.Run, read: Any) -> None:
    run.log({"loss": 1})
    run.log({"text": "first"})
    run.log({"loss": 2, "text": "second"})
    assert run.spool_folder is not None
    written = read(run.spool_folder)
    assert [row[2] for row in written.rows] == [0, 2]
    assert [asset["step"] for asset in written.of_type("asset_logged.v1")] == [1, 2]


def test_a_label_with_each_step_fills_no_disk(
    run: rs.Run, read: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("runstream.client.content.logged.MAX_FILES", 3)
    for step in range(5):
        run.log({"phase": "train", "loss": step})
    assert run.spool_folder is not None
    assert len(read(run.spool_folder).of_type("asset_logged.v1")) == 3
    assert read(run.spool_folder).values("loss") == [0, 1, 2, 3, 4]
    assert caplog.text.count("metric 'phase' got 'train'") == 1


def test_each_picture_of_a_list_counts(run: rs.Run, read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    np = pytest.importorskip("numpy")
    monkeypatch.setattr("runstream.client.content.logged.MAX_FILES", 3)
    for _ in range(2):
        run.log({"samples": [np.zeros((2, 2), np.uint8)] * 2})
    assert run.spool_folder is not None
    assert len(read(run.spool_folder).of_type("asset_logged.v1")) == 3


def test_an_object_that_changes_its_mind_costs_only_itself(run: rs.Run, read: Any) -> None:
    class Fickle:
        looks = 0

        def __getattr__(self, name: str) -> Any:
            if name != "savefig":
                raise AttributeError(name)
            Fickle.looks += 1
            if Fickle.looks > 1:
                raise RuntimeError(name)
            return lambda *_: None

    run.log({"figure": Fickle(), "loss": 1})
    assert run.spool_folder is not None
    assert read(run.spool_folder).values("loss") == [1.0]


def test_what_is_neither_a_number_nor_content_is_told(run: rs.Run, read: Any, caplog: pytest.LogCaptureFixture) -> None:
    class Hostile:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(name)

    run.log({"a": None, "b": "0.5", "c": [], "d": object(), "e": Hostile(), "f": ["x", 1], "loss": 1})
    assert run.spool_folder is not None
    assert read(run.spool_folder).values("loss") == [1.0]
    assert not read(run.spool_folder).of_type("asset_logged.v1")
    for name in "abcdef":
        assert f"metric '{name}' got" in caplog.text
    np = pytest.importorskip("numpy")
    run.log({"words": np.array(["x", "y"])})
    assert "log_histogram() of run" in caplog.text
    assert "give real numbers" in caplog.text


@pytest.mark.parametrize(
    "values",
    [
        [],
        [3],
        [1, 2],
        [-1e308, 1e308],
        [0.1] * 7,
        [1, 2, 3, 10],
        [5e-324, 0],
        [1.0, 1.0000000000000002],
        [1e300, 1e300],
    ],
)
def test_histograms_of_lists_and_arrays_are_equal(values: list[float]) -> None:
    np = pytest.importorskip("numpy")
    from runstream.client.content.histograms import histogram_of
    from runstream.errors import Invalid

    try:
        listed = histogram_of(values, bins=8)
    except Invalid:
        with pytest.raises(Invalid):
            histogram_of(np.array(values, float), bins=8)
        return
    counted = histogram_of(np.array(values, float), bins=8)
    assert listed["edges"] == pytest.approx(counted["edges"])
    assert {**listed, "edges": [], "mean": 0} == {**counted, "edges": [], "mean": 0}
    assert sum(listed["counts"]) == len(values)
