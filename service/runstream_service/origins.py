"""Whether a page of another site made the browser send a request: one table of decisions, and the headers of responses
that keep other sites' pages out.

Browsers say where a request comes from (`Sec-Fetch-Site`, `Sec-Fetch-Mode`, `Sec-Fetch-Dest`; those of before 2023
only `Origin` and `Referer`, and not always), which a page cannot change. A page can send GET, and POST with the types
of forms, to any address without asking first; all else, and every header beyond the usual, is asked for beforehand
(OPTIONS) and not allowed here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web
from multidict import istr

from runstream_service.disposition import FILE_POLICY
from runstream_service.problems import Problem

#: Any of them shows a program: a page that sets one has the browser ask first. The value does not matter.
CLIENT_HEADER: Final = "Runstream-Client"
_PROGRAM_PREFIX: Final = "runstream-"
#: What browsers send by themselves, for a password that they remember.
_BROWSER_SCHEMES: Final = frozenset(("basic", "digest", "negotiate", "ntlm"))
#: Types of bodies that a page cannot send without asking first. Not every type but those of forms: browsers have
#: reports of their own, whose addresses a page chooses.
_PROGRAM_TYPES: Final = frozenset(("application/json", "application/octet-stream", "application/vnd.runstream.frames"))
#: What browsers call themselves, those of text too.
_BROWSERS: Final = re.compile(r"mozilla/|opera/|lynx/|w3m/|e?links\b", re.IGNORECASE)

#: What responses carry that say nothing themselves about it. Names of this type are compared at half the cost.
RESPONSE_HEADERS: Final[Mapping[str, str]] = {
    istr("X-Content-Type-Options"): "nosniff",
    istr("Cross-Origin-Resource-Policy"): "same-origin",
    istr("Content-Security-Policy"): FILE_POLICY,
    istr("Referrer-Policy"): "same-origin",
    # A cache that gives an old response to a sender's question would have it drop what was never stored.
    istr("Cache-Control"): "no-store",
    istr("Vary"): "Sec-Fetch-Site, Origin",
}
_RESPONSE_HEADERS: Final = tuple(RESPONSE_HEADERS.items())


@dataclass(frozen=True, slots=True)
class Facts:
    """What `judge` looks at. None: the request has no such header.

    writes: whether the route may change something. hosts: how the request calls this server (`Host`, and what a
    trusted proxy was called). is_open: whether no key is asked for. is_marked: whether a header is there that a page
    cannot set. is_browser: whether the program calls itself one.
    """

    method: str
    path: str
    writes: bool
    is_open: bool
    hosts: tuple[str, ...]
    is_marked: bool = False
    is_browser: bool = False
    content_type: str | None = None
    site: str | None = None
    mode: str | None = None
    dest: str | None = None
    origin: str | None = None
    referer: str | None = None


def tells_its_origin(headers: Mapping[str, str]) -> bool:
    """Whether a request says where it comes from. With keys, `judge` lets in all that do not."""
    return "Sec-Fetch-Site" in headers or "Origin" in headers or "Referer" in headers


def is_of_a_browser(headers: Mapping[str, str]) -> bool:
    """Whether a browser sent it, for servers that have no pages."""
    return tells_its_origin(headers) or _BROWSERS.match(headers.get("User-Agent", "").strip()) is not None


def facts_of(
    request: web.Request, *, writes: bool, is_open: bool, hosts: tuple[str, ...], program_headers: tuple[str, ...] = ()
) -> Facts:
    """Return the facts of a request. `program_headers`: how other headers begin that only programs send."""
    headers = request.headers
    return Facts(
        method=request.method,
        path=request.path,
        writes=writes,
        is_open=is_open,
        hosts=hosts,
        is_marked=_is_marked(headers, (_PROGRAM_PREFIX, *program_headers)),
        is_browser=_BROWSERS.match(headers.get("User-Agent", "").strip()) is not None,
        content_type=headers.get("Content-Type"),
        site=headers.get("Sec-Fetch-Site"),
        mode=headers.get("Sec-Fetch-Mode"),
        dest=headers.get("Sec-Fetch-Dest"),
        origin=headers.get("Origin"),
        referer=headers.get("Referer"),
    )


def judge_request(
    request: web.Request, *, writes: bool, is_open: bool, hosts: tuple[str, ...], program_headers: tuple[str, ...] = ()
) -> Problem | None:
    """Return what `judge` says of the facts of a request (`facts_of`), without gathering those that decide nothing.

    Of a request that does not tell its origin, `judge` asks only whether it writes to a server without keys and, if so,
    whether a program sent it.
    """
    headers = request.headers
    if not tells_its_origin(headers):
        is_of_a_program = request.method == "POST" and _is_of_a_program_type(headers.get("Content-Type"))
        if is_of_a_program or not (writes and is_open):
            return None
    facts = facts_of(request, writes=writes, is_open=is_open, hosts=hosts, program_headers=program_headers)
    return judge(facts)


def judge(facts: Facts) -> Problem | None:
    """None for a request that may go on to the keys and the route, else what is wrong with it. Pure.

    | the browser says                 | reads                        | writes                       |
    |----------------------------------|------------------------------|------------------------------|
    | same-origin                      | yes                          | scripts (fetch) only         |
    | none (typed, a bookmark, a mail) | yes                          | no                           |
    | same-site, cross-site, all else  | a link followed in a tab     | no                           |
    | nothing                          | by Origin and Referer        | what no page can send        |

    Besides, where no key is asked for, `Origin` has to be this server in any case. Where one is, a page of another
    site does not know it, and a proxy before this server may have changed the name that `Origin` is compared with.
    """
    if facts.site is not None:
        problem = _judge_site(facts, facts.site.strip().lower())
        if problem is not None or not facts.is_open:
            return problem
    if facts.origin is not None and not _is_own_origin(facts, facts.origin):
        return _wrong_origin(f"A page of {facts.origin[:200]!r} may not use this server; only its own pages may.")
    if facts.site is None and facts.origin is None and not _is_own_referer(facts):
        return _wrong_origin("A page of another site may not use this server; only its own pages may.")
    if facts.site is None and facts.writes and facts.is_open and not _is_of_a_program(facts):
        detail = (
            f"{facts.method} {facts.path!r} changes something, and any page could have a browser send this: send "
            f"`Authorization`, or a header `{CLIENT_HEADER}` with the name of your program."
        )
        return Problem(403, "client-unknown", "A program has to say that it is none of a page", detail, msg=detail)
    return None


def _judge_site(facts: Facts, site: str) -> Problem | None:
    mode, dest = (facts.mode or "").strip().lower(), (facts.dest or "").strip().lower()
    if site == "same-origin":
        if not facts.writes or (mode in ("cors", "same-origin") and dest in ("", "empty")):
            return None
        what = f"{facts.path!r} changes something: pages use it from their scripts (fetch), not by links or forms."
    elif site == "none":
        if not facts.writes:
            return None
        what = f"{facts.path!r} changes something: it cannot be opened in a browser. Use a program."
    else:
        is_link = (mode, dest) == ("navigate", "document") and facts.method in ("GET", "HEAD")
        if is_link and not facts.writes:
            return None
        what = "A page of another site may not use this server; only its own pages may."
    return Problem(403, "wrong-site", "The request comes from a page that may not send it", what, msg=what)


def _wrong_origin(detail: str) -> Problem:
    return Problem(403, "wrong-origin", "The request comes from another site's page", detail, msg=detail)


def _is_own_origin(facts: Facts, origin: str) -> bool:
    if not facts.is_open and facts.is_marked:
        return True
    scheme, _, host = origin.partition("://")
    return scheme.lower() in ("http", "https") and host.lower() in facts.hosts


def _is_own_referer(facts: Facts) -> bool:
    """Links to a server with keys may stand on other sites' pages."""
    if facts.referer is None or (not facts.is_open and (facts.is_marked or not facts.writes)):
        return True
    try:
        return urlsplit(facts.referer).netloc.rpartition("@")[2].lower() in facts.hosts
    except ValueError:
        return False


def _is_of_a_program(facts: Facts) -> bool:
    """Pages' images send GET, also in mail readers and others that call themselves anything. POST is for forms and
    scripts: what sends it for a page calls itself a browser."""
    if facts.is_marked or facts.method not in ("GET", "POST"):
        return True
    return facts.method == "POST" and (_is_of_a_program_type(facts.content_type) or not facts.is_browser)


def _is_of_a_program_type(content_type: str | None) -> bool:
    return (content_type or "").partition(";")[0].strip().lower() in _PROGRAM_TYPES


def _is_marked(headers: Mapping[str, str], prefixes: tuple[str, ...]) -> bool:
    scheme = headers.get("Authorization", "").strip().partition(" ")[0].lower()
    if scheme and scheme not in _BROWSER_SCHEMES:
        return True
    return any(name.lower().startswith(prefixes) for name in headers)


def add_response_headers(app: web.Application) -> None:
    """Have every response of the application carry RESPONSE_HEADERS, and none any allowance for other sites."""

    async def add(_: web.Request, response: web.StreamResponse) -> None:
        setdefault = response.headers.setdefault
        for name, value in _RESPONSE_HEADERS:
            setdefault(name, value)

    app.on_response_prepare.append(add)
