"""What authentication has to know of a foreign client's protocol.

Each protocol gives one `ProtocolAccess` in its own package; the middleware takes them all and knows none by name.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from aiohttp import web

from runstream_service.problems import Problem


def _no_other_forms(credential: str) -> Iterable[str]:
    return ()


def _no_token(credential: str, secret: bytes) -> bool:
    return False


def _not_signed(request: web.Request, secret: bytes) -> bool:
    return False


def _none_in_url(path: str, query: str) -> str:
    return ""


def _as_it_is(path: str, headers: Mapping[str, str], problem: Problem) -> Problem:
    return problem


@dataclass(frozen=True, slots=True)
class ProtocolAccess:
    """How clients of one protocol show their key, where they need none, and how they learn of a refusal.

    open_paths: paths that need no key and change nothing, whatever their method. ticket_paths: how paths begin whose
    URLs authorise themselves: no key is looked at, and their handlers give the request its principal. keys: the keys
    that a credential may stand for, if it is no key itself. signed: whether a credential is a token that was signed
    with the secret of a key (`auth.login_secret`) and is still good; compared in a time that tells nothing. signs:
    whether a whole request is signed with what is made of the secret of a key, of which it shows nothing else; it has
    to check the signature, because the request is let in by it. key_header: the header, in lower case, that holds the
    credential where there is no `Authorization`; empty: none. url_credential: the credential in the query string of a
    request at a path, as it was sent; empty: there is none. It is looked at last. program_headers: how headers of the
    client begin, in lower case, which no page of another site can send. refuse: the problem as the client of a
    request with a path and headers knows it; a problem of a path that is none of the protocol's is returned unchanged.
    """

    name: str
    open_paths: frozenset[str] = frozenset()
    ticket_paths: tuple[str, ...] = ()
    keys: Callable[[str], Iterable[str]] = _no_other_forms
    signed: Callable[[str, bytes], bool] = _no_token
    signs: Callable[[web.Request, bytes], bool] = _not_signed
    key_header: str = ""
    url_credential: Callable[[str, str], str] = _none_in_url
    program_headers: tuple[str, ...] = ()
    refuse: Callable[[str, Mapping[str, str], Problem], Problem] = _as_it_is
