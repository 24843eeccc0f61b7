"""docs/cluster.md and docs/runbook.md say what the program says: its variables, commands, messages and tables."""

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from kit.stores import open_migrated
from runstream_infra.cluster.settings import RoleSettings
from runstream_infra.metrics import CAUSES
from runstream_processors.store.chdb import ChdbStore
from runstream_service.settings import known_settings

PACKAGES = ("sdk", "service", "processors", "ingest", "query", "protocols", "infra")


@pytest.fixture(scope="session")
def runbook(docs: Path) -> str:
    return (docs / "runbook.md").read_text()


@pytest.fixture(scope="session")
def sources(docs: Path) -> str:
    """All code, with the pieces of each message put together."""
    texts = [
        path.read_text()
        for package in PACKAGES
        for path in sorted((docs.parent / package).rglob("*.py"))
        if "kafka/libs" not in str(path)
    ]
    return re.sub(r'"\s*\n\s*f?"', "", "\n".join(texts))


# Variables


def test_variables_that_the_pages_name_are_there(docs: Path, sources: str) -> None:
    compose = (docs.parent / "infra" / "compose.yaml").read_text()
    compose += (docs.parent / "infra" / "compose.monitoring.yaml").read_text()
    for page in ("cluster.md", "runbook.md"):
        for name in set(re.findall(r"RUNSTREAM_[A-Z_]*[A-Z]", (docs / page).read_text())):
            if name in known_settings(RoleSettings):
                continue
            assert f'"{name}"' in sources or f"{{{name}" in compose or f"environment: {name}" in compose, name


# Messages


#: A line of a "See" that quotes: its first words, then quotes, also on the lines that go on.
_QUOTING = re.compile(
    r"^- (?:Log(?: \([^)]*\)|, while [\w ]+)?|Doctor|[\w' ]+ `/readyz`): (.*(?:\n  \S.*)*)",
    re.M,
)
_PUT_IN = re.compile(
    r"…|\b(?:N|M|ADDRESS|ROUTE|FUNCTION)\b|\bURL:|POST /\S+ 503|HTTP 503|\b2 s\b|\b(?:store|brokers): (?=…|no)"
)
_IN_PASSING = re.compile(r"(?:[Ll]og(?: \([\w ]+\))?|doctor): `([^`\n]+)`")
_IN_A_TABLE = re.compile(r"^\| `((?:it|an|the) [^`]+)` \|", re.M)


def quotes(runbook: str) -> set[str]:
    """What the runbook says that our processes say."""
    lines = " ".join(line.partition("Of libraries")[0] for line in _QUOTING.findall(runbook))
    found = re.findall(r"`` *(.+?) *``|`([^`]+)`", lines)
    starts = runbook.partition("## A process starts again and again")[2].partition("\n## ")[0]
    return {
        *(quote for pair in found for quote in pair if quote),
        *_IN_PASSING.findall(runbook),
        *_IN_A_TABLE.findall(runbook),
        *(quote for quote in re.findall(r"^- `([^`\n]+)`", starts, re.M)),
    }


def test_messages_are_those_of_the_code(runbook: str, sources: str) -> None:
    found = quotes(runbook)
    assert len(found) > 25
    missing = []
    for quote in sorted(found):
        # What is put together when it happens: …, a number, a route, a status, a check's name.
        pieces = (piece.strip(" ():,") for piece in _PUT_IN.split(quote))
        missing += [(quote, piece) for piece in pieces if len(piece) > 3 and piece not in sources]
    assert missing == []


def test_links_within_the_pages_lead_somewhere(docs: Path) -> None:
    for page in ("cluster.md", "runbook.md"):
        text = (docs / page).read_text()
        for target in re.findall(r"\]\(([^)]+)\)", text):
            file, _, anchor = target.partition("#")
            linked = docs / file if file else docs / page
            assert linked.is_file(), target
            headings = re.findall(r"^#+ (.*)$", linked.read_text(), re.M)
            anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
            assert not anchor or anchor in anchors, target


def test_every_cause_of_quarantine_is_explained(runbook: str) -> None:
    explained = runbook.partition("## Quarantine grows")[2].partition("\n## ")[0]
    assert {cause for cause in CAUSES if f"`{cause}`" not in explained} == set()


# Commands


def test_commands_of_ours_can_be_given_so(docs: Path, parse_command: Callable[[str], Any]) -> None:
    found = []
    for page in ("cluster.md", "runbook.md"):
        text = (docs / page).read_text()
        found += re.findall(r"^ {4,}(?:\w+=\S+ )*runstream ([^#|\n]+)", text, re.M)
        found += re.findall(r"`(?:\w+=\S+ )*runstream ([^`]+)`", text)
    lines = {line.replace("$", "").strip() for line in found}
    assert len(lines) > 8
    for line in sorted(lines):
        parse_command(line)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[ChdbStore]:
    opened = await open_migrated(tmp_path)
    yield opened
    await opened.close()


@pytest.mark.store
async def test_the_tables_can_be_queried(runbook: str, store: ChdbStore) -> None:
    requested = [sql for sql in re.findall(r'ch "(SELECT [^"]+)"', runbook) if "system." not in sql]
    assert len(requested) > 4
    for sql in requested:
        tables = ["points"] if "$t" in sql else [""]
        for table in tables:
            await store.query(sql.replace("$db.$t", table).replace("$db", "db").replace("$t", table))


def test_the_comparison_is_over_the_tables_that_a_rebuild_compares(runbook: str) -> None:
    from runstream_processors.rebuild import COMPARED

    listed = re.search(r"for t in ([\w ]+);", runbook)
    assert listed
    assert set(listed[1].split()) == set(COMPARED)
