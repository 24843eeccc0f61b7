"""Programs that tests run in processes of their own stand in string literals, which no type checker reads.

Their imports of this project, and the attributes that they take from what they import, must exist.
"""

import ast
import importlib
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
#: Where such programs stand. Below, the test says how many it wants to find at least.
FOLDERS = ("tests", "bench", "infra", "sdk", "processors", "ingest", "query", "service", "protocols")


def programs() -> Iterator[tuple[str, ast.Module]]:
    """Every string literal that parses as a program with an import, with where it stands."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path == Path(__file__):
                continue
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or "import " not in node.value:
                    continue
                try:
                    tree = ast.parse(textwrap.dedent(node.value))
                except SyntaxError:
                    continue
                yield f"{path.relative_to(ROOT)}:{node.lineno}", tree


def module_named(name: str) -> ModuleType | None:
    """The module of that name, if there is one."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return None


def missing(tree: ast.Module) -> Iterator[str]:
    """What the program takes from this project and what the project does not have."""
    modules: dict[str, ModuleType] = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or node.module is None or not node.module.startswith("runstream"):
            continue
        if (source := module_named(node.module)) is None:
            yield node.module
            continue
        for alias in node.names:
            if (module := module_named(f"{node.module}.{alias.name}")) is not None:
                modules[alias.asname or alias.name] = module
            elif not hasattr(source, alias.name):
                yield f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            module = modules[node.value.id]
            if not hasattr(module, node.attr):
                yield f"{module.__name__}.{node.attr}"


def test_programs_in_strings_take_only_what_exists() -> None:
    found = list(programs())
    assert len(found) >= 30, "the search finds too few programs to show anything"
    assert [(where, name) for where, tree in found for name in missing(tree)] == []


def test_a_name_that_was_renamed_is_found() -> None:
    tree = ast.parse(
        "from runstream_infra import placing, promoting\npromoting.promot()\nfrom runstream.nowhere import x"
    )
    assert sorted(missing(tree)) == ["runstream.nowhere", "runstream_infra.placing", "runstream_infra.promoting.promot"]
