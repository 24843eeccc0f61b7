"""Lines of what a run printed, by number, time and search, against the text as it stands in one piece."""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

import runstream_query.http.lines as handlers
import runstream_query.lines as lines
from kit.query.service import Service
from kit.query.tables import NOW_US, SECOND_US, run
from runstream.events.moments import moment_of

#: In the order in which they began.
WRITERS = (7 << 40, 3, 2**64 - 1)
WORDS = ("loss", "Loss", "épOque", "", "a.b", "x" * 30)


@dataclass(frozen=True)
class Piece:
    writer: int
    seq: int
    stream: str
    text: str

    @property
    def row(self) -> dict[str, Any]:
        at = NOW_US + WRITERS.index(self.writer) * SECOND_US + self.seq * 1000
        given = {"writer": self.writer, "seq": self.seq, "stream": self.stream, "text": self.text}
        return {"run": "a", "part": 0, "offset": 1, "at": at, **given}


def pieces_of(random_: random.Random, count: int) -> Iterator[Piece]:
    """Pieces of all writers: lines in parts, several lines in one, empty ones, with sequence numbers far apart."""
    for writer in WRITERS:
        seq = 0
        for _ in range(count):
            seq += random_.choice((1, 2, 50))
            words = random_.choices((*WORDS, "\n", "\n", "\n"), k=random_.randrange(1, 9))
            if text := "".join(words):
                yield Piece(writer, seq, random_.choice(("stdout", "stderr")), text)


def expected(pieces: Sequence[Piece], stream: str | None = None, writer: int | None = None) -> list[tuple[str, str]]:
    """Writer and text of every line."""
    found = []
    for one in WRITERS:
        text = "".join(piece.text for piece in pieces if piece.writer == one and stream in (None, piece.stream))
        if writer in (None, one) and text:
            found += [(f"{one:016x}", line) for line in text.removesuffix("\n").split("\n")]
    return found


@pytest.fixture(params=["few pieces", "blocks"])
def in_blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """By blocks too, which only runs with many pieces have."""
    if request.param == "blocks":
        monkeypatch.setattr(handlers, "_FEW_PIECES", 0)
        monkeypatch.setattr(lines, "_MIN_WIDTH", 16)
        monkeypatch.setattr(lines, "_BLOCKS", 100)


async def printed(service: Service) -> list[Piece]:
    pieces = list(pieces_of(random.Random(1), 40))
    await service.insert("run_states", run("a"))
    await service.insert("output", *(piece.row for piece in pieces))
    return pieces


async def read_lines(service: Service, **query: Any) -> list[tuple[str, str]]:
    """All lines from a place on, in as many requests as it takes."""
    found: list[tuple[str, str]] = []
    while True:
        page = await service.get("runs/a/output/lines", **query)
        found += [(line["writer"], line["text"]) for line in page["lines"]]
        numbers = [line["number"] for line in page["lines"]]
        assert numbers == list(range(numbers[0], numbers[-1] + 1)) if numbers else True
        if page["next_line"] > page["total"]:
            return found
        assert numbers
        query = {**query, "from_line": page["next_line"]}
        query.pop("time_from", None)


@pytest.mark.usefixtures("in_blocks")
async def test_lines_are_those_of_the_text(service: Service) -> None:
    pieces = await printed(service)
    whole = expected(pieces)
    assert len(whole) > 100
    assert await read_lines(service, limit=500) == whole
    assert await read_lines(service, limit=23) == whole
    assert await read_lines(service, from_line=-5) == whole[-5:]
    assert await read_lines(service, from_line=-10_000) == whole
    assert await read_lines(service, from_line=10_000) == []
    for begin in range(0, len(whole), 37):
        page = await service.get("runs/a/output/lines", from_line=begin + 1, limit=3)
        assert [line["text"] for line in page["lines"]] == [text for _, text in whole[begin : begin + 3]]
        assert page["total"] == len(whole)
    for stream in ("stdout", "stderr"):
        assert await read_lines(service, stream=stream, limit=40) == expected(pieces, stream)
    for writer in WRITERS:
        assert await read_lines(service, writer=f"{writer:016x}", limit=20) == expected(pieces, writer=writer)
    told = await service.get("runs/a/output/writers")
    assert [(one["writer"], one["lines"]) for one in told["writers"]] == [
        (f"{writer:016x}", len(expected(pieces, writer=writer))) for writer in WRITERS
    ]
    assert told["writers"][0]["first_line"] == 1
    assert told["total"] == len(whole)


