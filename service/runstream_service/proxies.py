"""Which address a request comes from, and whether a program of this machine sent it, where proxies stand in between.

A proxy on the same machine connects from loopback like any program of the machine. It is told from one by what it adds
to a request, and the address behind it is only taken from a proxy that is trusted to write it down.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self

from aiohttp import web
from aiohttp.http import HttpVersion11

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_FORWARDED_FOR: Final = re.compile(r'(?:^|;)\s*for\s*=\s*("[^"]*"|[^;]*)', re.IGNORECASE)
#: What proxies, tunnels and content networks add.
_FORWARDING: Final = re.compile(
    r"(?:x-forwarded.*|x-envoy-.*|x-amzn-.*|forwarded|via|x-real-ip|x-client-ip|x-cluster-client-ip|x-original-host|"
    r"x-original-url|true-client-ip|cf-connecting-ip|cf-ray|cdn-loop|fastly-client-ip|x-proxyuser-ip)\Z",
    re.IGNORECASE,
)
#: What most requests have, as it is mostly spelt: looked at first, for speed.
_HARMLESS: Final = frozenset(
    (
        *("Host", "Accept", "Accept-Encoding", "User-Agent", "Authorization", "Connection"),
        *("Content-Type", "Content-Length", "Content-Encoding", "Runstream-Client", "X-Request-Id"),
    )
)
#: How the trusted proxies are set, for messages.
TRUSTED_VARIABLE: Final = "RUNSTREAM_TRUSTED_PROXIES"


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """Addresses of proxies whose X-Forwarded-For (or Forwarded, or X-Real-IP) is believed."""

    networks: tuple[_Network, ...] = ()

    @classmethod
    def of(cls, texts: Iterable[str]) -> Self:
        """Of addresses and networks (10.0.0.5, 10.0.0.0/8, ::1). Raises ValueError for anything else."""
        networks = []
        for text in texts:
            try:
                networks.append(ipaddress.ip_network(text.strip().strip("[]"), strict=False))
            except ValueError:
                raise ValueError(f"{text!r} is no address and no network: give 10.0.0.5 or 10.0.0.0/8") from None
        return cls(tuple(networks))

    def __bool__(self) -> bool:
        return bool(self.networks)

    def covers(self, address: str) -> bool:
        """Whether it is the address of a trusted proxy."""
        parsed = _parsed(address)
        return parsed is not None and any(parsed.version == net.version and parsed in net for net in self.networks)


@dataclass(frozen=True, slots=True)
class Client:
    """address: of the client, or of the last proxy on the way to it that is known. is_known: whether it is the
    client's. through: what shows that a proxy that is not trusted passed the request on; else empty."""

    address: str
    is_known: bool = True
    through: str = ""

    @property
    def is_this_machine(self) -> bool:
        """Whether a program of this machine sent it, itself."""
        return self.is_known and not self.through and is_loopback(self.address)


NO_PROXIES: Final = TrustedProxies()
#: Of an application; without it no proxy is trusted.
TRUSTED_PROXIES: Final = web.AppKey("runstream_trusted_proxies", TrustedProxies)


def client_address(request: web.BaseRequest) -> str:
    """The address to count a request under: that of the client, also behind the application's trusted proxies; else
    that of whoever opened the connection. Never from a header that a client could have written itself."""
    return client_of(request).address


def client_of(request: web.BaseRequest) -> Client:
    """Who sent the request."""
    remote = request.remote or ""
    trusted = _trusted(request)
    if trusted and trusted.covers(peer := plain_address(remote)):
        return forwarded_client(peer, request.headers, trusted)
    through = _shown_by(request)
    return Client(plain_address(remote), through=through) if through else _direct_client(remote)


@lru_cache(1024)  # for every request, of few addresses; the address alone decides, so that no entry becomes wrong
def _direct_client(remote: str) -> Client:
    return Client(plain_address(remote))


def _trusted(request: web.BaseRequest) -> TrustedProxies:
    return request.app.get(TRUSTED_PROXIES, NO_PROXIES) if isinstance(request, web.Request) else NO_PROXIES


def forwarded_client(peer: str, headers: Mapping[str, str], trusted: TrustedProxies) -> Client:
    """Who stands behind the trusted proxy `peer`: of the addresses that proxies wrote down, the last that is none of a
    trusted one. A client may write such headers too, and proxies pass on what they do not know: where two of them
    disagree, neither is believed. Pure."""
    found = {_last_untrusted(peer, hops, trusted) for hops in (_forwarded_for(headers), _forwarded(headers)) if hops}
    if not found and "X-Real-IP" in headers:
        found = {_last_untrusted(peer, [headers["X-Real-IP"]], trusted)}
    if len(found) > 1:
        return Client(peer, is_known=False)
    # A trusted proxy that writes nothing down asks for itself.
    return found.pop() if found else Client(peer)


@lru_cache(256)  # for every request, of few addresses
def plain_address(text: str) -> str:
    """The address in its one form: without brackets and zone, and an IPv4 address as that. Other texts as they are."""
    parsed = _parsed(text)
    return str(parsed) if parsed is not None else text


@lru_cache(256)
def is_loopback(host: str) -> bool:
    """Whether a host name or address can only mean this machine."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost":
        return True
    parsed = _parsed(name)
    return parsed is not None and parsed.is_loopback


@lru_cache(4096)  # a few addresses ask again and again, and parsing one takes 5 us
def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _shown_by(request: web.BaseRequest) -> str:
    """What a program on this machine that speaks for itself does not send. nginx by default adds no header, but speaks
    HTTP/1.0 with what is behind it."""
    if not _HARMLESS.issuperset(request.headers):
        for name in request.headers:
            if name not in _HARMLESS and _FORWARDING.match(name):
                return name
    return "HTTP/1.0" if request.version < HttpVersion11 else ""


def _forwarded_for(headers: Mapping[str, str]) -> list[str]:
    return [hop for line in _lines(headers, "X-Forwarded-For") for hop in line.split(",")]


def _forwarded(headers: Mapping[str, str]) -> list[str]:
    """The `for` of each hop in Forwarded (RFC 7239); "unknown" where a hop has none."""
    hops = [hop for line in _lines(headers, "Forwarded") for hop in line.split(",")]
    found = [_FORWARDED_FOR.search(hop) for hop in hops]
    return [one[1].strip().strip('"') if one else "unknown" for one in found]


def _lines(headers: Mapping[str, str], name: str) -> Sequence[str]:
    several = getattr(headers, "getall", None)
    if several is not None:
        return list(several(name, ()))
    return [headers[name]] if name in headers else []


def _last_untrusted(peer: str, hops: Sequence[str], trusted: TrustedProxies) -> Client:
    nearest = peer
    for hop in reversed(hops):
        address = _parsed(_without_port(hop.strip()))
        if address is None:
            return Client(nearest, is_known=False)
        nearest = str(address)
        if not trusted.covers(nearest):
            return Client(nearest)
    return Client(nearest)


def _without_port(hop: str) -> str:
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    host, colon, port = hop.rpartition(":")
    return host if colon and ":" not in host and port.isdigit() else hop
