"""What operators look at: /healthz (the process answers), /readyz (it can do its work), /metrics (Prometheus)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from runstream_service.access import Action
from runstream_service.auth import may_see_reasons
from runstream_service.routing import Call, Route, add_routes, plain_handler, tagged

#: Asked on every /readyz: returns None when its part is ready, else the reason in words. May raise: then that is it.
ReadinessCheck = Callable[[], Awaitable[str | None]]

#: A probe gives up after a second or more by itself; a part that says nothing by then is not ready.
CHECK_TIMEOUT_S: Final = 2.0
_ALIVE: Final = b'{"status": "ok"}'


def process_registry() -> CollectorRegistry:
    """A new registry with the process's own metrics (memory, CPU, open files, garbage collections)."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def key_counter(registry: CollectorRegistry) -> Callable[[str | None], None]:
    """Counts requests by the name of their key, for `auth_middleware`: shows whether a key is still in use."""
    counter = Counter(
        "runstream_keyed_requests",
        "Requests by the name of their API key: the first 8 characters of its SHA-256; `refused` without one.",
        ("key",),
        registry=registry,
    )
    counter.labels("refused")  # from zero, so that an increase is seen
    return lambda name: counter.labels(name or "refused").inc()


class Health(BaseModel):
    """The process answers."""

    status: str


class Readiness(BaseModel):
    """`checks` has "ok" or the reason, by the name of each part."""

    ready: bool
    checks: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Operations:
    registry: CollectorRegistry
    checks: Mapping[str, ReadinessCheck]
    notes: Mapping[str, Callable[[], str | None]]
    check_timeout_s: float


async def show_health(operations: _Operations, call: Call[None]) -> web.Response:
    """Tell that the process answers."""
    return web.Response(body=_ALIVE, content_type="application/json", charset="utf-8")


async def show_readiness(operations: _Operations, call: Call[None]) -> web.Response:
    """Tell whether each part is ready; why not, where `may_see_reasons` allows it."""
    named = operations.checks
    reasons = await asyncio.gather(*(_reason(check, operations.check_timeout_s) for check in named.values()))
    told = {name: reason or "ok" for name, reason in zip(named, reasons, strict=True)}
    ready = not any(reasons)
    told |= {name: note() or "ok" for name, note in operations.notes.items()}
    shown = told if may_see_reasons(call.request) else {}
    return web.json_response({"ready": ready, "checks": shown}, status=200 if ready else 503)


async def show_metrics(operations: _Operations, call: Call[None]) -> web.Response:
    """Return the metrics in Prometheus' text form."""
    return web.Response(body=generate_latest(operations.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


ROUTES: Final = tagged(
    "operations",
    (
        Route(
            "GET",
            "/healthz",
            Action.OPERATE,
            "Whether the process answers",
            show_health,
            response=Health,
            head=True,
        ),
        Route(
            "GET",
            "/readyz",
            Action.OPERATE,
            "Whether the server can do its work",
            show_readiness,
            response=Readiness,
            statuses=(200, 503),
            head=True,
        ),
        Route(
            "GET",
            "/metrics",
            Action.OPERATE,
            "Figures for Prometheus",
            show_metrics,
            media=("text/plain",),
            head=True,
        ),
    ),
)


def add_operations(
    app: web.Application,
    registry: CollectorRegistry,
    checks: Mapping[str, ReadinessCheck] | None = None,
    notes: Mapping[str, Callable[[], str | None]] | None = None,
    check_timeout_s: float = CHECK_TIMEOUT_S,
) -> None:
    """Add ROUTES. `checks` by name may still grow until the application runs. notes: what stands among the reasons of
    `/readyz` without making the process unready; None is nothing to tell."""
    operations = _Operations(
        registry, checks if checks is not None else {}, notes if notes is not None else {}, check_timeout_s
    )
    add_routes(app, ROUTES, lambda route: plain_handler(route, operations))


async def _reason(check: ReadinessCheck, timeout_s: float) -> str | None:
    try:
        async with asyncio.timeout(timeout_s):
            return await check()
    except TimeoutError:
        return f"no answer within {timeout_s:g} s"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
