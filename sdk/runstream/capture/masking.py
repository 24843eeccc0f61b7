"""The secrets of one run: what is hidden in what it captures, what may stay, and what was hidden so far."""

import fnmatch
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from runstream.capture.secret_arguments import masked_arguments, masked_value
from runstream.capture.secret_diff import masked_diff
from runstream.capture.secret_forms import HIDDEN, without_forms
from runstream.capture.secret_names import Level, hides, is_path, level_of
from runstream.capture.secret_text import Judge, bounded, masked_text
from runstream.capture.secret_urls import without_credentials

#: A secret that is known by its name is looked for in other texts too, if it is none of the words that these have.
_MIN_KNOWN_CHARS: Final = 8
_MAX_KNOWN: Final = 200
#: One that somebody declared to be secret is looked for if it is longer than what is found everywhere.
_MIN_DECLARED_CHARS: Final = 4
#: Shorter names hold no secret themselves.
_MIN_NAME_CHARS: Final = 30
#: Names that one notice lists.
_MAX_TOLD: Final = 20


class Masking:
    """Hides secrets for one run. Methods may be called from any thread; nothing here raises for odd texts.

    `allow` names what stays: parameters, options, `argv`, `git.remote`, `git.diff`, `console`, `traceback`, with `*` as
    in file names. A name counts with and without what stands before its last dot, in any case, `-` as `_`.
    """

    def __init__(self, allow: Iterable[str] = (), environ: Mapping[str, str] = os.environ) -> None:
        self._allow = tuple(_folded(name) for name in allow)
        self._environ = environ
        self._known: dict[str, None] = {}
        self._sorted: tuple[str, ...] = ()
        self._kept: dict[str, None] = {}
        #: Whether the secrets of the environment are among them.
        self._looked = False
        self._found: dict[str, None] = {}
        self._told: set[str] = set()

    def values(self, what: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """JSON values by name; `what` says what they are: parameter, value, metadata."""
        return {
            name if len(name) < _MIN_NAME_CHARS else without_forms(name): self._value(what, name, value)
            for name, value in values.items()
        }

    def facts(self, section: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """JSON values whose names are no person's choice: by their form alone."""
        return {
            name: value if self._allowed(f"{section}.{name}") else _each_text(value, self._by_form)
            for name, value in values.items()
        }

    def arguments(self, argv: Sequence[str]) -> list[str]:
        """A command line."""
        if self._allowed("argv"):
            return list(argv)
        shown = [self._without_known(text) for text in masked_arguments(argv, self._judge("argument"))]
        for number, (before, after) in enumerate(zip(map(bounded, argv), shown, strict=True)):
            if before != after and not any(name.startswith("argument ") for name in self._found):
                self._found[f"argument {number}"] = None
        return shown

    def remote(self, remote: str) -> str:
        """The address of a git remote, without user and password."""
        if self._allowed("git.remote"):
            return remote
        shown = self._without_known(without_credentials(remote))
        if shown != remote:
            self._found["git.remote"] = None
        return shown

    def diff(self, diff: bytes, *, cut: bool) -> tuple[bytes, int]:
        """A difference of git, and how many of its lines were changed."""
        if self._allowed("git.diff"):
            return diff, 0
        masked, changed = masked_diff(diff, self._judge_of_code, cut=cut)
        for secret in self._known_secrets():
            if (encoded := secret.encode("utf-8", "surrogateescape")) in masked:
                changed += masked.count(encoded)
                masked = masked.replace(encoded, HIDDEN.encode())
        if changed:
            self._found["git.diff"] = None
        return masked, changed

    def trace(self, text: str) -> str:
        """A traceback, or the message of an error: by form, and quoted values by name."""
        if self._allowed("traceback"):
            return text
        shown = self._without_known(masked_text(text, self._judge_of_code, bare=False))
        if shown != text:
            self._found["traceback"] = None
        return shown

    def console(self, text: str) -> str:
        """What was printed: by form, and what is known to be secret."""
        if self._allowed("console"):
            return text
        shown = self._by_form(text)
        if shown != text:
            self._found["console"] = None
        return shown

    def hide(self, secrets: Iterable[str]) -> None:
        """Hide these texts from now on, whatever they look like; of a secret of several lines, each of them. Those of
        less than four characters stay: they would be found in any text."""
        for secret in secrets:
            for text in (secret, *secret.splitlines()):
                if len(text.strip()) >= _MIN_DECLARED_CHARS:
                    self._known[text.strip()] = None

    def news(self) -> str | None:
        """What to tell about names that were hidden since the last call; None if there are none."""
        new = [name for name in list(self._found) if name not in self._told]
        if not new:
            return None
        self._told.update(new)
        listed = ", ".join(new[:_MAX_TOLD]) + (f" and {len(new) - _MAX_TOLD} more" if len(new) > _MAX_TOLD else "")
        example = new[0].rpartition(" ")[2] if not new[0].startswith("argument ") else "argv"
        example = example.lstrip("-") or "argv"
        return (
            f"{listed}: looks like a secret and is kept as {HIDDEN}. To keep it as it is: "
            f"init(allow_secrets=[{example!r}]) or RUNSTREAM_ALLOW_SECRETS={example}"
        )

    def _value(self, what: str, name: str, value: Any) -> Any:
        if self._allowed(name):
            if isinstance(value, str):
                self._keep(value)
            return value
        count = len(self._found)
        shown = _each_text(masked_value(name, value, self._judge(what)), self._without_known)
        if shown != value and len(self._found) == count and f"{what} {name}" not in self._found:
            self._found[f"{what} {name}"] = None
        return shown

    def _judge_of_code(self, name: str, value: str) -> bool:
        return hides(name, value) and not self._allowed(name)

    def _judge(self, what: str) -> Judge:
        def judge(name: str, value: str) -> bool:
            if not hides(name, value):
                return False
            if self._allowed(name):
                self._keep(value)
                return False
            self._found[f"{what} {name}"] = None
            self._remember(value)
            return True

        return judge

    def _allowed(self, name: str) -> bool:
        if not self._allow:
            return False
        folded = _folded(name)
        return any(
            fnmatch.fnmatchcase(one, pattern) for pattern in self._allow for one in (folded, folded.rpartition(".")[2])
        )

    def _by_form(self, text: str) -> str:
        return self._without_known(without_forms(text))

    def _without_known(self, text: str) -> str:
        for secret in self._known_secrets():
            if secret in text:
                text = text.replace(secret, HIDDEN)
        return text

    def _known_secrets(self) -> tuple[str, ...]:
        """Longest first: one may be a part of another. Threads may do this at once: all find the same."""
        if not self._looked:
            for name, value in list(self._environ.items()):
                if level_of(name) >= Level.LOOSE and hides(name, value) and not self._allowed(name):
                    self._remember(value)
            self._looked = True
        if len(self._sorted) != len(self._known):
            self._sorted = tuple(sorted(self._known, key=len, reverse=True))
        return self._sorted

    def _remember(self, value: str) -> None:
        value = value.strip().strip("\"'")
        if len(self._known) < _MAX_KNOWN and value not in self._kept and _is_distinct(value):
            self._known[value] = None

    def _keep(self, value: str) -> None:
        """It stays, whatever other names it has."""
        value = value.strip().strip("\"'")
        self._kept[value] = None
        if self._known.pop(value, "") is None:
            self._sorted = ()


def _is_distinct(value: str) -> bool:
    """Whether a text that holds it holds the secret, and not just the same word."""
    if not _MIN_KNOWN_CHARS <= len(value) <= 10_000 or is_path(value) or value == HIDDEN:
        return False
    if any(map(str.isdigit, value)):
        return any(map(str.isalpha, value)) or len(value) >= 12
    return len(value) >= 20 and not value.replace("_", "").replace("-", "").isalpha()


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _each_text(item, change) for key, item in value.items()}
    return [_each_text(item, change) for item in value] if isinstance(value, list) else value


def _folded(name: str) -> str:
    return name.strip().lstrip("-+~").replace("-", "_").lower()
