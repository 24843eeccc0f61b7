"""Responses that show tickets."""

from datetime import datetime

from runstream_query.responses import ResponseModel


class FileTicket(ResponseModel):
    """A file and the address, on this server, that opens it without a key."""

    address: str
    name: str
    size_bytes: int
    content_type: str


class Tickets(ResponseModel):
    """In the order of the request; null where there is no such file, or its bytes are elsewhere. The addresses open
    until `expires_at`."""

    assets: list[FileTicket | None]
    files: list[FileTicket | None]
    expires_at: datetime
