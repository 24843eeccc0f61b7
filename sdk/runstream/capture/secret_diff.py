"""Secrets in a difference of git: masked line by line, so that its hunks keep their lines. Pure.

A masked line differs from the file's. Where it is an added one the difference still applies, and adds the mask; a hunk
with a masked context or removed line applies no more.
"""

from typing import Final

from runstream.capture.patterns import lazy
from runstream.capture.secret_forms import HIDDEN, without_forms
from runstream.capture.secret_names import hides
from runstream.capture.secret_text import Judge, masked_assignments

#: Files whose values stand without quotation marks, by the end of the path.
_PLAIN_FILES: Final = lazy(
    r"(?i)(?:\.(?:env|ya?ml|ini|cfg|conf|config|properties|toml|sh|bash|zsh|tfvars|env\.\w+|netrc|pypirc|npmrc|service|txt"
    r"|slurm|sbatch|job|mk|dockerfile|hocon|j2)|/[^./]*|/\.[\w.]*|dockerfile[\w.]*)$"
)
#: A line that may hold an assignment to such a name: what is not is not taken apart.
_SUSPECT: Final = lazy(
    r"(?i)pass|pwd|pw|secret|token|key|auth|cred|cookie|sas|pat|otp|dsn|conn|jwt|bearer|session|sig|pin|senha|psw|wort"
)
_KEY_BEGIN: Final = lazy(r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----")
#: A line of such a key, in quotation marks where it stands in code.
_KEY_LINE: Final = lazy(
    r"[\s\"'(+,]{0,40}(?:[A-Za-z0-9+/=]{0,200}|[A-Z][\w-]{2,20}: [\w, -]{1,80}|(?P<end>-----END.{0,80}))"
    r"(?:\\n)?[\s\"'\\)+,;]{0,40}"
)
#: Commands in notebooks.
_SHELL: Final = ("!", "%env", "%set_env")
_CHUNK_LINES: Final = 200
_UNQUOTED_CODE: Final = lazy(r"[\w.]{1,80}\(.*|\$\(.*|`.*")


def masked_diff(diff: bytes, judge: Judge = hides, *, cut: bool = False) -> tuple[bytes, int]:
    """`diff` without its secrets, and how many of its lines were changed. Of one that was `cut`, the last line goes if
    it is not whole: half a key is known by nothing."""
    if cut and not diff.endswith(b"\n"):
        diff = diff[: diff.rfind(b"\n") + 1]
    masker = _Lines(judge)
    lines = diff.decode("utf-8", "surrogateescape").split("\n")
    shown: list[str] = []
    for at in range(0, len(lines), _CHUNK_LINES):  # no pattern holds the interpreter for long
        chunk = "\n".join(map(masker.line, lines[at : at + _CHUNK_LINES]))
        shown += without_forms(chunk).split("\n")
    changed = sum(before != after for before, after in zip(lines, shown, strict=True))
    return "\n".join(shown).encode("utf-8", "surrogateescape"), changed


class _Lines:
    """Line after line of one difference."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._bare = False
        self._in_key = False

    def line(self, line: str) -> str:
        if line.startswith(("diff --git ", "+++ ", "--- ")):
            self._in_key = False
            self._bare = bool(_PLAIN_FILES.search(line.partition("\t")[0].rstrip('"')))
        mark, text = (line[0], line[1:]) if line[:1] in ("+", "-", " ") else ("", line)
        if line.startswith("@@"):
            self._in_key = False
        if self._in_key and (key := _KEY_LINE.fullmatch(text)):
            self._in_key = key["end"] is None
            return f"{mark}{HIDDEN}"
        self._in_key = False
        if "PRIVATE KEY" in text and (found := _KEY_BEGIN.search(text)) and "-----END" not in text[found.end() :]:
            self._in_key = True
            return f"{mark}{text[: found.start()]}{HIDDEN}"
        looked_at = self._bare or any(sign in text for sign in ('"', "'", "</")) or text.lstrip().startswith(_SHELL)
        return mark + self._text(text) if looked_at and _SUSPECT.search(text) else line

    def _text(self, text: str) -> str:
        """One line. Unquoted values of a settings file reach to the end of the line, or to a comment."""
        found = _SETTING.fullmatch(text) if self._bare else None
        if found is not None:
            value = found["value"]
            code = value[0] in "\"'[{&*|>" or _UNQUOTED_CODE.fullmatch(value)
            if not code and self._judge(found["name"], value):
                return f"{text[: found.start('value')]}{HIDDEN}{text[found.end('value') :]}"
        return masked_assignments(text, self._judge, bare=self._bare or text.lstrip().startswith(_SHELL))


_SETTING: Final = lazy(
    r"\s*(?:-\s+|export\s+|ENV\s+|ARG\s+|set\s+|declare\s+-x\s+)?[\"']?(?P<name>[^\W\d][\w.-]{0,120})[\"']?"
    r"(?:\s{0,20}[:=]\s{0,20}|\s+)(?P<value>\S(?:.{0,4000}?\S)?)(?:\s+#.*)?\s*"
)
