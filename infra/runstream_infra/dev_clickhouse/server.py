"""ClickHouse's HTTP interface, as far as its Python clients and Runstream use it. See the package's docstring."""

import base64
import binascii
import gzip
import hmac
import json
import uuid
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import lz4.frame
from aiohttp import web
from aiohttp.typedefs import Handler
from clickhouse_connect.driver.compression import _zstd_decompress

from runstream_infra.dev_clickhouse.engine import Engine, Request, Result
from runstream_infra.dev_clickhouse.statements import Insert, Refused, statement_of
from runstream_service.origins import is_of_a_browser

#: Settings of the interface, not of the engine, and what belongs to sessions and to compressed responses.
_TRANSPORT: Final = frozenset(
    {
        *("query", "database", "user", "password", "default_format", "query_id", "quota_key", "role", "stacktrace"),
        *("session_id", "session_timeout", "session_check", "close_session", "client_protocol_version"),
        *("compress", "buffer_size", "wait_end_of_query", "enable_http_compression", "http_zlib_compression_level"),
        *("send_progress_in_http_headers", "http_headers_progress_interval_ms", "add_http_cors_header"),
        "cancel_http_readonly_queries_on_client_close",
    }
)
_PARAMETER: Final = "param_"
_DECODERS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "identity": bytes,
    "lz4": lz4.frame.decompress,
    "zstd": _zstd_decompress,
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
}
#: The largest request: a block of 4 M points, several times what a worker inserts.
MAX_REQUEST_BYTES: Final = 512 << 20


@dataclass(frozen=True, slots=True)
class Login:
    """The one user. Without a login everybody may do everything."""

    user: str
    password: str

    def allows(self, user: str, password: str) -> bool:
        """Whether these are the right name and password; takes the same time for any wrong one."""
        same_user = hmac.compare_digest(user.encode(), self.user.encode())
        return hmac.compare_digest(password.encode(), self.password.encode()) and same_user


def application(engine: Engine, login: Login | None = None) -> web.Application:
    """The interface over an open engine, which the caller closes."""
    handler = _Handler(engine, login)
    app = web.Application(client_max_size=MAX_REQUEST_BYTES, middlewares=[_refuse_browsers])
    app.router.add_get("/ping", handler.ping)
    app.router.add_get("/", handler.respond)
    app.router.add_post("/", handler.respond)
    return app


@web.middleware
async def _refuse_browsers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Without a login any page could have a browser of this machine send statements; also one whose name was re-pointed
    here, for browsers call themselves so."""
    if is_of_a_browser(request.headers):
        return web.Response(status=403, text="This server is for programs of this machine, not for browsers.\n")
    return await handler(request)


class _Handler:
    def __init__(self, engine: Engine, login: Login | None) -> None:
        self._engine = engine
        self._login = login

    async def ping(self, request: web.Request) -> web.Response:
        return web.Response(text="Ok.\n")

    async def respond(self, request: web.Request) -> web.Response:
        """Run the statement of a request and give what it gave, or what is wrong with it."""
        query_id = request.query.get("query_id") or str(uuid.uuid4())
        headers = {
            "X-ClickHouse-Query-Id": query_id,
            "X-ClickHouse-Server-Display-Name": "runstream-dev-clickhouse",
            "X-ClickHouse-Timezone": self._engine.time_zone,
        }
        if request.method == "GET" and not request.query.get("query"):
            return web.Response(text="Ok.\n", headers=headers)
        try:
            self._check_login(request)
            fields, body = await _fields_and_body(request)
            statement = statement_of(fields.get("query", ""), body)
            found = await self._engine.run(_request(request, fields, statement))
        except Refused as error:
            headers["X-ClickHouse-Exception-Code"] = str(error.code)
            return web.Response(status=error.status, text=f"{error}\n", headers=headers)
        kind = "" if isinstance(statement, Insert) or not found.body else fields.get("default_format", "TabSeparated")
        if kind:
            headers["X-ClickHouse-Format"] = kind
        headers["X-ClickHouse-Summary"] = _summary(found)
        return web.Response(body=found.body, content_type="application/octet-stream", headers=headers)

    def _check_login(self, request: web.Request) -> None:
        if self._login is None:
            return
        user, password = _credentials(request)
        if not self._login.allows(user, password):
            raise Refused(
                516,
                f"Code: 516. DB::Exception: {user}: Authentication failed: password is incorrect, or there is no user "
                "with such name. (AUTHENTICATION_FAILED)",
            )


def _credentials(request: web.Request) -> tuple[str, str]:
    """Name and password, from wherever ClickHouse takes them."""
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "basic":
        try:
            user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return user, password
    if "X-ClickHouse-User" in request.headers:
        return request.headers["X-ClickHouse-User"], request.headers.get("X-ClickHouse-Key", "")
    return request.query.get("user", "default"), request.query.get("password", "")


async def _fields_and_body(request: web.Request) -> tuple[dict[str, str], bytes]:
    """What stands in the address, with the fields of a form if that is what the body is; and else the body."""
    fields = dict(request.query)
    if request.query.get("decompress") not in (None, "0"):
        raise Refused(48, "Code: 48. DB::Exception: decompress=1 is not implemented here: use Content-Encoding")
    if request.content_type == "multipart/form-data":
        form = await request.post()
        if any(not isinstance(value, str) for value in form.values()):
            raise Refused(48, "Code: 48. DB::Exception: External tables are not implemented here. (NOT_IMPLEMENTED)")
        return {**fields, **{name: value for name, value in form.items() if isinstance(value, str)}}, b""
    body = await request.read()
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding not in _DECODERS:
        raise Refused(48, f"Code: 48. DB::Exception: Unknown compression method: {encoding}. (NOT_IMPLEMENTED)")
    try:
        return fields, _DECODERS[encoding](body)
    except Exception as error:  # each library has its own
        raise Refused(
            354,
            f"Code: 354. DB::Exception: The body cannot be decompressed as {encoding}: {error}. (ZLIB_INFLATE_FAILED)",
        ) from error


def _request(request: web.Request, fields: Mapping[str, str], statement: str | Insert) -> Request:
    settings = {
        name: value for name, value in fields.items() if name not in _TRANSPORT and not name.startswith(_PARAMETER)
    }
    if request.method == "GET":
        # As on a server: what comes by GET changes nothing.
        settings.setdefault("readonly", "2")
    return Request(
        statement,
        fields.get("database", "") or request.headers.get("X-ClickHouse-Database", ""),
        settings,
        {name.removeprefix(_PARAMETER): value for name, value in fields.items() if name.startswith(_PARAMETER)},
        fields.get("default_format") or "TabSeparated",
    )


def _summary(result: Result) -> str:
    metrics = {
        "read_rows": result.read_rows,
        "read_bytes": result.read_bytes,
        "written_rows": result.written_rows,
        "written_bytes": result.written_bytes,
    }
    return json.dumps({name: str(value) for name, value in metrics.items()})
