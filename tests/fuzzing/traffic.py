"""Requests against every route of a server: the tables of routes and their models say which there are."""

import functools
import gzip
import hashlib
import inspect
import random
import re
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from pydantic.fields import FieldInfo

from fuzzing.contract import make_commands
from fuzzing.events import golden_events
from fuzzing.framed import frames_body, writer_of
from fuzzing.multipart import multipart
from fuzzing.reading import filter_text, make_cursor, query_body
from fuzzing.requests import PROGRAM, Request
from fuzzing.values import Pairs, as_bytes, json_bytes, mutated, odd_text, odd_value, some_changes
from runstream_protocols.comet.reads.routes import ROUTES as COMET_READS
from runstream_protocols.comet.writes.routes import ROUTES as COMET_WRITES
from runstream_query.http.routes import ROUTES
from runstream_service.routing import Route

#: Experiments and runs that are there before the attack (`setup.py`).
KEYS: Final = tuple(f"fuzzexperiment{number:034d}" for number in range(4))
RUNS: Final = tuple(f"fuzz-run-{number}" for number in range(3))
WORKSPACE: Final = "fuzz"
PROJECT: Final = "attacked"
ASSET: Final = b"an asset of the attack"
ASSET_SHA: Final = hashlib.sha256(ASSET).hexdigest()
_JSON: Final = ("Content-Type", "application/json")
#: Live streams do not end.
_STREAMS: Final = frozenset({"/api/v1/live"})
_ENCODINGS: Final = ("gzip", "deflate", "br", "zstd", "identity", "x-gzip", "gzip, gzip", "", "compress", "GZIP", "é")


def _sent(rng: random.Random, request: Request) -> bytes:
    """The request as an input, now and then with odd headers or a body that is packed, or says that it is."""
    if rng.random() < 0.97:
        request.headers.append(PROGRAM)
    if request.body and rng.random() < 0.06:
        _encode(rng, request)
    if rng.random() < 0.05:
        request.headers.append(
            rng.choice(
                (
                    ("Accept", rng.choice(("application/vnd.apache.arrow.stream", "text/html", "*/*;q=x", "a" * 3000))),
                    ("X-Request-Id", rng.choice(("a" * 65, "a b", "é", "ok-1"))),
                    (
                        "Range",
                        rng.choice(
                            ("bytes=0-0", "bytes=5-1", "bytes=-0", "bytes=a-b", "bytes=0-1,2-3", f"bytes={2**70}-")
                        ),
                    ),
                    ("If-None-Match", rng.choice(('"x"', "*", '"' * 50))),
                    ("Last-Event-ID", rng.choice(("0:1", "x", "9" * 30))),
                    ("Cookie", "a=b; " * 300),
                    (
                        "Content-Type",
                        rng.choice(("application/json; charset=utf-99", "text/plain", "", "x", "a/b;" * 50)),
                    ),
                    ("Authorization", rng.choice(("Bearer x", "Basic eA==", "é", "*", "a*b"))),
                )
            )
        )
    if request.body and rng.random() < 0.03:
        request.headers.append(("Fuzz-Chunked", str(rng.choice((1, 7, 1000)) if len(request.body) < 5000 else 8000)))
    if len(request.target) > 7500:
        request.target = request.target[:7500]
    return request.packed()


def _encode(rng: random.Random, request: Request) -> None:
    chance = rng.random()
    body = request.body
    if chance < 0.02:
        body = bytes(rng.choice((1_000_000, 20_000_000)))
    packed = rng.choice((gzip.compress, zlib.compress))(body)
    name = ("gzip" if packed[:2] == b"\x1f\x8b" else "deflate") if chance < 0.5 else rng.choice(_ENCODINGS)
    if 0.8 < chance < 0.9:
        packed = packed[: rng.randrange(len(packed))]
    if chance > 0.9:
        packed = body
    request.headers.append(("Content-Encoding", name))
    request.body = packed


