"""What runs printed."""

from dataclasses import dataclass
from datetime import datetime

from runstream_query.repositories.reader import Reader
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.scoping import narrowed, of_runs
from runstream_service.access import Scope


@dataclass(frozen=True, slots=True)
class OutputRecord:
    """A piece of text. `writer` is the first 64 bits of the writer's id."""

    writer: int
    seq: int
    at: datetime
    stream: str
    text: str


@dataclass(frozen=True, slots=True)
class OutputPage:
    """Pieces in the order of writers and of each one's own; `more`: others follow."""

    pieces: list[OutputRecord]
    more: bool


class OutputRepository:
    """Reads what runs printed. All methods raise what the store raises."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def page(
        self,
        scope: Scope,
        run: str,
        *,
        after: tuple[int, int] | None = None,
        stream: str | None = None,
        limit: int,
        text_bytes: int,
    ) -> OutputPage:
        """Return at most `limit` pieces behind `after` (writer, seq), with about `text_bytes` of text at most."""
        parameters = Parameters()
        conditions = [f"run = {parameters.text(run)}"]
        if stream is not None:
            conditions.append(f"stream = {parameters.text(stream)}")
        if after is not None:
            writer, seq = (parameters.bind(number, "UInt64") for number in after)
            conditions.append(f"(writer, seq) > ({writer}, {seq})")
        where = " AND ".join(conditions) + narrowed(of_runs(scope, parameters))
        size = "sum(length(text)) OVER (ORDER BY writer, seq ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)"
        sql = (
            f"SELECT writer, seq, at, stream, text, pieces FROM (SELECT *, {size} - length(text) AS before, "
            "count() OVER () AS pieces FROM (SELECT writer, seq, at, stream, text FROM output "
            f"WHERE {where} ORDER BY writer, seq LIMIT {parameters.integer(limit + 1)})) "
            f"WHERE before < {parameters.integer(text_bytes)} ORDER BY writer, seq "
            f"LIMIT {parameters.integer(limit)}"
        )
        rows = await self._reader.rows(sql, parameters)
        found = rows[0]["pieces"] if rows else 0
        pieces = [OutputRecord(row["writer"], row["seq"], row["at"], row["stream"], row["text"]) for row in rows]
        return OutputPage(pieces, more=len(rows) < found)
