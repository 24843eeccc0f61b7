"""Structured logging: one line an event, as JSON for machines or as text for people, with the request's id."""

import json
import logging
import re
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from runstream_service.repeats import REPEATING, Repeats

#: The id of the request that is being handled; empty outside of one.
REQUEST_ID: Final[ContextVar[str]] = ContextVar("runstream_request_id", default="")

#: What every LogRecord has; everything else in one came by `extra=` and is a field of its own.
_OWN_FIELDS: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "repeats"}


#: What clients send ends up in messages: none of it may begin a line of its own or steer a terminal.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class JsonFormatter(logging.Formatter):
    """One JSON object a line: at, level, logger, message, then request_id, the fields of `extra=`, error."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := REQUEST_ID.get():
            fields["request_id"] = request_id
        fields |= _extra(record)
        if record.exc_info:
            fields["error"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """`12:00:00.000 warning runstream_ingest.gateway: message field=value [request id]`, then a traceback if any."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created).strftime("%H:%M:%S.%f")[:-3]
        parts = [f"{at} {record.levelname.lower():7} {record.name}: {record.getMessage()}"]
        parts += [f"{name}={value}" for name, value in _extra(record).items()]
        if request_id := REQUEST_ID.get():
            parts.append(f"[{request_id}]")
        line = _CONTROL.sub(lambda found: repr(found[0])[1:-1], " ".join(parts))
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def configure_logging(
    form: Literal["text", "json"] = "text", level: str = "INFO", stream: TextIO = sys.stderr
) -> logging.Handler:
    """Send every log line of this process to `stream`; called once, at the entry point. Returns the handler.

    Warnings that repeat themselves pass once in a while, with their number (see `Repeats`).
    Replaces the handlers of the root logger. Access lines of aiohttp are left to `/metrics`. Raises ValueError for a
    level that does not exist.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    handler.addFilter(Repeats(*REPEATING))
    root = logging.getLogger()
    root.setLevel(level.upper())
    root.handlers[:] = [handler]
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    server = logging.getLogger("aiohttp.server")
    if not any(isinstance(known, _ClientsFault) for known in server.filters):
        server.addFilter(_ClientsFault())
    return handler


class _ClientsFault(logging.Filter):
    """What is no HTTP, or a body that does not unpack, gets a 400 and no fault of ours: one line instead of
    an error with a traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError | web.RequestPayloadError):
            record.levelno, record.levelname = logging.INFO, "INFO"
            reason = " ".join(str(error).split())[:200]
            record.msg, record.args = "%s: it cannot be read: %s", (record.getMessage(), reason)
            record.exc_info = record.exc_text = None
        return True


def _extra(record: logging.LogRecord) -> Mapping[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _OWN_FIELDS}
