"""The files of infra/ as the tests of manifests, figures and documents read them."""

import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from runstream_infra.cli.app import cli

ROOT = Path(__file__).parents[3]
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<text>[^}]*))?\}")


@pytest.fixture(scope="session")
def infra() -> Path:
    return ROOT / "infra"


@pytest.fixture(scope="session")
def docs() -> Path:
    return ROOT / "docs"


@pytest.fixture(scope="session")
def compose(infra: Path) -> Callable[..., dict[str, Any]]:
    """A compose file with its variables put in, as `docker compose config` would."""

    def read(name: str = "compose.yaml", **environ: str) -> dict[str, Any]:
        return _filled(yaml.safe_load((infra / name).read_text()), environ)  # type: ignore[no-any-return]

    return read


def _filled(node: Any, environ: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {key: _filled(value, environ) for key, value in node.items()}
    if isinstance(node, list):
        return [_filled(value, environ) for value in node]
    return _VARIABLE.sub(lambda found: _value(found, environ), node) if isinstance(node, str) else node


def _value(found: "re.Match[str]", environ: Mapping[str, str]) -> str:
    value = environ.get(found["name"], "")
    if not value and found["kind"] == "?":
        raise KeyError(found["name"])
    return value or found["text"] or ""


@pytest.fixture(scope="session")
def manifests(infra: Path) -> list[dict[str, Any]]:
    """Every object of the Kubernetes manifests, as the files have it."""
    found: list[dict[str, Any]] = []
    for path in sorted((infra / "k8s").rglob("*.yaml")):
        if path.name != "kustomization.yaml":
            found += [document for document in yaml.safe_load_all(path.read_text()) if document]
    return found


@pytest.fixture(scope="session")
def parse_command() -> Callable[[str | list[str]], click.Context]:
    """Parse a command line of `runstream` without running it. Raises click's errors."""

    def parse(line: str | list[str]) -> click.Context:
        words = shlex.split(line, comments=True) if isinstance(line, str) else list(line)
        command: click.Command = cli
        context = click.Context(cli)
        while isinstance(command, click.Group):
            name = words.pop(0)
            found = command.get_command(context, name)
            if found is None:
                raise click.UsageError(f"there is no command {name!r}")
            command = found
        return command.make_context(command.name, words)

    return parse