def make_frames_request(rng: random.Random) -> bytes:
    run = rng.choice(RUNS) if rng.random() < 0.2 else f"fuzz-{rng.randrange(3000)}"
    body = frames_body(rng, run, writer_of(rng))
    return _sent(
        rng, Request("POST", "/ingest/v1/frames", [("Content-Type", "application/vnd.runstream.frames")], body)
    )


def make_commands_request(rng: random.Random) -> bytes:
    return _sent(rng, Request("POST", "/ingest/v1/commands", [_JSON], make_commands(rng)))


def make_assets_request(rng: random.Random) -> bytes:
    body = rng.choice((b"", b"0", ASSET, rng.randbytes(rng.choice((1, 100, 9000)))))
    digest = hashlib.sha256(body).hexdigest()
    name = rng.choice(
        (
            digest,
            digest,
            ASSET_SHA,
            "0" * 64,
            digest.upper(),
            digest[:-1],
            "..%2f..%2fx",
            quote(as_bytes(odd_text(rng)[:80])),
        )
    )
    return _sent(rng, Request(rng.choice(("PUT", "PUT", "HEAD")), f"/ingest/v1/assets/{name}", [], body))


@functools.cache
def _names_in(module: str) -> tuple[str, ...]:
    """Words in quotes in a module of handlers: among them are the names that it looks for in requests."""
    return tuple(sorted(set(re.findall(r'"([A-Za-z][A-Za-z_]{1,30})"', inspect.getsource(sys.modules[module])))))


@functools.cache
def _names_of(handler: Callable[..., Any]) -> tuple[str, ...]:
    found = re.findall(r'"([A-Za-z][A-Za-z_]{1,30})"', inspect.getsource(handler))
    return tuple(sorted(set(found)))


def _fitting(rng: random.Random, name: str, depth: int = 2) -> Any:
    """A value that a member of that name may well have."""
    lower = name.lower()
    if rng.random() < 0.08:
        return odd_value(rng, 2)
    if lower in ("experimentkey", "experimentid", "previousexperiment"):
        return rng.choice(KEYS)
    if lower == "experimentkeys":
        return list(KEYS[: rng.choice((1, 2))])
    if "timestamp" in lower or "millis" in lower:
        return rng.choice((1_750_000_000_000, 0, -1, 1.5, "1750000000000", 10**18))
    if lower in ("values", "items", "outputlines", "gpus", "remoteentities") and depth:
        names = (
            "metricName",
            "metricValue",
            "parameterName",
            "parameterValue",
            "step",
            "epoch",
            "context",
            "output",
            "offset",
            "timestamp",
            "gpuId",
            "experimentKey",
        )
        listed = [
            Pairs((one, _fitting(rng, one, depth - 1)) for one in rng.sample(names, rng.choice((3, 6, 9))))
            for _ in range(rng.choice((1, 2, 4)))
        ]
        return listed * rng.choice((1, 1, 1, 1, 50))
    if "tags" in lower or (lower.endswith("s") and lower[:-1] in ("stage", "name", "key")):
        return ["a", "b"]
    if lower in ("step", "epoch", "offset", "rank", "order", "totalram", "usedram", "loadaverage"):
        return rng.choice((0, 1, 7, -1, 2**53, 2**63, "3", 1.5))
    if "workspace" in lower or lower == "teamname":
        return WORKSPACE
    if "projectname" in lower:
        return rng.choice((PROJECT, "other project"))
    if lower in ("metricvalue", "parametervalue", "value"):
        return rng.choice((0.5, 1, "a", "NaN", True, None, [1, 2], {"a": 1}, 1e308))
    if lower.startswith(("is", "has", "public", "symlink", "override", "delete")):
        return rng.choice((True, False, "true", "1", 0, None))
    if "version" in lower:
        return rng.choice(("1.0.0", "1.0.1", "2", "1.0.0-rc.1+x"))
    if "metadata" in lower:
        return rng.choice(({"a": 1}, '{"a":1}', [], None))
    if lower == "runid":
        return rng.choice(("ab" * 16, "x"))
    if lower == "requirements" or lower == "cpupercentutilization":
        return [1.0, 2.0]
    return rng.choice((name, "x", odd_text(rng)))


