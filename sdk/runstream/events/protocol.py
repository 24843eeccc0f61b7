"""How a server of ours is known by its responses: captive portals, proxies and other servers answer as well.

Every response of a Runstream server carries `Runstream-Protocol: 1`. One that acknowledges also names what it
acknowledges: the receipt of the frames, the hash and size of the asset. A sender acts on nothing else: it takes what
lacks this for "no gateway here", keeps everything and tries again. So a reverse proxy has to pass these headers on.
"""

import hashlib
from collections.abc import Iterable
from typing import Final

from runstream._version import VERSION
from runstream.events.frame import HEADER

#: Changes where a response means something else than before.
PROTOCOL: Final = 1
PROTOCOL_HEADER: Final = "Runstream-Protocol"
#: In the response to HEAD, which has no body: `SHA256 SIZE`.
ASSET_HEADER: Final = "Runstream-Asset"
#: Names that a request has and nothing there has: in responses that are no JSON, what others have as their member
#: `unknown`, a list as JSON in ASCII.
UNKNOWN_HEADER: Final = "Runstream-Unknown"
#: What the type of every problem of ours begins with.
PROBLEM_TYPE: Final = "urn:runstream:problem:"
#: What a response that acknowledges has in its body.
ACKNOWLEDGES: Final = {"protocol": PROTOCOL, "server": f"runstream {VERSION}"}


def receipt_of(frames: Iterable[bytes | memoryview]) -> str:
    """What a gateway says of the frames that it received, and the sender of those that it sent: a hash over their
    headers, each of which has the checksum of its frame. The frames of a writer follow each other, writers come in the
    order of their first frames. 0.2 us a frame."""
    return hashlib.sha256(b"".join([frame[: HEADER.size] for frame in frames])).hexdigest()[:32]


def asset_mark(sha256: str, size_bytes: int) -> str:
    """The value of ASSET_HEADER."""
    return f"{sha256} {size_bytes}"


def is_ours(headers_protocol: str | None) -> bool:
    """Whether a response with this PROTOCOL_HEADER is of a server that this client understands."""
    return headers_protocol is not None and headers_protocol.strip() == str(PROTOCOL)
