"""The page's sources: their types, their own tests in Node, and the table of layers in docs/design/page.md."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

import page_build

ROOT: Final = Path(__file__).parents[2]
WEB: Final = ROOT / "web"
SOURCES: Final = WEB / "src"
DESIGN: Final = ROOT / "docs" / "design" / "page.md"
#: `import ... from "x"`, `import "x"`, `export ... from "x"`, `import("x")`.
_IMPORT: Final = re.compile(
    r"""(?:^(?:import|export)\s[^"';]*\bfrom\s*|^import\s*|\bimport\s*\(\s*)(["'])([^"'\s]+)\1""", re.M
)
_COMMENT: Final = re.compile(r"/\*.*?\*/|(?<![:\"'`])//[^\n]*", re.DOTALL)
#: Packages, and the folders that may import them; None: all.
PACKAGES: Final[dict[str, tuple[str, ...] | None]] = {
    "preact": None,
    "preact/hooks": None,
    "preact/jsx-runtime": None,
    "@preact/signals": None,
    "@uwdata/flechette": ("draw",),
}
#: Ways to have a text run as script or markup. The policy refuses them, too.
FORBIDDEN: Final = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "srcdoc")


def sources() -> list[Path]:
    return sorted(path for path in SOURCES.rglob("*") if path.suffix in (".ts", ".tsx", ".css"))


def code_of(path: Path) -> str:
    """A source without its comments."""
    return _COMMENT.sub("", path.read_text())


def layer_of(path: Path) -> str:
    """The folder of the table that a source is in; empty for main.tsx."""
    parts = path.relative_to(SOURCES).parts
    return parts[0] if len(parts) > 1 else ""


def table() -> dict[str, frozenset[str]]:
    """By folder: what it may import, as the table of the design says."""
    rows = re.findall(r"^\| `(\w+)/(?:NAME/)?` \|.*\| ([^|]*) \|$", DESIGN.read_text(), re.M)
    allowed: dict[str, frozenset[str]] = {}
    for folder, may in rows:
        match may:
            case "nothing of ours":
                allowed[folder] = frozenset()
            case "everything" | "all of the above, no other view":
                allowed[folder] = frozenset(allowed) | ({"views"} if may == "everything" else set())
            case _:
                allowed[folder] = frozenset(may.split(", "))
    return allowed


def imports() -> Iterator[tuple[Path, str]]:
    for path in sources():
        for _, target in _IMPORT.findall(code_of(path)):
            yield path, target


def test_every_folder_is_in_the_table() -> None:
    allowed = table()
    assert {"data", "state", "ui", "views", "app"} <= allowed.keys()
    assert allowed["app"] >= {"data", "views", "chart"}
    assert "views" not in allowed["views"]
    folders = {layer_of(path) for path in sources() if path.suffix != ".css"} - {"", "styles"}
    assert folders <= allowed.keys()
    assert all(may <= allowed.keys() for may in allowed.values())


def test_folders_import_what_the_table_allows() -> None:
    allowed, wrong, seen = table(), [], 0
    for path, target in imports():
        if not target.startswith("."):
            continue
        imported = (path.parent / target).resolve()
        assert imported.is_file(), f"{path.relative_to(WEB)} imports {target}: write the whole name of the file"
        inside, other = layer_of(path), layer_of(imported)
        seen += 1
        if inside in ("", "styles") or other == "styles":
            continue
        same_view = path.relative_to(SOURCES).parts[:2] == imported.relative_to(SOURCES).parts[:2]
        if other == inside if inside != "views" else same_view:
            continue
        if other not in allowed[inside]:
            wrong.append(f"{path.relative_to(WEB)} imports {target}: `{inside}/` may import {sorted(allowed[inside])}")
    assert not wrong, "\n".join(wrong)
    assert seen > 50, "hardly an import was looked at: the test tests nothing"


def test_no_other_packages_are_imported() -> None:
    found = {(layer_of(path), target) for path, target in imports() if not target.startswith(".")}
    for folder, package in found:
        assert package in PACKAGES, f"{folder}/ imports {package}"
        may = PACKAGES[package]
        assert may is None or folder in may, f"{folder}/ imports {package}, which {may} may"
    declared = json.loads((WEB / "package.json").read_text())["dependencies"]
    assert {"/".join(package.split("/")[: 2 if package[0] == "@" else 1]) for package in PACKAGES} == declared.keys()


def test_sources_keep_to_the_house() -> None:
    wrong = []
    for path in sources():
        name, code = path.relative_to(WEB), code_of(path)
        if len(path.read_text().splitlines()) > 400:
            wrong.append(f"{name} has more than 400 lines: divide it")
        if path.suffix == ".css":
            continue
        wrong += [f"{name} has {match[0]!r}" for match in re.finditer(r"(:|<|\bas)\s*any\b", code)]
        wrong += [f"{name} has {text}" for text in FORBIDDEN if text in code]
        wrong += [f"{name} ignores types" for _ in re.finditer(r"@ts-(ignore|nocheck|expect-error)", path.read_text())]
    assert not wrong, "\n".join(wrong)


def test_no_address_of_a_registry_is_in_the_lock_file() -> None:
    packages = json.loads((WEB / "package-lock.json").read_text())["packages"]
    assert not [name for name, one in packages.items() if "resolved" in one]
    assert all("integrity" in one for name, one in packages.items() if name), "what npm installs is what was locked"


def test_types() -> None:
    page_build.run_tool(ROOT, "node_modules/typescript/bin/tsc", "--noEmit", aim="check the types of web/")


def test_tests_in_node() -> None:
    told = page_build.run_tool(ROOT, "test.mjs", aim="run the tests of web/")
    passed = re.search(r"^# pass (\d+)$", told, re.M)
    assert passed, told[-2000:]
    assert int(passed[1]) > 20


@pytest.mark.parametrize(
    "text", ["import { a } from './x.ts';", 'const b = () => import("../y.tsx");', 'export * from "z";']
)
def test_imports_are_found(text: str) -> None:
    assert len(_IMPORT.findall(text)) == 1
