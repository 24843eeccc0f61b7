"""Requests about sweeps, repeated while the server is away, for a bounded time."""

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from runstream.connections import readable
from runstream.errors import Invalid, Unavailable
from runstream.json_requests import request_json

_ADDRESS: Final = "/api/v1/sweeps"
#: A sweep has at most 2,000 trials of some kilobytes.
_MAX_BYTES: Final = 50_000_000
#: What one request may take. The server waits for 10 s until what it wrote can be read.
_REQUEST_S: Final = 30.0
_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 5.0
#: The server says so where the same request may succeed later.
_LATER: Final = frozenset((408, 429, 500, 502, 503, 504))


@dataclass(frozen=True, slots=True)
class TrialServer:
    """A server, and how long to wait for it. The key is not shown."""

    url: str
    api_key: str | None
    timeout_s: float

    def __repr__(self) -> str:
        return f"TrialServer({self.url!r})"

    def post(self, path: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Return the response to a request that may be sent twice. Raises Invalid, and Unavailable where the server is
        away for `timeout_s`."""
        return self._repeated(_ADDRESS + path, payload)

    def get(self, path: str, parameters: Mapping[str, str]) -> dict[str, Any]:
        """As `post`, for a read."""
        return self._repeated(f"{_ADDRESS}{path}?{urlencode(parameters)}", None)

    def look(self, path: str, parameters: Mapping[str, str], timeout_s: float) -> dict[str, Any]:
        """As `get`, once and for `timeout_s` at most."""
        return self.once(f"{_ADDRESS}{path}?{urlencode(parameters)}", None, timeout_s)

    def _repeated(self, path: str, payload: Mapping[str, Any] | None) -> dict[str, Any]:
        until_s, pause_s = time.monotonic() + self.timeout_s, _FIRST_PAUSE_S
        while True:
            left_s = max(until_s - time.monotonic(), 1.0)
            try:
                return self.once(path, payload, min(_REQUEST_S, left_s))
            except Unavailable as error:
                if time.monotonic() + pause_s >= until_s:
                    raise Unavailable(
                        f"{error}. Nothing was lost: the server keeps what the sweep has. Start this again when it is "
                        f"back, or wait for longer (timeout_s of sweep, {self.timeout_s:g} now)"
                    ) from None
            # Workers that lost the server together come back one after the other.
            time.sleep(pause_s * random.uniform(0.5, 1.0))
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def once(self, path: str, payload: Mapping[str, Any] | None, timeout_s: float) -> dict[str, Any]:
        """Return the response to one request. Raises Invalid, Unavailable."""
        status, fields = request_json(self.url, self.api_key, path, timeout_s, _MAX_BYTES, payload)
        if status == 200:
            return fields
        detail = readable(str(fields.get("detail", "")), 500)
        if status in _LATER:
            raise Unavailable(f"{self.url} answers {status}: {detail}")
        raise Invalid(detail or f"{self.url} answers {status}: does this server have sweeps?")
