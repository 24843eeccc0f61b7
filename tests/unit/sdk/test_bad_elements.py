"""One bad element of a call costs only itself, and is told with its name, its value and what to do."""

import enum
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import runstream as rs
from kit.examples import examples
from runstream.client.content.plain import fitted
from runstream.client.content.text import tag_pieces, usable_tags
from runstream.client.run import Run
from runstream.events.limits import MAX_EVENT_BYTES


@pytest.fixture
def run(tmp_path: Path) -> Run:
    quiet: dict[str, Any] = {"capture_console": False, "capture_code": False, "system_metrics_s": 0}
    return rs.init(mode="offline", dir=tmp_path / "spool", **quiet)


@pytest.fixture
def of_type(run: Run, read: Callable[[Path], Any]) -> Callable[[str], list[dict[str, Any]]]:
    def look(tag: str) -> list[dict[str, Any]]:
        assert run.spool_folder is not None
        found: list[dict[str, Any]] = read(run.spool_folder).of_type(tag)
        return found

    return look


def test_parameters(run: Run, of_type: Any, caplog: pytest.LogCaptureFixture) -> None:
    run.log_params({"": 1, "lr": 0.1, "x" * 600: 2, "half \ud800": 3})
    (event,) = of_type("parameters_logged.v1")
    assert event["values"] == {"lr": 0.1, "x" * 500: 2, "half ?": 3}
    assert f"log_params() of run {run.run_id}: parameter '' (value 1) was left out: give it a name" in caplog.text


def test_others(run: Run, of_type: Any, caplog: pytest.LogCaptureFixture) -> None:
    run.log_others({"x" * 600: 1, "b": 2, "": 3, 4: "four"})  # type: ignore[dict-item]
    (event,) = of_type("others_logged.v1")
    assert event["values"] == {"b": 2, "4": "four"}
    assert "(value 1) was left out: its name has 600 characters, give 1 to 500" in caplog.text
    caplog.clear()
    run.log_others({"x" * 600: 1})
    assert not caplog.text, "the same thing is told once"


def test_tags(run: Run, of_type: Any, caplog: pytest.LogCaptureFixture) -> None:
    class Kind(str, enum.Enum):  # noqa: UP042 (its str() is not its value)
        FAST = "fast"

    def broken() -> Iterator[str]:
        yield "f"
        raise OSError("the disk is gone")

    run.add_tags("a", "", "b", ["c", 3, None, ["d"], "e" * 201], 4, broken(), Kind.FAST, "a")  # type: ignore[arg-type,list-item]
    run.remove_tags("a", "", "b")
    assert [event["tags"] for event in of_type("tags_added.v1")] == [["a", "b", "c", "f", "fast"]]
    assert [event["tags"] for event in of_type("tags_removed.v1")] == [["a", "b"]]
    for bad in ("tag ''", "tag 3", "tag None", "tag ['d']", "tag 'eee", "tag 4", "the disk is gone"):
        assert bad in caplog.text
    assert "give a string of 1 to 200 characters" in caplog.text


def test_many_tags_are_several_events() -> None:
    tags, problems = usable_tags([(f"\x01{number:05d}" * 40)[:200] for number in range(1500)])
    assert len(tags) == 1000
    assert len(problems) == 1
    pieces = list(tag_pieces(tags))
    assert sum(pieces, ()) == tags
    assert all(len(rs.events.control.encode_event(added(piece))) <= MAX_EVENT_BYTES for piece in pieces)


def added(tags: tuple[str, ...]) -> Any:
    from runstream.events.control import TagsAdded

    return TagsAdded(at_us=1, tags=tags)


def test_metadata_of_an_asset(run: Run, of_type: Any, caplog: pytest.LogCaptureFixture) -> None:
    metadata = {"big": "x" * 300_000, "": 1, "small": 2, "y" * 600: 3, "list": list(range(200_000))}
    first = run.log_asset(b"x", "a.bin", metadata=metadata)
    second = run.log_asset(b"x", "b.bin", metadata=3)  # type: ignore[arg-type]
    third = run.log_asset(b"x", "c.bin", step=1.5)  # type: ignore[arg-type]
    fourth = run.log_asset(b"x", "d.bin", step=3.0)  # type: ignore[arg-type]
    events = of_type("asset_logged.v1")
    assert [event["asset_id"] for event in events] == [first, second, third, fourth]
    assert events[0]["metadata"]["small"] == 2
    assert events[0]["metadata"]["big"].endswith("... (cut)") or "big" not in events[0]["metadata"]
    assert len(events[0]["metadata"]) < 4
    assert events[1]["metadata"] == {}
    assert [event.get("step") for event in events] == [None, None, None, 3]
    for told in ("metadata ''", "metadata 'big'", "metadata 3 was left out", "step 1.5 was left out"):
        assert told in caplog.text


def test_an_asset_that_does_not_fit_has_no_id(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runstream.spool.writer.limits.MAX_EVENT_BYTES", 10)
    assert run.log_asset(io.BytesIO(b"x"), "a.bin") is None


def test_many_bad_elements_are_told_in_few_lines(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    run.add_tags(*["t" * (201 + number) for number in range(60)], "fine")
    lines = [record for record in caplog.records if "add_tags()" in record.getMessage()]
    assert 0 < len(lines) <= 11


def test_notices_show_no_secrets(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    token = "hunter2-Kq93nfpz71xLw"
    run.log_params({"db": {"password": token}, "db.password": token})
    run.log_others({"password" + "x" * 600: "sk-ant-api03-" + "Ab3" * 20})
    assert "twice" in caplog.text
    assert token not in caplog.text
    assert "Ab3Ab3" not in caplog.text


@settings(deadline=None, max_examples=examples(100), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text(max_size=20), st.text(max_size=3000) | st.integers(), max_size=12), st.integers(0, 9000))
def test_what_is_fitted_fits(values: dict[str, Any], most: int) -> None:
    import json

    values = {name.encode("utf-8", "replace").decode(): value for name, value in values.items()}
    kept, changed = fitted(values, most)
    sizes = [len(json.dumps({name: value}, ensure_ascii=False).encode()) for name, value in kept.items()]
    assert sum(sizes) <= most
    assert list(kept) == [name for name in values if name in kept]
    assert {name for name in values if name not in kept or kept[name] != values[name]} == set(changed)
