"""Who may come in: API keys, and for the embedded default on loopback nobody but this machine's own programs.

Without a key a server only listens on loopback, and refuses requests through a proxy that it does not trust. A browser
on the same machine can still be made to send requests there by any page it shows: `Host` must name loopback (a page
whose own name was re-pointed to 127.0.0.1 sends its own name: DNS rebinding), and `origins` tells the rest.
"""

import hashlib
import hmac
import itertools
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from runstream_service.access import (
    LOCAL,
    PRINCIPAL,
    READING,
    Action,
    Grant,
    Principal,
    authorize,
    full_principal,
    reading_principal,
)
from runstream_service.origins import judge_request, tells_its_origin
from runstream_service.problems import Problem
from runstream_service.protocols import ProtocolAccess
from runstream_service.proxies import TRUSTED_PROXIES, TRUSTED_VARIABLE, client_of
from runstream_service.proxies import is_loopback as is_loopback
from runstream_service.routing import action_of, is_page

#: For probes and scrapers: keys that only read open them, and on a server without keys this machine's programs do.
OPEN_PATHS: Final = frozenset({"/healthz", "/readyz", "/metrics"})
#: For probes of other machines as well (load balancers and kubelets have no key). Without a key they are told yes or
#: no, and no reasons.
PROBE_PATHS: Final = frozenset({"/healthz", "/readyz"})
#: How paths of this server's own begin whose addresses authorise themselves (`tickets`).
TICKET_PATH: Final = "/api/v1/tickets/"
#: How the addresses of live panels begin. The token in each authorises the request; frames without an origin use them.
FRAME_PATH: Final = "/-/panels/"
#: What a key must have: 16 characters of 64 kinds are 96 bits.
MIN_KEY_CHARS: Final = 16
#: So many characters of a key's hash are its principal's name.
_NAME_CHARS: Final = 8
#: Behind a key, where keys are given to a server: it opens what only reads. The key itself is what stands before it.
READ_SUFFIX: Final = ":read"
#: Programs of this machine at OPEN_PATHS, on a server with keys that allows them to go without one.
_LOCAL_OPERATOR: Final = Principal("local", (Grant(frozenset({Action.OPERATE})),))
#: Whoever shows no key where none is needed.
ANYBODY: Final = Principal("anybody", ())


class InvalidKey(ValueError):
    """A key that cannot be used; the message says why and what to do, and does not show it."""


class InsecureBind(ValueError):
    """An address that others can reach, and no key. The message says what to do."""


@dataclass(frozen=True, slots=True)
class ApiKeys:
    """The keys that are let in, each with its principal, kept as SHA-256 (they are long and random, so a slow hash
    would add nothing)."""

    principals: tuple[tuple[bytes, Principal], ...] = ()

    @classmethod
    def from_plain(cls, keys: Iterable[str]) -> Self:
        """Hash keys as they were given at the start: they may do everything; `KEY:read` is a key that only reads.

        Raises InvalidKey for one that is too short or not printable, or that is given with both rights.
        """
        principals: dict[bytes, Principal] = {}
        for given in keys:
            key = given.removesuffix(READ_SUFFIX)
            _check_form(key)
            digest = hashlib.sha256(key.encode()).digest()
            name = digest.hex()[:_NAME_CHARS]
            principal = full_principal(name) if given == key else reading_principal(name)
            if principals.setdefault(digest, principal) != principal:
                raise InvalidKey(f"the same API key is given with and without {READ_SUFFIX}: give it once")
        return cls(tuple(principals.items()))

    def __bool__(self) -> bool:
        return bool(self.principals)

    def principal_of(self, key: str) -> Principal | None:
        """Return the principal of a key that is let in, else None. Takes the same time for any key."""
        given = hashlib.sha256(key.encode(errors="surrogateescape")).digest()
        found = [principal for digest, principal in self.principals if hmac.compare_digest(given, digest)]
        return found[0] if found else None

    def principal_of_token(self, credential: str, protocol: ProtocolAccess) -> Principal | None:
        """Return the principal of the key whose secret signed a token of a protocol, else None. Looks at all keys."""
        found = [
            principal
            for digest, principal in self.principals
            if protocol.signed(credential, _token_secret(digest, protocol.name))
        ]
        return found[0] if found else None

    def principal_of_signed(self, request: web.Request, protocol: ProtocolAccess) -> Principal | None:
        """Return the principal of the key whose secret signed a request as a protocol does, else None. Looks at all
        keys."""
        found = [
            principal
            for digest, principal in self.principals
            if protocol.signs(request, _token_secret(digest, protocol.name))
        ]
        return found[0] if found else None


#: What a request's application lets in.
_KEYS: Final = web.RequestKey("runstream_keys", ApiKeys)


