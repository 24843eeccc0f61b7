"""Names under which people keep secrets. Pure, bounded, and cheap enough for every parameter of a config.

A name is split into its words (`dbPassword`, `DB__PASSWORD`, `--db-password`). Its words give a level of suspicion, and
the level says which values are hidden: all of them for a password, only random-looking text for a bare `key`.
"""

import functools
import itertools
import re
from enum import IntEnum
from typing import Final

from runstream.capture.patterns import lazy
from runstream.capture.secret_words import (
    COUNTED,
    EMPTY_VALUES,
    FLAG_HEADS,
    HARMLESS_KEYS,
    HARMLESS_TAILS,
    KEY_OWNERS,
    KEY_OWNERS_STRONG,
    LANGUAGE_TOKENS,
    METHODS,
    NO_PASS,
    NO_PASS_BEFORE,
    NO_PATTERN_BEFORE,
    NO_SECRET_WORDS,
    PASSES,
    STRONG_PARTS,
    TOKEN_FOLLOWERS,
    TOKEN_OWNERS,
)

#: A name is judged by its last characters: hydra's and flattened names grow at the front.
_MAX_NAME_CHARS: Final = 200
_WORD: Final = lazy(r"[A-Z]{2,}(?=[A-Z][a-z])|[A-Z]?[^\W\d_A-Z]+|[A-Z]+")
_SHORT_NUMBER: Final = lazy(r"[-+]?(?:\d{1,5}|\d{0,12}\.\d{0,12}(?:[eE][-+]?\d{1,3})?|\d{1,4}[eE][-+]?\d{1,3})")
_REFERENCE: Final = lazy(
    r"\$\{[\w.:]{1,100}\}|\$[A-Z_][A-Z0-9_]{0,60}|\{\{[^{}]{0,100}\}\}|%\(?\w{1,40}\)?[s%]|\*+|\.+|…"
)
#: `<pad>`, `[CLS]`, `<|endoftext|>`, `{token}`: words of a vocabulary, placeholders.
_SPECIAL: Final = lazy(r"<[^<>\s]{0,40}>|\[[A-Za-z_ ]{0,40}\]|\{\w{0,40}\}")
#: A choice or a description: no token, and no password of somebody who says so in its name, looks like that.
_PLAIN_WORDS: Final = lazy(r"[a-z]{1,8}|[a-z]{1,16}(?: [a-z]{1,16}| x?\d{1,4}){1,6}")
#: `pass1`, `token_2`, `token_a`: more often one of several than a secret.
_ONE_OF_SEVERAL: Final = lazy(r"(?i)(?:pass|token)_?(?:\d{1,2}|[a-d])")
_PATH_START: Final = lazy(r"(?:~|\.{1,2})?/|[A-Za-z]:[\\/]")
_PATH_PART: Final = lazy(r"[\w.@ -]{0,40}")
_FILE_END: Final = lazy(
    r"[\w./~@ \\:-]{0,400}\.(?:json|txt|pem|key|ya?ml|toml|ini|cfg|conf|env|crt|p12|pkl|pt|bin|netrc|csv|py)"
)
_RANDOM: Final = lazy(r"[\w+/=.~%-]{16,}")


class Level(IntEnum):
    """How sure a name is: which values under it are hidden."""

    NONE = 0
    RANDOM = 1  # random-looking text
    LOOSE = 2  # text but short plain words, numbers, paths and the like
    TEXT = 3  # text but short numbers, paths and the like
    STRONG = 4  # anything
    CONNECTION = 5  # a connection string: the secret part of it, all of it if it is not understood


def hides(name: str, value: str) -> bool:
    """Whether `value` under this name is a secret by the name alone."""
    level = level_of(name)
    if level is Level.NONE:
        return False
    value = value.strip().strip("\"'")
    if value.lower() in EMPTY_VALUES or _REFERENCE.fullmatch(value):
        return False
    if level is Level.STRONG:  # but a password may read as a path
        return not (is_path(value) and any(part in name.lower() for part in ("key", "cred")))
    if level is Level.CONNECTION:
        return "://" not in value and any(mark in value for mark in ":=@;")
    if level is Level.RANDOM:
        return looks_random(value)
    value = value.rstrip(")]},;") if not _SPECIAL.fullmatch(value) else value
    if value.lower() in METHODS or _SHORT_NUMBER.fullmatch(value) or _SPECIAL.fullmatch(value) or is_path(value):
        return False
    return level is Level.TEXT or not _PLAIN_WORDS.fullmatch(value)


def level_of(name: str) -> Level:
    """The level of a whole name, `model.db.password` as well: of its last part, and what its parents add."""
    return _level_of(name[-_MAX_NAME_CHARS:])


@functools.lru_cache(maxsize=4096)
def _level_of(name: str) -> Level:
    parts = [part for part in re.split(r"[./\[\]\"'\s:]+|__", name) if part.strip("-_+~")] or [name]
    words = words_of(parts[-1])
    if not words and len(parts) > 1:  # an index: `tokens[0]`
        return _level_of(".".join(parts[:-1]))
    own = _level_of_words(words)
    if _ONE_OF_SEVERAL.fullmatch(parts[-1].strip("-_+~")):
        own = min(own, Level.LOOSE)
    if len(parts) > 1 and words:  # `api.key`
        own = max(own, _level_of_words((*words_of(parts[-2])[-1:], *words)))
    if own is not Level.NONE or len(parts) == 1 or not words or words[-1] in HARMLESS_TAILS:
        return own
    above = max(_level_of_words(words_of(part)) for part in parts[:-1])
    return above if above in (Level.STRONG, Level.NONE) else Level.RANDOM