def _members(rng: random.Random, handler: Callable[..., Any]) -> Pairs:
    names = list(_names_of(handler))
    more = _names_in(handler.__module__)
    if more and rng.random() < 0.3:
        names += rng.sample(more, min(len(more), 4))
    if "experimentKey" not in names and rng.random() < 0.9:
        names.append("experimentKey")
    return Pairs((name, _fitting(rng, name)) for name in names if rng.random() < 0.93)


def query_string(rng: random.Random, pairs: Sequence[tuple[str, Any]]) -> str:
    """As a query string; now and then one that is not encoded as it should be."""
    pieces = []
    for name, value in pairs:
        text = value if isinstance(value, str) else str(value)
        text = text[:3000]
        if rng.random() < 0.04:
            pieces.append(
                f"{quote(as_bytes(name))}={rng.choice(('%', '%zz', '%ff%fe', '%00', '%ed%a0%80', '+', '', '%f0%9f'))}"
            )
        else:
            pieces.append(f"{quote(as_bytes(name))}={quote(as_bytes(text))}")
    return "?" + "&".join(pieces) if pieces else ""


def _path(rng: random.Random, path: str) -> str:
    """A path of a route with something in its variable parts."""

    def part(found: re.Match[str]) -> str:
        name = found[1].split(":")[0]
        if rng.random() < 0.1:
            return quote(as_bytes(odd_text(rng)[:100]), safe="") or "x"
        if name == "run":
            return rng.choice((*RUNS, *KEYS))
        if name == "command":
            return rng.choice(("ab" * 16 + "-0", "x-y", "ab" * 16 + f"-{2**64}"))
        return rng.choice(("x", "1", "0" * 32, ASSET_SHA))

    return re.sub(r"\{([^}]*)\}", part, path)


def make_comet_write(rng: random.Random) -> bytes:
    route = rng.choice(_WRITES)
    path = _path(rng, route.path)
    members: Any = _members(rng, route.handler)
    if route.method == "GET":
        if rng.random() < 0.5:
            members = mutated(rng, members)
        pairs = members if isinstance(members, Pairs) else [("experimentKey", "x")]
        return _sent(rng, Request("GET", path + query_string(rng, pairs)))
    if path.endswith("parameters/delete"):
        members = [Pairs([("experimentKey", rng.choice(KEYS)), ("parameterName", "lr")])]
    body = json_bytes(rng, members, some_changes(rng))
    return _sent(rng, Request(route.method, path, [_JSON], body))


def make_comet_upload(rng: random.Random) -> bytes:
    route = rng.choice(_UPLOADS)
    path = _path(rng, route.path)
    kind, body = multipart(rng)
    pairs = [
        ("experimentKey", rng.choice(KEYS)),
        *[(name, _fitting(rng, name)) for name in _names_of(route.handler) if rng.random() < 0.6],
    ]
    request = Request(route.method, path + query_string(rng, pairs), [("Content-Type", kind)], body)
    return _sent(rng, request)


_WRITES: Final = [route for route in COMET_WRITES if not route.request_media]
_UPLOADS: Final = [route for route in COMET_WRITES if route.request_media]


