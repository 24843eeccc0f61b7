"""Comet's Optimizer as routes of a gateway."""

import functools
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel

from runstream_protocols.comet.errors import as_client_reads
from runstream_protocols.comet.optimizer import handlers
from runstream_protocols.comet.optimizer import models as m
from runstream_protocols.comet.optimizer.state import OptimizerSide
from runstream_protocols.comet.paths import OPTIMIZER
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.side import add_side, reading, recorder_and_context, writing
from runstream_protocols.protocol import WritingSide
from runstream_service.access import Action
from runstream_service.routing import Call, Handler, Route, tagged

#: The client waits for 30 s.
VISIBLE_TIMEOUT_S: Final = 10.0


def _told(handler: Handler, told: Callable[[m.Refusal], BaseModel]) -> Handler:
    """Return the handler of a route whose refusals the client reads in the body. Of a status that is not 200 it shows
    nothing but the number."""

    @functools.wraps(handler)
    async def respond(side: OptimizerSide, call: Call[Any]) -> BaseModel | web.StreamResponse:
        try:
            return await handler(side, call)
        except Refused as refused:
            return told(m.Refusal(code=refused.status, message=refused.detail))

    return respond


def _no_next(refusal: m.Refusal) -> m.Next:
    return m.Next(code=refusal.code, message=refusal.message)


#: `next` is a GET that changes something, as the client has it.
ROUTES: Final = tagged(
    "writes",
    (
        Route(
            "GET",
            f"{OPTIMIZER}/spec",
            Action.READ,
            "Options of an algorithm",
            _told(reading(handlers.spec), m.AnyOptions),
            m.SpecRequest,
            m.AnyOptions,
        ),
        Route(
            "GET",
            f"{OPTIMIZER}/algorithms",
            Action.READ,
            "Algorithms",
            reading(handlers.algorithms),
            m.NoRequest,
            m.Algorithms,
        ),
        Route(
            "POST",
            f"{OPTIMIZER}/create",
            Action.LOG,
            "Create an optimizer",
            _told(writing(handlers.created), m.AnyCreated),
            m.NewOptimizer,
            m.AnyCreated,
        ),
        Route(
            "GET",
            f"{OPTIMIZER}/next",
            Action.LOG,
            "What to try next",
            _told(reading(handlers.following), _no_next),
            m.OptimizerRequest,
            m.Next,
        ),
        Route(
            "POST",
            f"{OPTIMIZER}/delete",
            Action.LOG,
            "Delete an optimizer with its assignments",
            _told(writing(handlers.deleted), m.AnyDeleted),
            m.OptimizerRequest,
            m.AnyDeleted,
        ),
        Route(
            "POST", f"{OPTIMIZER}/update", Action.LOG, "Tell a result", writing(handlers.updated), m.Update, m.Updated
        ),
        Route(
            "GET",
            f"{OPTIMIZER}/status",
            Action.READ,
            "How far an optimizer is",
            _told(reading(handlers.status), m.AnyStatus),
            m.OptimizerRequest,
            m.AnyStatus,
        ),
    ),
)


def add_optimizer(app: web.Application, side: WritingSide) -> None:
    """Add ROUTES to the application of a gateway, before it starts."""
    recorder, context = recorder_and_context(app, side, VISIBLE_TIMEOUT_S)
    add_side(app, ROUTES, OptimizerSide(recorder, side.gateway, context), as_client_reads)
