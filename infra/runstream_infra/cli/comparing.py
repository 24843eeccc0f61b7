"""Two sets of read models side by side, as `runstream rebuild` and `runstream promote` show them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runstream_infra.cli.output import Output
from runstream_infra.cli.tables import Column

if TYPE_CHECKING:
    from runstream_processors.rebuild import ComparedTable


def compared_rows(tables: "Iterable[ComparedTable]", other: str) -> list[dict[str, Any]]:
    """A row a table; what the fresh one holds stands under names that begin with `other`."""
    return [
        {
            "table": one.table,
            "rows": one.live.rows,
            "hash": one.live.digest,
            f"{other}_rows": one.fresh.rows,
            f"{other}_hash": one.fresh.digest,
            "equal": one.equal,
        }
        for one in tables
    ]


def show_compared(rows: Sequence[Mapping[str, Any]], other: str, where: str, output: Output) -> None:
    """`rows` as a table, then a line for each that differs: `where` it has other rows."""
    output.table([Column(key, key, right=key == "rows") for key in ("table", "rows", "hash", "equal")], rows)
    for row in rows:
        if not row["equal"]:
            output.line(
                f"{row['table']}: {where} it has {row[f'{other}_rows']} rows and hash {row[f'{other}_hash']}", "red"
            )


def show_verdict(up_to: str, equal: bool, output: Output) -> None:
    """The line that counts; it begins with `up_to`."""
    output.line(
        f"{up_to}, the tables are {'equal' if equal else 'NOT equal'}.",
        "green" if equal else "bold red",
    )
