"""Where the output of a command goes: tables and text for people, or JSON and nothing else for programs.

The result stands on stdout, notes and progress on stderr. There is no colour when stdout is not a terminal or
NO_COLOR is set (rich looks at both), and a table that is not shown on a terminal is never cut.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from runstream_infra.cli.sparkline import ASCII, BLOCKS
from runstream_infra.cli.tables import GAP_CHARS, Column, cells, fit, printable, shortened
from runstream_infra.cli.values import json_ready

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

#: How a status looks on a terminal.
STATUS_STYLES: Final = {
    "running": "cyan",
    "finished": "green",
    "failed": "red",
    "crashed": "red",
    "killed": "yellow",
}


@dataclass(frozen=True)
class Output:
    """How this call of a command writes. Consoles are made when they are first used: rich takes a while to load."""

    as_json: bool = False

    @cached_property
    def out(self) -> "Console":
        return _console(stderr=False)

    @cached_property
    def err(self) -> "Console":
        return _console(stderr=True)

    @property
    def width(self) -> int | None:
        """Characters in a line of the terminal; None where the output goes to a file or a pipe."""
        return self.out.width if self.out.is_terminal else None

    @property
    def marks(self) -> str:
        """What curves are drawn with."""
        return BLOCKS if _is_unicode(self.out.encoding) else ASCII

    def json(self, value: Any) -> None:
        """Write `value` as one JSON document to stdout."""
        is_ascii = not _is_unicode(sys.stdout.encoding)
        sys.stdout.write(json.dumps(json_ready(value), ensure_ascii=is_ascii, indent=2, allow_nan=False) + "\n")

    def line(self, text: str = "", style: str = "") -> None:
        """One line of the result. `text` is shown as it is: no markup, no escape sequences."""
        self.out.print(self.text(text, style), soft_wrap=True)

    def note(self, text: str) -> None:
        """One line beside the result (stderr), for people only."""
        if not self.as_json:
            self.err.print(self.text(text, "dim"), soft_wrap=True)

    def text(self, text: str, style: str = "") -> "Text":
        from rich.text import Text

        return Text(printable(text), style=style)

    def table(self, columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> None:
        """Rows under titles, as wide as the terminal allows. Says in a note what was left out."""
        columns = [replace(column, title=printable(column.title)) for column in columns]
        texts = shortened(columns, cells(columns, rows), self.width)
        layout = fit(columns, texts, self.width)
        index = {column.key: at for at, column in enumerate(columns)}
        self._row([column.title for column in layout.columns], layout.columns, layout.widths, "bold")
        for row in texts:
            shown = [row[index[column.key]] for column in layout.columns]
            self._row(shown, layout.columns, layout.widths)
        if layout.left_out:
            self.note(f"left out to fit {self.width} columns: {', '.join(layout.left_out)} (--json has everything)")

    def pairs(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Names and values, aligned."""
        width = max((len(name) for name, _ in pairs), default=0)
        for name, value in pairs:
            line = self.text(f"  {printable(name):<{width}}  ", "dim")
            line.append_text(self.text(value, STATUS_STYLES.get(value, "")))
            self.out.print(line, soft_wrap=True)

    def heading(self, text: str) -> None:
        self.line()
        self.line(text, "bold")

    def _row(self, texts: Sequence[str], columns: Sequence[Column], widths: Sequence[int], style: str = "") -> None:
        from rich.text import Text

        line = Text(style=style)
        for at, (padded_text, column, width) in enumerate(zip(texts, columns, widths, strict=True)):
            text = padded_text.rstrip()
            cell = text if len(text) <= width else text[: max(0, width - 1)] + "…"
            padded = cell.rjust(width) if column.right else cell.ljust(width)
            last = at == len(columns) - 1
            styled = STATUS_STYLES.get(text, "") if column.key == "status" else ""
            line.append(padded.rstrip() if last else padded + " " * GAP_CHARS, style=styled)
        self.out.print(line, soft_wrap=True)


def _is_unicode(encoding: str | None) -> bool:
    return (encoding or "").lower().startswith("utf")


def _console(stderr: bool) -> "Console":
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)
