"""One request to a server, from where `runstream.api` would be too much to load: from `init`, from the sender."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from runstream.connections import FAILURES, fetch, first_words, readable, unused_proxy
from runstream.errors import Unavailable
from runstream.events.protocol import PROTOCOL_HEADER, is_ours


def request_json(
    url: str,
    api_key: str | None,
    path: str,
    timeout_s: float,
    max_bytes: int,
    payload: Mapping[str, Any] | None = None,
) -> tuple[int, dict[str, Any]]:
    """Return the status of the response to a GET, or with a payload to a POST, and its members (none if it is no JSON
    object). Blocks for some `timeout_s` at most. Raises Unavailable, also where something else answers than a Runstream
    server: neither its yes nor its no counts."""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    sent = None if payload is None else json.dumps(payload, allow_nan=False).encode()
    if sent is not None:
        headers["Content-Type"] = "application/json"
    try:
        response, body = fetch(url, path, headers, timeout_s, max_bytes, body=sent)
    except FAILURES as error:
        reason = readable(str(error)) or type(error).__name__
        raise Unavailable(f"{url} cannot be asked ({reason}{unused_proxy(urlsplit(url))})") from None
    if is_ours(response.headers.get(PROTOCOL_HEADER.lower())):
        return response.status, _object(body)
    location = response.headers.get("location")
    told = f"redirects to {readable(location, 120)}" if location else f"answers {first_words(body)!r}"
    raise Unavailable(f"{url} {told} (HTTP {response.status}): no Runstream server answers there")


def refusal(url: str, status: int, fields: dict[str, Any]) -> Unavailable:
    """Return what to raise for a response of a Runstream server that does not have what was requested."""
    return Unavailable(f"{url} answered {status} {readable(str(fields.get('detail', '')), 200)}".strip())


def _object(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}