def login_secret(request: web.Request, key: str, protocol: str) -> bytes | None:
    """Return the secret by which tokens of a protocol are signed for a key that stands in a request's body; None if the
    key is not let in. On a server without keys every program of this machine is, whatever it gives.

    Who has a token can find neither the key nor the secret, and a key that is taken from the server takes its tokens
    with it.
    """
    keys = request.get(_KEYS, ApiKeys())
    if keys and keys.principal_of(key) is None:
        return None
    return _token_secret(hashlib.sha256(key.encode(errors="surrogateescape")).digest(), protocol)


def secret_of(request: web.Request, purpose: str) -> bytes:
    """Return the secret by which something is signed for the key that a request came with. `purpose` is the name of no
    protocol. On a server without keys everybody knows the secret."""
    principal = request.get(PRINCIPAL, LOCAL)
    known = request.get(_KEYS, ApiKeys()).principals
    return _token_secret(next((digest for digest, of in known if of is principal), b""), purpose)


def principal_that_signed(request: web.Request, purpose: str, is_signed: Callable[[bytes], bool]) -> Principal | None:
    """Return the principal whose secret signed what a request without a key shows, if it may still read, else None.
    Looks at all keys."""
    keys = request.get(_KEYS, ApiKeys())
    known = keys.principals if keys else ((b"", LOCAL),)
    found = [principal for digest, principal in known if is_signed(_token_secret(digest, purpose))]
    return found[0] if found and authorize(found[0], Action.READ) is None else None


def _token_secret(digest: bytes, protocol: str) -> bytes:
    return hmac.digest(digest, f"runstream token {protocol}".encode(), hashlib.sha256)


def _check_form(key: str) -> None:
    if len(key) < MIN_KEY_CHARS or not key.isascii() or not key.isprintable() or " " in key:
        raise InvalidKey(
            f"an API key of {len(key)} characters cannot be used: give at least {MIN_KEY_CHARS} printable "
            "ASCII characters without spaces, for example from `openssl rand -hex 24`"
        )


def check_bind(host: str, keys: ApiKeys) -> None:
    """Raises InsecureBind if others could reach a server on `host` and no key would stop them."""
    if not keys and not is_loopback(host):
        raise InsecureBind(
            f"a server on {host!r} can be reached by others and has no API key: give one (--api-key KEY), or listen on "
            "127.0.0.1"
        )


def auth_middleware(
    keys: ApiKeys,
    allowed_hosts: Collection[str] = (),
    on_key: Callable[[str | None], None] = lambda name: None,
    *,
    protocols: Sequence[ProtocolAccess] = (),
    local_metrics: bool = False,
    passes: Callable[[str], Principal | None] = lambda key: None,
) -> Middleware:
    """Return the middleware behind `problem_middleware`: it finds the principal of each request, and authorizes it for
    the action of its route.

    With keys: `Authorization: Bearer KEY` or the bare key, or what one of the protocols makes a key of, has
    signed with one or sends in a header of its own, else 401.
    Without: only this machine's programs, by a loopback name (or one of `allowed_hosts`), else 403. In both cases 403
    for what a page of another site sends (`origins.judge`), and for what the principal has no right to do.
    PROBE_PATHS need no key, and give reasons with one only; at the page's routes and the protocols' open and ticket
    paths none is looked at.

    on_key: called for each request that needs a key, with the name of the one that it came with; None: it is refused.
    local_metrics: this machine's own programs need no key for OPEN_PATHS and are told reasons. Whoever stands behind a
    proxy on this machine that adds nothing to requests cannot be told from one.
    passes: gives the principal of a key that the server itself made for a process of its own (`panels`).
    """
    named = frozenset(host.lower() for host in allowed_hosts)
    is_open = not keys
    program_headers = tuple(prefix for protocol in protocols for prefix in protocol.program_headers)
    open_paths = frozenset[str]().union(*(protocol.open_paths for protocol in protocols))
    ticket_paths = (TICKET_PATH, FRAME_PATH, *(path for protocol in protocols for path in protocol.ticket_paths))

    def principal_of_request(request: web.Request) -> Principal:
        passed = passes(_key_of(request.headers.get("Authorization", "").strip()))
        if passed is not None:
            return passed
        if is_open:
            return LOCAL
        if local_metrics and request.path in OPEN_PATHS and client_of(request).is_this_machine:
            return _LOCAL_OPERATOR
        if _needs_no_key(request, open_paths) or request.path.startswith(ticket_paths):
            return ANYBODY
        return _check_key(request, keys, protocols, on_key)

    @web.middleware
    async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
        action = action_of(request)
        if is_open or tells_its_origin(request.headers):
            hosts = _hosts_of(request)
            if is_open:
                _check_local(request, hosts, named)
            writes = action is not None and action not in READING
            # A frame without an origin is another site's page to a browser.
            problem = (
                None
                if request.path.startswith(FRAME_PATH)
                else judge_request(
                    request, writes=writes, is_open=is_open, hosts=hosts, program_headers=program_headers
                )
            )
            if problem is not None:
                raise problem
        request[_KEYS] = keys
        principal = request[PRINCIPAL] = principal_of_request(request)
        if action is not None and principal is not ANYBODY:
            problem = authorize(principal, action)
            if problem is not None:
                raise _as_clients_know_it(problem, request, protocols)
        return await handler(request)

    return authenticate


