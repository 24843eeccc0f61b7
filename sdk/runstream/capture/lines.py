"""What a terminal would show of printed text: the lines that stay, without those that were drawn again."""

import re
from typing import Final

from runstream.events.limits import MAX_OUTPUT_CHARS

#: Text, the end of a line, back to its beginning, and what moves the cursor between lines or erases. Colours are text.
_TOKEN: Final = re.compile(
    r"(?P<end>\r?\n)|(?P<begin>\r|\x1b\[[01]?G)|\x1b\[(?P<count>\d*)(?P<move>[ABEFJK])|(?P<hidden>\x1b\[\?\d+[hl])"
    r"|[^\r\n\x1b]+|\x1b"
)
#: The beginning of such a sequence whose rest is still to come.
_UNFINISHED: Final = re.compile(r"(?:\r|\x1b(?:\[\??\d{0,4})?)\Z")
#: How far up bars are drawn again; a terminal is about as high.
_MAX_CLIMB: Final = 100
#: So many pieces of text without moving up, and no bars are being drawn any more.
_CALM: Final = 5


class LineCollapser:
    """Whole lines from pieces of text. Of a line that was drawn again (a progress bar, also several below each other)
    the last state counts. Pure but for its own memory, which MAX_OUTPUT_CHARS bounds."""

    def __init__(self) -> None:
        #: The lines that may still change, and the one that the cursor is in.
        self._rows = [""]
        self._at = 0
        #: Whether the cursor is at the beginning of its line, so that text replaces what is there.
        self._begins = False
        self._held = ""
        #: Lines above the cursor that are kept because bars go up to them, and pieces since they last did.
        self._climb = 0
        self._calm = 0
        #: Whether the lines that may still change are drawn again and again.
        self._is_bar = False
        #: Whether a bar was taken as it stood, so that the end of its line is no further line.
        self._taken = False

    @property
    def has_bar(self) -> bool:
        """Whether a bar stands in the lines that are not finished."""
        return self._is_bar and any(map(str.strip, self._rows))

    def feed(self, text: str) -> str:
        """Return the lines that `text` completes, each with its newline; nothing if there are none."""
        text = self._held + text
        unfinished = _UNFINISHED.search(text)
        self._held = unfinished[0] if unfinished else ""
        climbed = 0
        for token in _TOKEN.finditer(text, 0, len(text) - len(self._held)):
            self._take(token)
            climbed = max(climbed, len(self._rows) - 1 - self._at if token["move"] else 0)
        self._remember(min(climbed, _MAX_CLIMB))
        done = max(self._at - self._climb, 0)
        ready = "".join(f"{row}\n" for row in self._rows[:done])
        del self._rows[:done]
        self._at -= done
        self._is_bar = self._is_bar and any(self._rows)
        if sum(map(len, self._rows)) + len(self._rows) >= MAX_OUTPUT_CHARS:
            ready += self.rest()
        return ready

    def rest(self) -> str:
        """Return the lines that are not finished; they count as taken."""
        while len(self._rows) > 1 and not self._rows[-1] and self._at < len(self._rows) - 1:
            self._rows.pop()
        text = "\n".join(self._rows)
        self._rows, self._at, self._begins, self._held = [""], 0, False, ""
        self._is_bar = False
        return text

    def leave_bar(self) -> str:
        """Return a bar as it stands, with its newline: something else is printed below it."""
        text = self.rest()
        self._taken = True
        return f"{text}\n"

    def _take(self, token: re.Match[str]) -> None:
        taken, self._taken = self._taken, False
        if token["end"]:
            if not taken:
                self._down(1)
        elif token["begin"]:
            self._begins = self._is_bar = True
        elif token["move"]:
            self._is_bar = True
            self._move(token["move"], token["count"])
        elif not token["hidden"]:
            self._write(token[0])

    def _write(self, text: str) -> None:
        if self._begins:
            self._rows[self._at] = "" if text.isspace() else text  # blanks are how bars are taken away
            self._begins = text.isspace()
        else:
            self._rows[self._at] += text

    def _move(self, move: str, count: str) -> None:
        if move == "K":
            if self._begins or count == "2":
                self._rows[self._at] = ""
        elif move == "J":
            if count in ("", "0"):
                del self._rows[self._at + 1 :]
                if self._begins:
                    self._rows[self._at] = ""
        elif move in "AF":
            self._begins = self._begins or move == "F" or not self._rows[self._at]
            self._at = max(self._at - max(int(count or 1), 1), 0)
        else:
            self._down(min(max(int(count or 1), 1), _MAX_CLIMB))

    def _down(self, lines: int) -> None:
        for _ in range(lines):
            self._at += 1
            if self._at == len(self._rows):
                self._rows.append("")
        self._begins = bool(self._rows[self._at])

    def _remember(self, climbed: int) -> None:
        """Keep as many lines as bars go up, until they did not for a while."""
        self._calm = 0 if climbed else self._calm + 1
        if climbed or self._calm >= _CALM:
            self._climb = max(climbed, self._climb if climbed else 0)
