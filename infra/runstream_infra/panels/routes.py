"""Routes of panels: kept ones, and frames that show them live.

A frame of a kept panel may be opened by whoever may read the project; one of code that is not kept only by whoever may
edit it, for it runs what its request says.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from runstream.events.names import project_key
from runstream.panel_context import PanelContext
from runstream_infra.panels import kept
from runstream_infra.panels import models as m
from runstream_infra.panels.assets import ASSETS_PATH, PageAssets, send_asset
from runstream_infra.panels.host import Frame, PanelHost, Spec
from runstream_infra.panels.passes import PanelPasses
from runstream_infra.panels.peers import is_own_user
from runstream_infra.panels.proxy import METHODS, SANDBOX, address_of, pass_on
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.outcomes import invalid
from runstream_protocols.kit.payloads import Payload
from runstream_protocols.kit.places import checked
from runstream_protocols.kit.side import GatewaySide, add_side, reading, recorder_and_context, writing
from runstream_protocols.protocol import WritingSide
from runstream_service.access import Action, authorize
from runstream_service.auth import FRAME_PATH
from runstream_service.problems import Problem
from runstream_service.routing import Call, Route, add_routes, plain_handler, tagged

_VISIBLE_TIMEOUT_S: Final = 10.0
#: The OpenAPI document of these routes, which only a server on one machine has.
DOCUMENT: Final = "panels"
_ADDRESS: Final = "/api/v1/panels"
_FRAMES: Final = f"{_ADDRESS}/frames"
_KEPT: Final = f"{_ADDRESS}/kept/{{workspace}}/{{project}}/{{name}}"
R = TypeVar("R", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class PanelSide(GatewaySide):
    """What the handlers work with. `refusal`: why this server runs no panels; None if it does. `own_user_only`: only
    programs of this server's user open frames."""

    host: PanelHost
    passes: PanelPasses
    refusal: str | None
    own_user_only: bool


async def panels(side: PanelSide, call: Call[m.PanelsRequest]) -> m.ListedPanels:
    """Return the panels of a project."""
    return await kept.listed(side.context, call.parameters)


async def code(side: PanelSide, call: Call[m.CodeRequest]) -> m.PanelCode:
    """Return a version of a panel with its code."""
    workspace, project, name = _about(call)
    found = await kept.code_of(
        side.context, workspace, project, name, call.parameters.version, side.host.settings.max_source_bytes
    )
    return await kept.shown(side.context, workspace, project, found)


async def save(side: PanelSide, call: Call[object], payload: Payload) -> m.PanelCode:
    """Keep a new version of a panel."""
    (workspace, project, name), wanted = _about(call), _read(m.SaveRequest, payload)
    await side.recorder.require(project_key(workspace, project))
    most = side.host.settings.max_source_bytes
    _check_source(wanted.source, most)
    ordinal = await kept.save(side.recorder, workspace, project, name, wanted)
    found = await kept.code_of(side.context, workspace, project, name, str(ordinal), most)
    return await kept.shown(side.context, workspace, project, found)


async def server(side: PanelSide, call: Call[None]) -> m.PanelServer:
    """Return whether this server runs panels."""
    settings = side.host.settings
    return m.PanelServer(
        enabled=side.refusal is None,
        reason=side.refusal or "",
        running=side.host.count(),
        max_panels=settings.max_panels,
        installs=settings.install,
    )


async def open_frame(side: PanelSide, call: Call[object], payload: Payload) -> m.ShownFrame:
    """Open a view of a kept panel, and start the panel if it does not run."""
    wanted = _read(m.FrameRequest, payload)
    await _require_running(side, call.request)
    most = side.host.settings.max_source_bytes
    found = await kept.code_of(side.context, wanted.workspace, wanted.project, wanted.panel, wanted.version, most)
    return _opened(side, call, wanted, found.source)


async def preview(side: PanelSide, call: Call[object], payload: Payload) -> m.ShownFrame:
    """Open a view of code that is not kept."""
    wanted = _read(m.PreviewRequest, payload)
    await _require_running(side, call.request)
    await side.recorder.require(project_key(wanted.workspace, wanted.project))
    problem = authorize(call.principal, Action.READ, wanted.workspace)
    if problem is not None:
        raise problem
    _check_source(wanted.source, side.host.settings.max_source_bytes)
    return _opened(side, call, wanted, wanted.source)


def _opened(side: PanelSide, call: Call[Any], wanted: m.FrameRequest | m.PreviewRequest, source: str) -> m.ShownFrame:
    spec = Spec(source, wanted.workspace, wanted.project, call.principal.scope(Action.READ))
    context = _context(spec, wanted.context)
    return _shown(side, side.host.open(spec, context, call.principal.name))


async def frame(side: PanelSide, call: Call[None]) -> m.ShownFrame:
    """Return how a view is doing."""
    return _shown(side, _frame(side, call))


async def change_frame(side: PanelSide, call: Call[object], payload: Payload) -> m.ShownFrame:
    """Give a view another context, from the panel's next run on."""
    found = _frame(side, call)
    await side.host.set_context(found, _context(found.spec, _read(m.ContextRequest, payload)))
    return _shown(side, found)


async def close_frame(side: PanelSide, call: Call[None]) -> m.ShownFrame:
    """Close a view: its address opens nothing any more."""
    found = _frame(side, call)
    shown = _shown(side, found)
    side.host.close(found)
    return shown


def _frame(side: PanelSide, call: Call[Any]) -> Frame:
    found = side.host.find(call.path["frame"], owner=call.principal.name)
    if found is None:
        raise Refused(
            f"there is no frame {call.path['frame'][:40]!r} of yours: it was closed; open another", status=404
        )
    return found