def may_see_reasons(request: web.Request) -> bool:
    """Return whether this request to a probe may be told why. Where nobody is authenticated, this machine's own
    programs may."""
    if PRINCIPAL in request:
        return not request[PRINCIPAL].scope(Action.OPERATE).is_empty
    return client_of(request).is_this_machine


def _needs_no_key(request: web.Request, open_paths: Collection[str]) -> bool:
    """From whatever machine. A probe with a key wants the reasons, so its key is looked at."""
    if request.path in open_paths or is_page(request):
        return True
    return request.path in PROBE_PATHS and "Authorization" not in request.headers


def _check_key(
    request: web.Request,
    keys: ApiKeys,
    protocols: Sequence[ProtocolAccess],
    on_key: Callable[[str | None], None],
) -> Principal:
    key = _key_of(_credential_of(request, protocols))
    principal = (keys.principal_of(key) or _principal_of_other_form(key, request, keys, protocols)) if key else None
    on_key(principal.name if principal is not None else None)
    if principal is None:
        detail = "This key is not known here." if key else "Send `Authorization: Bearer KEY`."
        headers = {"WWW-Authenticate": 'Bearer realm="runstream"'}
        problem = Problem(401, "unauthorized", "An API key is needed", detail, headers=headers)
        raise _as_clients_know_it(problem, request, protocols)
    return principal


def _key_of(credential: str) -> str:
    scheme, _, rest = credential.partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else credential


def _credential_of(request: web.Request, protocols: Sequence[ProtocolAccess]) -> str:
    """Return what a request shows as its key: `Authorization`, or without one the header of a protocol, or what stands
    in its URL for one; empty where it shows nothing."""
    names = ("Authorization", *(protocol.key_header for protocol in protocols if protocol.key_header))
    in_headers = (request.headers.get(name, "").strip() for name in names)
    query = request.rel_url.raw_query_string
    in_url = (protocol.url_credential(request.path, query) for protocol in protocols if query)
    return next((shown for shown in itertools.chain(in_headers, in_url) if shown), "")


def _principal_of_other_form(
    credential: str, request: web.Request, keys: ApiKeys, protocols: Sequence[ProtocolAccess]
) -> Principal | None:
    """Return the principal of the key that a protocol reads out of a credential, which is no key itself, or of the key
    that signed it, or the request."""
    forms = (form for protocol in protocols for form in protocol.keys(credential))
    signed = (keys.principal_of_token(credential, protocol) for protocol in protocols)
    requests = (keys.principal_of_signed(request, protocol) for protocol in protocols)
    found = itertools.chain(map(keys.principal_of, forms), signed, requests)
    return next((principal for principal in found if principal is not None), None)


def _as_clients_know_it(problem: Problem, request: web.Request, protocols: Sequence[ProtocolAccess]) -> Problem:
    """Return the refusal in the form of the protocol whose path the request is for."""
    for protocol in protocols:
        problem = protocol.refuse(request.path, request.headers, problem)
    return problem


def _check_local(request: web.Request, hosts: tuple[str, ...], allowed_hosts: frozenset[str]) -> None:
    client = client_of(request)
    if not is_loopback(client.address):
        raise _not_local(f"not {client.address}")
    for value in hosts:
        host = _host_of(f"//{value}")
        if not (is_loopback(host) or host in allowed_hosts):
            detail = f"The request is for host {host!r}; without API keys only localhost and 127.0.0.1 are answered."
            raise Problem(403, "wrong-host", "The host name is not this server's", detail)
    if client.through:
        raise _not_local(
            f"and a proxy passed this request on for somebody ({client.through} shows it): give the server a key "
            "(RUNSTREAM_API_KEYS); or, for a proxy that only this machine uses, have it set X-Forwarded-For and "
            f"name its address in {TRUSTED_VARIABLE}"
        )
    if not client.is_known:
        raise _not_local(f"and who is behind the proxy at {client.address} cannot be told: have it set X-Forwarded-For")


def _not_local(why: str) -> Problem:
    detail = f"This server has no API key and answers only its own machine, {why}."
    return Problem(403, "not-local", "Only programs of this machine are let in", detail)


def _hosts_of(request: web.Request) -> tuple[str, ...]:
    """What this server was called: by the client, and where a trusted proxy says it, by that proxy's client."""
    # Not request.host: where there is no such header, that is a question to the resolver, which blocks.
    named = request.headers.get("Host", "").strip().lower()
    forwarded = request.headers.get("X-Forwarded-Host")
    if forwarded is not None:
        trusted = request.app.get(TRUSTED_PROXIES)
        if trusted is not None and trusted.covers(request.remote or ""):
            return (named, forwarded.rpartition(",")[2].strip().lower())
    return (named,)


@lru_cache(256)  # for every request, of few names
def _host_of(address: str) -> str:
    try:
        return (urlsplit(address).hostname or "").lower()
    except ValueError:
        return ""
