"""Secrets in a text: by their form, and by the name before them (`password=...`, `"api_key": "..."`). Pure."""

import re
from collections.abc import Callable
from typing import Final

from runstream.capture.patterns import lazy
from runstream.capture.secret_forms import HIDDEN, without_forms
from runstream.capture.secret_names import Level, hides, level_of

#: Of a longer text only this much is looked at and kept: more than an event holds (limits.MAX_EVENT_BYTES).
MAX_TEXT_CHARS: Final = 300_000
CUT: Final = "... (cut)"

#: (name, value) -> whether the value is hidden. What the functions here are given to decide with.
Judge = Callable[[str, str], bool]

#: What a value may be, and how far it is followed. Unquoted, it ends at white space, or where the next assignment of a
#: list begins: passwords hold commas and semicolons.
_MAX_QUOTED_CHARS: Final = 20_000
_MAX_BARE_CHARS: Final = 250
_NEXT: Final = r"\s{0,3}[\"']?[\w .-]{1,64}[\"']?\s{0,3}[:=]"
_QUOTED: Final = (
    r"(?P<mark>\"\"\"|''" + r"')(?P<long>(?s:.*?))(?P=mark)"
    r"|\"(?P<double>(?:[^\"\\\r\n]++|\\.)*+)\""
    r"|'(?P<single>(?:[^'\\\r\n]++|\\.)*+)'"
    r"|\\\"(?P<escaped>(?:[^\"\\\r\n]++|\\[^\"])*+)\\\""
)
_BARE: Final = rf"(?P<bare>(?:[^\s\"',;&\\]++|\\(?!\")|[,;&](?!{_NEXT}|[\s\"']|$))+)"
#: An assignment up to its value: `name=`, `"name": `, `x["name"] = `, `name: str = `, `--name=`.
_ASSIGNED: Final = (
    r"(?<![\w.-])-{0,2}(?P<name>[^\W\d][\w.-]{0,120})(?:\\\"|[\"']?\]?)"
    r"(?:[ \t]{0,3}:[ \t]{0,3}[A-Za-z][\w.\[\], |]{0,60}(?=[ \t]?=[^=]))?"
    r"[ \t]{0,8}(?:===?|!==?|:=|=>|=|:)[ \t]{0,8}"
)
#: `getenv("NAME", "value")`, `("name", "value")`, `"--name", default="value"`.
_SECOND: Final = (
    r"(?:(?P<call>(?:get|getenv|setdefault|setenv|putenv|set|pop|add|setattr|header)\()[ \t]{0,3})?"
    r"[\"']-{0,2}(?P<name>[^\W\d][\w.-]{0,120})[\"'],[ \t]{0,3}"
    r"(?P<default>[^\r\n]{0,200}?\bdefault[ ]?=[ ]?)?(?=[rbfuRBFU]{0,2}[\"'])"
)
_LITERALS: Final = r"[(\[]([^\r\n()\[\]\"']{0,80}[\"'][^\r\n()\[\]]{0,400})[)\]]"
#: `SecretStr("password")`, `field(default="password")`, `getenv("NAME") or "password"`.
_CALLED: Final = r"[\w.]{1,80}\((?:[^\r\n]{0,80}\)[ ]or[ ]|[\w ]{0,30}=[ ]?)?(?:\"([^\s\"]{4,400})\"|'([^\s']{4,400})')"
_ELEMENT: Final = r"<(?P<name>[^\W\d][\w.-]{0,120})>(?P<value>[^<>\r\n]{1,4000})</"
_PREFIX: Final = r"[rbfuRBFU]{0,2}(?=[\"'])"
_patterns: Final[dict[str, re.Pattern[str]]] = {}


def masked_text(text: str, judge: Judge = hides, *, bare: bool = True) -> str:
    """`text` without its secrets. With `bare`, values without quotation marks count too: right for command lines
    and connection strings, wrong for code (`token = tokens[i]`)."""
    return without_forms(masked_assignments(bounded(text), judge, bare=bare))


def masked_assignments(text: str, judge: Judge = hides, *, bare: bool = True) -> str:
    """As `masked_text`, by names alone."""
    if ":" in text or "=" in text:
        text = _assigned(text, _pattern(_ASSIGNED), judge, bare)
    if '",' in text or "'," in text:
        text = _assigned(text, _pattern(_SECOND), judge, bare=False)
    if "</" in text:
        text = _pattern(_ELEMENT).sub(lambda found: _element(found, judge), text)
    return text