def _shown(side: PanelSide, found: Frame) -> m.ShownFrame:
    running = side.host.state_of(found)
    theme = f"&embed_options={found.context.theme}_theme" if found.context.theme else ""
    return m.ShownFrame(
        frame=found.id,
        address=f"{address_of(found)}?embed=true{theme}",
        sandbox=SANDBOX,
        state="ended" if running is None else running.state,
        detail="" if running is None else running.detail,
    )


def _context(spec: Spec, given: m.ContextRequest) -> PanelContext:
    return PanelContext(spec.workspace, spec.project, **given.model_dump())


async def _require_running(side: PanelSide, request: web.Request) -> None:
    """Raises Problem where this server runs no panels, or not for whoever asks."""
    if side.refusal is not None:
        raise Problem(409, "panels-off", "This server runs no panels", side.refusal)
    if not side.own_user_only:
        return
    peer = request.transport.get_extra_info("peername") if request.transport is not None else None
    if not await asyncio.to_thread(is_own_user, peer[:2] if peer else None):
        detail = (
            "A server without keys runs panels for programs of its own user alone: give it keys (RUNSTREAM_API_KEYS), "
            "or let everybody on this machine run code as its user (RUNSTREAM_PANELS_ENABLED=1)."
        )
        raise Problem(403, "panels-of-owner", "Panels run for the server's own user only", detail)


def _check_source(source: str, max_bytes: int) -> None:
    """Raises Refused. Whether it is Python, its own process finds out: that may take long."""
    size_bytes = len(source.encode("utf-8", "replace"))
    if size_bytes > max_bytes:
        raise Refused(f"the panel has {size_bytes} bytes, at most {max_bytes} are run", status=413, name="source")


def _about(call: Call[Any]) -> tuple[str, str, str]:
    workspace, project, name = (checked(part, call.path[part]) for part in ("workspace", "project", "name"))
    return workspace, project, name


def _read(model: type[R], payload: Payload) -> R:
    try:
        return model.model_validate(dict(payload.fields))
    except ValidationError as error:
        raise invalid(error) from None


_CONTEXT: Final = {"options": {"Metric": "loss"}, "width": 800, "theme": "dark"}
ROUTES: Final = tagged(
    "panels",
    (
        Route("GET", _ADDRESS, Action.READ, "Panels of a project", reading(panels), m.PanelsRequest, m.ListedPanels),
        Route("GET", _KEPT, Action.READ, "A panel's code", reading(code), m.CodeRequest, m.PanelCode),
        Route(
            "POST",
            _KEPT,
            Action.EDIT,
            "Keep a new version of a panel",
            writing(save),
            m.SaveRequest,
            m.PanelCode,
            examples={"a small panel": {"source": "import streamlit as st\nst.write('hello')\n", "comment": "first"}},
        ),
        Route(
            "GET", f"{_ADDRESS}/server", Action.READ, "Whether panels run here", reading(server), None, m.PanelServer
        ),
        Route(
            "POST",
            _FRAMES,
            Action.READ,
            "Open a view of a kept panel",
            writing(open_frame),
            m.FrameRequest,
            m.ShownFrame,
            statuses=(201,),
            examples={"a panel": {"project": "digits", "panel": "losses", "context": _CONTEXT}},
        ),
        Route(
            "POST",
            f"{_ADDRESS}/previews",
            Action.EDIT,
            "Open a view of code that is not kept",
            writing(preview),
            m.PreviewRequest,
            m.ShownFrame,
            statuses=(201,),
            examples={"a line": {"project": "digits", "source": "import streamlit as st\nst.write('hello')\n"}},
        ),
        Route("GET", f"{_FRAMES}/{{frame}}", Action.READ, "How a view is doing", reading(frame), None, m.ShownFrame),
        Route(
            "PUT",
            f"{_FRAMES}/{{frame}}",
            Action.READ,
            "Give a view another context",
            writing(change_frame),
            m.ContextRequest,
            m.ShownFrame,
        ),
        Route("DELETE", f"{_FRAMES}/{{frame}}", Action.READ, "Close a view", reading(close_frame), None, m.ShownFrame),
    ),
)
_OCTETS: Final = ("application/octet-stream",)
#: What frames load: for browsers, and in no document.
ASSET_ROUTE: Final = Route(
    "GET",
    f"{ASSETS_PATH}{{name:.+}}",
    Action.READ,
    "A file of panels' page",
    send_asset,
    media=_OCTETS,
    tags=("page",),
    is_page=True,
)
FRAME_ROUTES: Final = tuple(
    Route(
        method,
        f"{FRAME_PATH}{{frame}}/{{token}}/{{rest:.*}}",
        Action.READ,
        "What a frame loads",
        pass_on,
        media=_OCTETS,
        request_media=_OCTETS,
        tags=("page",),
        is_page=True,
    )
    for method in METHODS
)


def add_panels(
    app: web.Application,
    side: WritingSide,
    host: PanelHost,
    passes: PanelPasses,
    *,
    refusal: str | None,
    own_user_only: bool,
) -> None:
    """Add ROUTES and FRAME_ROUTES, before the application starts. What runs ends with it."""
    recorder, context = recorder_and_context(app, side, _VISIBLE_TIMEOUT_S)
    add_side(app, ROUTES, PanelSide(recorder, side.gateway, context, host, passes, refusal, own_user_only))
    assets = PageAssets()
    add_routes(app, (ASSET_ROUTE,), lambda route: plain_handler(route, assets))
    add_routes(app, FRAME_ROUTES, lambda route: plain_handler(route, host))

    async def watched(_: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(host.watch())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    app.cleanup_ctx.append(watched)
