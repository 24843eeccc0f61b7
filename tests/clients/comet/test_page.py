"""docs/comet.md says what is there: every method of Comet's page under its present name, and every route."""

import re
from pathlib import Path

from kit.comet.methods import METHODS
from kit.comet.processes import Ask
from runstream_protocols.comet.paths import ROOTS
from runstream_protocols.comet.reads.routes import ROUTES

PAGE = (Path(__file__).parents[3] / "docs" / "comet.md").read_text()


def rows() -> list[tuple[list[str], list[str]]]:
    """(names on Comet's page, present names; none if it is gone) of the page's table of methods."""
    table = PAGE.partition("| on that page |")[2].partition("\n\n")[0]
    found = []
    for line in table.splitlines()[2:]:
        old, new, _, ours = (cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|")))
        assert ours, f"{old}: say what runstream.API does"
        found.append((re.findall(r"`(\w+)`", old), re.findall(r"`([\w.]+)`", new)))
    return found


def test_every_method_has_a_row() -> None:
    assert sorted(name for old, _ in rows() for name in old) == sorted(METHODS.split())


def test_the_present_names_are_the_clients_and_the_gone_ones_are_gone(ask: Ask) -> None:
    present = [name for _, new in rows() for name in new]
    expressions = {name: f"hasattr({parent(name)}, {name.rpartition('.')[2]!r})" for name in present}
    gone = [name for old, new in rows() if not new for name in old]
    places = ("comet_ml.API", "comet_ml.APIExperiment", "api._client")
    expressions |= {name: " or ".join(f"hasattr({place}, {name!r})" for place in places) for name in gone}
    responses = ask(expressions)
    assert {name for name in present if responses[name] is not True} == set()
    assert {name for name in gone if responses[name] is not False} == set()


def parent(name: str) -> str:
    return {"API": "comet_ml.API", "APIExperiment": "comet_ml.APIExperiment", "API._client": "api._client"}[
        name.rpartition(".")[0]
    ]


def test_every_route_is_named() -> None:
    roots = (*(f"{root}/" for root in ROOTS), "/")
    served = {next(route.path.removeprefix(root) for root in roots if route.path.startswith(root)) for route in ROUTES}
    table = PAGE.partition("## Routes")[2].partition("| route | |")[2].partition("\n###")[0]
    named = {path.removeprefix("/") for path in re.findall(r"`(/?[\w/{}\-]+)`", table)}
    assert named == served