def _assigned(text: str, head: re.Pattern[str], judge: Judge, bare: bool) -> str:
    parts: list[str] = []
    kept = at = 0
    while found := head.search(text, at):
        at = found.end("name")
        if level_of(found["name"]) is Level.NONE:
            continue
        value = _value_at(text, found.end(), bare)
        if value is None:
            continue
        begin, end = value
        if not bare and _is_a_name(found.groupdict(), text[begin:end]):
            continue
        called = not bare and "(" in text[found.end() + 1 : begin]
        if called and level_of(found["name"]) is not Level.STRONG:
            continue  # `token = tokenizer("a text")`
        shown = _shown(found["name"], text[begin:end], judge)
        if shown is not None:
            if end - begin == _MAX_BARE_CHARS and (rest := _pattern(r"\S*+").match(text, end)):
                end = rest.end()
            parts += [text[kept:begin], shown]
            kept = at = end
    return "".join(parts) + text[kept:] if parts else text


def _element(found: re.Match[str], judge: Judge) -> str:
    return f"<{found['name']}>{HIDDEN}</" if judge(found["name"], found["value"]) else found[0]


def _is_a_name(groups: dict[str, str | None], value: str) -> bool:
    """Whether a literal of code is the name of a secret, or just the next word of a list of words."""
    if not _ONLY_A_NAME.fullmatch(value):
        return False
    listed = "call" in groups and groups["call"] is None and groups["default"] is None
    return listed or level_of(value) > Level.RANDOM


def _value_at(text: str, at: int, bare: bool) -> tuple[int, int] | None:
    """Where the value that begins there stands, without its quotation marks."""
    prefix = _pattern(_PREFIX).match(text, at)
    begin = prefix.end() if prefix else at
    found = (
        _pattern(_QUOTED).match(text, begin, begin + _MAX_QUOTED_CHARS) if text[begin : begin + 1] in "\"'\\" else None
    )
    if found is not None:
        group = next(name for name in ("long", "double", "single", "escaped") if found[name] is not None)
        code = prefix and "f" in prefix[0].lower() and _CODE.fullmatch(found[group])
        return None if code else found.span(group)
    if text[begin : begin + 1] in ('"', "'"):  # its end is not there: what is there counts
        end = text.find("\n", begin)
        return (begin + 1, end if end >= 0 else len(text))
    if not bare:  # `auth=("user", "password")`
        found = _pattern(_LITERALS).match(text, at) or _pattern(_CALLED).match(text, at)
        return found.span(found.lastindex or 0) if found else None
    found = _pattern(_BARE).match(text, at, at + _MAX_BARE_CHARS)
    if found is None:
        return None
    return found.span()


def _shown(name: str, value: str, judge: Judge) -> str | None:
    """What stands for the value of an assignment in a text; None if it stays as it is."""
    if not value or value == HIDDEN:
        return None
    if level_of(name) is Level.CONNECTION:
        shown = masked_connection(name, value, judge)
        return None if shown == value else shown
    if name.lower().endswith("authorization") and value.lower() in ("bearer", "basic", "digest", "token"):
        return None  # `without_forms` knows headers, whose values have spaces
    return HIDDEN if judge(name, value) else None


#: What a format puts together from variables: `Bearer {key}`.
_CODE: Final = lazy(r"(?:[A-Za-z :=_-]{0,20}\{[^{}]{1,120}\}){1,20}[A-Za-z ]{0,20}")
#: The name of a secret instead of one, as code has it: `"API_KEY": "api_key"`.
_ONLY_A_NAME: Final = lazy(r"[^\W\d_]+(?:[_-][^\W\d_]+)*")


def masked_connection(name: str, value: str, judge: Judge = hides) -> str:
    """A connection string without the secret part of it; all of it is one if it cannot be understood."""
    shown = masked_text(value, judge)
    return shown if shown != value or not judge(name, value) else HIDDEN


def bounded(text: str) -> str:
    return text if len(text) <= MAX_TEXT_CHARS else text[:MAX_TEXT_CHARS] + CUT


def _pattern(source: str) -> re.Pattern[str]:
    found = _patterns.get(source)
    if found is None:
        found = _patterns[source] = re.compile(source)
    return found
