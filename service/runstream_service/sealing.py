"""Secrets of users (values of environment variables, credentials), encrypted before they reach the log.

AES-256-GCM. What is sealed names its key and is bound to its place and its name: moved elsewhere in the log or in the
read models, it does not open. There may be several keys: the first seals, all of them open. A nonce is drawn for each
secret: 96 random bits are good for 2**32 secrets under one key (NIST SP 800-38D, 8.3).
"""

import base64
import contextlib
import hashlib
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from runstream.private import open_own, read_own

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

#: The variable that has the keys, with commas between them.
KEY_VARIABLE: Final = "RUNSTREAM_SECRETS_KEY"
#: Its name in the data directory of a server on one machine.
KEY_FILE: Final = "secrets.key"
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_VERSION: Final = "sealed1"
_ID_CHARS: Final = 8
_MAX_FILE_BYTES: Final = 10_000
_HOW: Final = "give 32 random bytes in base64, for example from `openssl rand -base64 32`"


class InvalidSecretsKey(ValueError):
    """A text that is no key. The message says what to do, and does not show it."""


class SealingUnavailable(Exception):
    """This server has no key, or cannot read or write the file of its keys. The message says what to do."""


class SealBroken(Exception):
    """A sealed secret that no key of this server opens at this place and name. The message says what to do."""


@dataclass(frozen=True, slots=True)
class SealingKey:
    """A key, and the name by which what it sealed tells it from others."""

    id: str
    secret: bytes = field(repr=False)

    @classmethod
    def of(cls, text: str) -> Self:
        """Return the key of 32 bytes in base64. Raises InvalidSecretsKey."""
        try:
            secret = base64.b64decode(text.strip(), altchars=b"-_" if {"-", "_"} & set(text) else None, validate=True)
        except ValueError:
            raise InvalidSecretsKey(f"a key of secrets is no base64: {_HOW}") from None
        if len(secret) != _KEY_BYTES:
            raise InvalidSecretsKey(f"a key of secrets has {len(secret)} bytes: {_HOW}")
        return cls(hashlib.sha256(b"runstream secrets key " + secret).hexdigest()[:_ID_CHARS], secret)


class Sealing:
    """Seals secrets and opens them. Used from any thread; `seal` and `open` may read the file of keys, so that an event
    loop calls them in a thread."""

    def __init__(self, keys: Sequence[SealingKey], path: Path | None) -> None:
        self._given = tuple(keys)
        self._path = path
        self._lock = threading.Lock()

    @classmethod
    def of(cls, keys: Sequence[str], path: Path | None = None) -> Self:
        """Return the sealing by these keys, of which the first seals; without one, by those of the file at `path`, one
        a line, which is made with the first secret. Raises InvalidSecretsKey."""
        return cls([SealingKey.of(key) for key in keys], path)

    def seal(self, place: str, name: str, text: str) -> str:
        """Return a secret encrypted for the place and the name, as printable ASCII. Raises SealingUnavailable."""
        key = self._keys(is_made=True)[0]
        nonce = os.urandom(_NONCE_BYTES)
        sealed = _cipher(key).encrypt(nonce, text.encode(), _bound(place, name))
        return f"{_VERSION}.{key.id}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def open(self, place: str, name: str, sealed: str) -> str:
        """Return the secret that was sealed for the place and the name. Raises SealBroken, SealingUnavailable."""
        version, _, rest = sealed.partition(".")
        key_id, _, encoded = rest.partition(".")
        key = next((key for key in self._keys(is_made=False) if key.id == key_id), None)
        if version != _VERSION or key is None:
            raise SealBroken(
                f"{place}: the secret {name!r} was sealed with the key {key_id[:_ID_CHARS]!r}, which this server does "
                f"not have: give it, too, behind the first in {KEY_VARIABLE}, or set the secret again"
            )
        try:
            data = base64.urlsafe_b64decode(encoded)
            opened: bytes = _cipher(key).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], _bound(place, name))
            return opened.decode()
        except _broken() as error:
            raise SealBroken(f"{place}: the secret {name!r} was changed or moved: set it again") from error

    def is_current(self, sealed: str) -> bool:
        """Return whether the first key sealed it. Raises SealingUnavailable."""
        return sealed.startswith(f"{_VERSION}.{self._keys(is_made=True)[0].id}.")

    def _keys(self, *, is_made: bool) -> Sequence[SealingKey]:
        """The keys; those of the file are read once. `is_made`: a file that is not there is made, with a new key."""
        with self._lock:
            if not self._given:
                self._given = tuple(_read(self._path, is_made=is_made))
            return self._given


def _read(path: Path | None, *, is_made: bool) -> Sequence[SealingKey]:
    if path is None:
        raise SealingUnavailable(
            f"this server keeps no secrets, because it has no key for them: set {KEY_VARIABLE} for all gateways, {_HOW}"
        )
    try:
        if is_made and not path.exists():
            _make(path)
        lines = read_own(path, _MAX_FILE_BYTES).decode("ascii", "replace").split()
        keys = [SealingKey.of(line) for line in lines]
    except (OSError, InvalidSecretsKey) as error:
        if isinstance(error, FileNotFoundError) and not is_made:
            return ()
        raise SealingUnavailable(f"the keys of secrets cannot be read from {path}: {error}") from error
    if not keys:
        raise SealingUnavailable(
            f"{path} is empty: bring back the key of the secrets, or remove the file for a new one"
        )
    return keys


def _make(path: Path) -> None:
    """Write a new key, whole or not at all; one that another program made meanwhile stays."""
    made = path.with_name(f"{path.name}.{os.urandom(8).hex()}")
    text = base64.b64encode(os.urandom(_KEY_BYTES)) + b"\n"
    try:
        with os.fdopen(open_own(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(made, path)
    finally:
        made.unlink(missing_ok=True)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _bound(place: str, name: str) -> bytes:
    """What a secret is bound to; it tells where the place ends."""
    whole = place.encode()
    return b"%d:%b%b" % (len(whole), whole, name.encode())


def _cipher(key: SealingKey) -> "AESGCM":
    """The cipher. Loaded with the first secret: most servers keep none."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key.secret)


def _broken() -> tuple[type[Exception], ...]:
    """What opening raises for what is not as it was sealed."""
    from cryptography.exceptions import InvalidTag

    return (InvalidTag, ValueError)
