"""What a newcomer copies from the documentation runs as it stands."""

import re
import signal
from pathlib import Path
from typing import Any

import pytest

import runstream as rs
from runstream.settings import ENVIRONMENT, SettingValues

_ROOT = Path(__file__).parents[3]
_README, _SDK = _ROOT / "README.md", _ROOT / "docs" / "sdk.md"


def _blocks(path: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE)


#: What the documents leave to the reader: data and a model.
_READERS: dict[str, Any] = {"batches": range(3), "train": lambda *_: (0.5, 0.9), "report": "all well"}


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"MODE": "offline", "DIR": str(tmp_path / "spool"), "CAPTURE_CODE": "0", "SYSTEM_METRICS_S": "0"}
    for name, value in values.items():
        monkeypatch.setenv(f"RUNSTREAM_{name}", value)
    Path("confusion.png").write_bytes(b"a picture")


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("path", [_README, _SDK], ids=["README", "sdk"])
def test_snippets_for_training_code(path: Path, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    blocks = [block for block in _blocks(path) if "rs.API" not in block]
    assert blocks
    space = dict(_READERS)
    before = signal.getsignal(signal.SIGTERM)
    try:
        for block in blocks:
            exec(compile(block, path.name, "exec"), space)
            assert rs.active_run() is None, "each example ends what it began"
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not caplog.text, "an example that warns is no example"
    begun = sum(len(re.findall(r"^[^#\n]*rs\.init\(", block, re.MULTILINE)) for block in blocks)
    assert len(list((tmp_path / "spool" / "writers").iterdir())) == begun


@pytest.mark.parametrize("path", [_README, _SDK], ids=["README", "sdk"])
def test_tables_of_settings(path: Path) -> None:
    """Every setting stands in the table with its variable and its default."""
    rows = [line for line in path.read_text().splitlines() if line.startswith("| ") and "`RUNSTREAM_" in line]
    for variable, name in ENVIRONMENT.items():
        (row,) = [row for row in rows if f"`{variable}`" in row]
        assert f"`{name}`" in row
        default = SettingValues.model_fields[name].default
        shown = {None: "none", True: "true", False: "false"}.get(default, str(default).removesuffix(".0"))
        assert re.search(rf"\| `?{re.escape(shown)}`? \|", row), f"{row} does not tell the default {shown}"