def words_of(name: str) -> tuple[str, ...]:
    """The words of one part of a name, in lower case, without numbers."""
    return tuple(word.lower() for word in _WORD.findall(name))


def _level_of_words(words: tuple[str, ...]) -> Level:
    if not words:
        return Level.NONE
    tail = words[-1]
    pairs = {f"{first} {second}" for first, second in itertools.pairwise(words)}
    if (words[0] in FLAG_HEADS and len(words) > 1) or "allow" in words:
        return Level.NONE
    if tail == "dsn" or tail in ("connstr", "connectionstring", "connstring") or pairs & _CONNECTIONS:
        return Level.CONNECTION
    if words[-2:] in (("session", "id"), ("secret", "id"), ("key", "data")) or tail == "sessionid":
        return Level.RANDOM
    if tail in HARMLESS_TAILS:
        return Level.NONE
    if pairs & _STRONG_PAIRS or any(_is_strong(word) for word in words):
        return Level.STRONG
    return max(_token(words), _key(words), _auth(words), _short(words))


_CONNECTIONS: Final = frozenset({"connection string", "conn str", "conn string", "connection str"})
_STRONG_PAIRS: Final = frozenset({"pass phrase", "pass word", "pass code", "pass key", "pass wd", "mot passe"})
_AUTH: Final = frozenset({"auth", "oauth", "authorization", "authentication", "basicauth", "httpauth", "userauth"})
_SHORT: Final = frozenset({"jwt", "bearer", "pw", "passw", "creds", "tkn", "mnemonic"})
#: What a program makes, so never a plain word: other things are called so too.
_SHORT_MADE: Final = frozenset(
    {"cookie", "cookies", "sas", "otp", "totp", "mfa", "pin", "cred", "csrf", "xsrf", "hmac"}
)


def _is_strong(word: str) -> bool:
    return word not in NO_SECRET_WORDS and any(part in word for part in STRONG_PARTS)


def _token(words: tuple[str, ...]) -> Level:
    at = next((index for index, word in enumerate(words) if word.endswith(("token", "tokens"))), None)
    if at is None:
        return Level.NONE
    glued = words[at].removesuffix("s").removesuffix("token")
    before = {*words[:at], glued} - {""}
    if before & LANGUAGE_TOKENS or before & COUNTED:
        return Level.NONE
    if before & TOKEN_OWNERS:
        return Level.TEXT
    after = words[at + 1 :]
    if words[at].endswith("s"):
        return Level.TEXT if after and TOKEN_OWNERS.issuperset(after) else Level.RANDOM
    if any(word not in TOKEN_FOLLOWERS and word not in TOKEN_OWNERS for word in after):
        return Level.RANDOM
    return Level.LOOSE if before else Level.TEXT


def _key(words: tuple[str, ...]) -> Level:
    tail = words[-1].removesuffix("s")
    if not tail.endswith("key"):
        at = next((index for index, word in enumerate(words) if word in ("key", "keys")), 0)
        strong = at > 0 and words[at - 1] in KEY_OWNERS_STRONG
        return Level.TEXT if strong else Level.NONE
    owners = {*words[:-1], tail.removesuffix("key")} - {""}
    if owners & KEY_OWNERS_STRONG:
        return Level.STRONG
    if owners & KEY_OWNERS:
        return Level.TEXT
    return Level.NONE if owners & HARMLESS_KEYS or tail in NO_SECRET_WORDS else Level.RANDOM


def _auth(words: tuple[str, ...]) -> Level:
    if words[-1] in _AUTH:
        return Level.TEXT
    if not _AUTH & set(words):
        return Level.NONE
    return Level.TEXT if words[-1] in TOKEN_FOLLOWERS else Level.RANDOM


def _short(words: tuple[str, ...]) -> Level:
    tail = words[-1]
    before = words[-2] if len(words) > 1 else ""
    if tail in _SHORT or tail.endswith(("pwd", "pswd")) or tail == "psw":
        return Level.TEXT
    if tail in _SHORT_MADE:
        return Level.LOOSE
    if tail.endswith("pass") and tail not in NO_PASS and before not in NO_PASS_BEFORE:
        return Level.LOOSE if before in PASSES else Level.TEXT
    if tail == "pat" and before not in NO_PATTERN_BEFORE:
        return Level.TEXT
    return Level.RANDOM if tail in ("session", "sig", "signature", "webhook", "credit") else Level.NONE


def is_path(value: str) -> bool:
    """Whether it reads as the path of a file; random text that begins with a slash does not."""
    if _FILE_END.fullmatch(value):
        return True
    parts = re.split(r"[\\/]", value)
    return bool(_PATH_START.match(value)) and all(
        _PATH_PART.fullmatch(part) and not (len(part) > 8 and _mixed(part)) for part in parts
    )


def looks_random(value: str) -> bool:
    """Whether it reads as a key that a program made: 16 characters or more, letters with digits, few repeated."""
    if not _RANDOM.fullmatch(value[:500]) or is_path(value):
        return False
    letters = any(char.isalpha() for char in value)
    digits = sum(char.isdigit() for char in value)
    if not letters or not digits or len(set(value)) < 8:
        return False
    words = re.split(r"[/_.=+~-]", value)
    return any(len(word) >= 12 and any(map(str.isdigit, word)) and any(map(str.isalpha, word)) for word in words) or (
        digits >= 4 and _mixed(value)
    )


def _mixed(text: str) -> bool:
    return any(map(str.isupper, text)) and any(map(str.islower, text)) and any(map(str.isdigit, text))