def _requested(rng: random.Random, name: str) -> Any:
    """A value for a parameter of a read."""
    chance = rng.random()
    if chance < 0.12:
        return odd_value(rng, 2)
    match name:
        case "filter":
            return filter_text(rng, 2)
        case "sort":
            return rng.choice(
                ("-metric.loss.min", "created,-id", "param.lr", "tag", ",,", "-", 'other."a,b"', "-duration")
            )
        case "columns":
            return rng.choice(("metric.loss,param.*", "metric.*", 'env."x"', "tag", ",".join(["param.a"] * 600)))
        case "cursor" | "after" | "before" | "wait_for" | "as_of" | "since":
            return rng.choice(
                (make_cursor(rng)[1:].decode("latin-1"), "0:0", "0:1,1:2", "2026-01-01", "1-2-3", f"0:{2**64 - 1}")
            )
        case "wait_s":
            return rng.choice((0, 0.01, -1, "nan", "inf", 4000))
        case "limit" | "max_points" | "page" | "size":
            return rng.choice((0, 1, 5, 100, 10**6, 2**63, -1, "1e3", True))
        case "runs" | "targeted_experiments" | "targetedExperiments" | "experiment_key" | "experimentKey" | "run":
            keys = [rng.choice((*RUNS, *KEYS, "nobody")) for _ in range(rng.choice((1, 2, 3)))]
            return keys if name in ("runs", "targeted_experiments", "targetedExperiments") else keys[0]
        case "metrics" | "metric":
            return [
                rng.choice(("loss", "*", "l?ss", "a" * 600, "**", "[", "sys.*", "\\"))
                for _ in range(rng.choice((1, 2)))
            ]
        case "workspace" | "workspace_name" | "workspaceName":
            return WORKSPACE
        case "project" | "project_name" | "projectName":
            return PROJECT
        case "step_from" | "step_to" | "at_us_from" | "at_us_to":
            return rng.choice((0, -1, 2**63 - 1, -(2**63), 2**63, 10))
        case "by":
            return rng.choice(("step", "time", "x"))
        case "predicates" | "rules_tree" | "rulesTree":
            return query_body(rng)[2][1]
        case "asset_id" | "assetId":
            return rng.choice((ASSET_SHA, "x", "0" * 32))
    return rng.choice((name, 1, True, odd_text(rng), [], ["a"]))


def _read(rng: random.Random, method: str, path: str, names: Sequence[str]) -> bytes:
    chosen = [(name, _requested(rng, name)) for name in names if rng.random() < 0.6]
    if rng.random() < 0.97 and "wait_s" in names:
        # Reads wait for a position that does not come, for 10 s: not each of them here.
        chosen = [*((name, value) for name, value in chosen if name != "wait_s"), ("wait_s", 0)]
    if rng.random() < 0.05:
        chosen.append((odd_text(rng)[:50], odd_value(rng, 1)))
    if method == "POST":
        body = json_bytes(rng, Pairs(chosen), rng.choice((0, 0, 1, 2)))
        return _sent(rng, Request(method, path, [_JSON], body))
    pairs: list[tuple[str, Any]] = []
    for name, value in chosen:
        pairs += (
            [(name, one) for one in value]
            if isinstance(value, list) and not isinstance(value, Pairs)
            else [(name, value)]
        )
    return _sent(rng, Request(method, path + query_string(rng, pairs[:40])))


def _fields(route: Route) -> Mapping[str, FieldInfo]:
    return route.request.model_fields if route.request is not None else {}


def make_read(rng: random.Random) -> bytes:
    route = rng.choice(_READS)
    return _read(rng, route.method, _path(rng, route.path), list(_fields(route)))


_READS: Final = [route for route in ROUTES if route.path not in _STREAMS]


def make_comet_read(rng: random.Random) -> bytes:
    route = rng.choice(COMET_READS)
    names = [field.alias or name for name, field in _fields(route).items()]
    return _read(rng, route.method, _path(rng, route.path), names)


def make_anything(rng: random.Random) -> bytes:
    """Any method at any path, paths that are none."""
    paths = [route.path for route in ROUTES if route.path not in _STREAMS]
    paths += [route.path for route in COMET_WRITES]
    paths += [route.path for route in COMET_READS]
    paths += ["/", "/healthz", "/readyz", "/metrics", "/api/v1/status", "/ingest/v1/frames", "/ingest/v1/commands"]
    path = _path(rng, rng.choice(paths))
    if rng.random() < 0.3:
        path = "/" + rng.choice(
            ("", "..", "%2e%2e/", "a//b", "%00", "é", "a" * 3000, quote(as_bytes(odd_text(rng)[:100])))
        )
    method = rng.choice(("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "PROPFIND", "get"))
    body = b"" if method in ("GET", "HEAD") else json_bytes(rng, rng.choice(golden_events()), 2)
    return _sent(rng, Request(method, path, [_JSON], body))