@pytest.mark.usefixtures("in_blocks")
@pytest.mark.parametrize(
    ("search", "options"),
    [
        ("loss", {}),
        ("loss", {"ignore_case": "true"}),
        ("ÉPOQUE", {"ignore_case": "true"}),
        ("a.b", {}),
        ("^a.b|x+$", {"regex": "true"}),
        (r"\Aloss", {"regex": "true"}),
        ("^$", {"regex": "true"}),
        ("nowhere", {}),
    ],
)
async def test_a_search_finds_every_line(service: Service, search: str, options: dict[str, str]) -> None:
    """Where each line came in one piece."""
    random_ = random.Random(1)
    texts = ["".join(random_.choices(WORDS, k=2)) + "\n" for _ in range(240)]
    pieces = [
        Piece(writer, seq, "stdout", "".join(texts[place : place + 2]))
        for writer in WRITERS
        for seq, place in enumerate(range(80 * WRITERS.index(writer), 80 * WRITERS.index(writer) + 80, 2))
    ]
    await service.insert("run_states", run("a"))
    await service.insert("output", *(piece.row for piece in pieces))
    flags = re.IGNORECASE if "ignore_case" in options else re.NOFLAG
    pattern = re.compile(search if "regex" in options else re.escape(search), flags)
    wanted = [number for number, (_, text) in enumerate(expected(pieces), 1) if pattern.search(text)]
    for limit in (1000, 40):
        found: list[int] = []
        query: dict[str, Any] = {"search": search, "limit": limit, **options}
        while True:
            page = await service.get("runs/a/output/search", **query)
            found += [match["number"] for match in page["matches"]]
            assert (page["count"], page["total"]) == (len(wanted), 240)
            if page["next_line"] is None:
                break
            query["from_line"] = page["next_line"]
        assert found == wanted
        if found:
            page = await service.get("runs/a/output/lines", from_line=found[-1], limit=1)
            assert pattern.search(page["lines"][0]["text"])


@pytest.mark.usefixtures("in_blocks")
async def test_lines_since_a_time(service: Service) -> None:
    pieces = [Piece(WRITERS[0], seq, "stdout", f"line {seq}\n") for seq in range(1, 100)]
    await service.insert("run_states", run("a"))
    await service.insert("output", *(piece.row for piece in pieces))
    at = moment_of(NOW_US + 40_000).isoformat()
    page = await service.get("runs/a/output/lines", time_from=at, limit=1)
    assert [(line["text"], line["number"]) for line in page["lines"]] == [("line 40", 40)]
    late = await service.get("runs/a/output/lines", time_from=moment_of(NOW_US + SECOND_US).isoformat())
    assert (late["lines"], late["next_line"]) == ([], 100)
    followed = [*pieces, Piece(WRITERS[0], 200, "stderr", "more\nunfinished")]
    await service.insert("output", followed[-1].row)
    assert await read_lines(service, from_line=late["next_line"]) == expected(followed)[99:]


async def test_what_cannot_be_read(service: Service) -> None:
    await service.insert("run_states", run("a"))
    assert (await service.get("runs/a/output/lines"))["total"] == 0
    assert (await service.get("runs/a/output/search", search="x"))["count"] == 0
    await service.get("runs/none/output/lines", 404)
    for query in (
        {"writer": "x"},
        {"time_from": "soon"},
        {"time_from": "2026-01-31", "from_line": 1},
        {"limit": 10_000},
        {"stream": "stdin"},
    ):
        await service.get("runs/a/output/lines", 400, **query)
    for query in (
        {"search": ""},
        {"search": "(", "regex": "true"},
        {"search": "a\nb"},
        {"search": "(?=x)", "regex": "true"},
    ):
        await service.get("runs/a/output/search", 400, **query)


async def test_a_line_that_does_not_end_is_cut(service: Service) -> None:
    await service.insert("run_states", run("a"))
    rows = [Piece(WRITERS[0], seq, "stdout", "x" * 30_000).row for seq in range(400)]
    await service.insert("output", *rows, Piece(WRITERS[0], 400, "stdout", "\nlast").row)
    page = await service.get("runs/a/output/lines")
    assert [(len(line["text"]), line["cut"]) for line in page["lines"]] == [(lines.MAX_LINE_CHARS, True)]
    behind = await service.get("runs/a/output/lines", from_line=page["next_line"])
    assert [(line["text"], line["cut"]) for line in behind["lines"]] == [("last", False)]
