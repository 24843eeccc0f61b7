"""A capacity, divided among those who want it so that nobody can take all of it."""

import contextlib
import ipaddress
from collections import Counter
from functools import lru_cache
from typing import Final

from aiohttp import web

from runstream_service.access import principal_of
from runstream_service.proxies import client_address

_IPV6_NETWORK_BITS: Final = 64


def accounts_of(request: web.Request | None) -> tuple[str, str]:
    """Whose a request is: the name of its key, and its address, also behind a trusted
    proxy (of IPv6 the network, of which a machine has one)."""
    if request is None:
        return "the gateway's key", "the gateway's address"
    return _accounts(principal_of(request).name, client_address(request))


@lru_cache(1024)  # for every request, of few keys and addresses; these two alone decide
def _accounts(key: str, address: str) -> tuple[str, str]:
    if ":" in address:
        with contextlib.suppress(ValueError):
            address = str(ipaddress.ip_network((address.partition("%")[0], _IPV6_NETWORK_BITS), strict=False))
    return f"key {key}", f"address {address}"


class Shares:
    """What is held of a capacity, by account. Used from one event loop.

    An account may hold so many percent of what is its own and what is free together: alone it gets so much of all, and
    the more others hold, the less it may. So something is always free for one that comes anew, and with one account
    nothing but the last part of the capacity is unused.
    """

    def __init__(self, capacity: int, key_percent: int, address_percent: int) -> None:
        self.capacity = capacity
        self.held = 0
        self._percents = (key_percent, address_percent)
        self._by_account: Counter[str] = Counter()

    def refusal(self, amount: int, accounts: tuple[str, str], own: int = 0) -> str | None:
        """Why nobody with these accounts may have so much more; None if they may. `own`: what the one who wants it
        holds. Who is alone may have any amount, or what is larger than the capacity could never be had."""
        if self.held == own:
            return None
        free = self.capacity - self.held
        if amount > free:
            return f"{self.held} of {self.capacity} are in use and {amount} more are wanted"
        for account, percent in zip(accounts, self._percents, strict=True):
            mine = self._by_account[account]
            if (mine + amount) * 100 > percent * (mine + free):
                return (
                    f"{account} has {mine} of {self.capacity} in use and wants {amount} more, which is beyond its "
                    f"share while others have {self.held - mine}"
                )
        return None

    def take(self, amount: int, accounts: tuple[str, str]) -> None:
        self.held += amount
        for account in accounts:
            self._by_account[account] += amount

    def give_back(self, amount: int, accounts: tuple[str, str]) -> None:
        self.held -= amount
        for account in accounts:
            self._by_account[account] -= amount
            if not self._by_account[account]:
                del self._by_account[account]
