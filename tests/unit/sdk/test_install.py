"""A training node installs little: what the SDK imports, by its source and by what is loaded."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

SDK = Path(__file__).parents[3] / "sdk" / "runstream"
#: Packages of servers, and of reading as tables, that a training node does not have.
ABSENT = ("aiohttp", "numpy", "pandas", "pyarrow")


def imported(path: Path) -> Iterator[str]:
    """The packages that a module imports when it is loaded: not in its functions, nor for type checkers alone."""
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                continue
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                continue
            case ast.Import(names=names):
                yield from (name.name.partition(".")[0] for name in names)
            case ast.ImportFrom(module=str(module)):
                yield module.partition(".")[0]
        waiting.extend(ast.iter_child_nodes(node))


def test_only_the_decoder_of_points_loads_what_a_training_node_lacks() -> None:
    modules = sorted(SDK.rglob("*.py"))
    assert len(modules) > 100
    loading = {str(path.relative_to(SDK)): sorted(set(imported(path)) & set(ABSENT)) for path in modules}
    assert {path: names for path, names in loading.items() if names} == {"events/columns.py": ["numpy"]}


def test_importing_loads_none_of_it() -> None:
    program = f"import sys, runstream\nprint([name for name in {ABSENT} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_everything_that_training_code_and_readers_use_is_there_without_it() -> None:
    program = (
        f"import sys\nfor name in {ABSENT}: sys.modules[name] = None\n"
        "import runstream, runstream.api, runstream.panels, runstream.query, runstream.sender\n"
        "print([getattr(runstream, name) is not None for name in runstream.__all__].count(False))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "0"
