"""Sweeps as routes of a gateway."""

from typing import Final

from aiohttp import web

from runstream_protocols.kit.side import add_side, reading, recorder_and_context, writing
from runstream_protocols.protocol import WritingSide
from runstream_protocols.sweeps import handlers
from runstream_protocols.sweeps import models as m
from runstream_protocols.sweeps.paths import ADDRESS
from runstream_protocols.sweeps.state import SweepSide
from runstream_service.access import Action
from runstream_service.routing import Route, tagged
from runstream_service.store import QueryClass

VISIBLE_TIMEOUT_S: Final = 10.0

ROUTES: Final = tagged(
    "writes",
    (
        Route(
            "POST",
            ADDRESS,
            Action.LOG,
            "Open a sweep, or create it",
            writing(handlers.opened),
            m.OpenRequest,
            m.ShownSweep,
        ),
        Route(
            "GET",
            ADDRESS,
            Action.READ,
            "Sweeps of a project",
            reading(handlers.sweeps),
            m.ProjectRequest,
            m.ShownSweeps,
        ),
        Route(
            "POST",
            f"{ADDRESS}/trials",
            Action.LOG,
            "The next trial of a sweep",
            writing(handlers.ask),
            m.AskRequest,
            m.NextTrial,
        ),
        Route(
            "GET",
            f"{ADDRESS}/trials",
            Action.READ,
            "A sweep with its trials",
            reading(handlers.trials),
            m.SweepRequest,
            m.ShownTrials,
        ),
        Route(
            "GET",
            f"{ADDRESS}/stop",
            Action.READ,
            "Whether a trial is to end now",
            handlers.stop,
            m.StopRequest,
            m.Stop,
            query_class=QueryClass.HEAVY,
        ),
        Route(
            "POST",
            f"{ADDRESS}/delete",
            Action.LOG,
            "Delete a sweep with its trials",
            writing(handlers.deleted),
            m.SweepRequest,
            m.DeletedSweep,
        ),
    ),
)


def add_sweeps(app: web.Application, side: WritingSide) -> None:
    """Add ROUTES to the application of a gateway, before it starts."""
    recorder, context = recorder_and_context(app, side, VISIBLE_TIMEOUT_S)
    add_side(app, ROUTES, SweepSide(recorder, side.gateway, context))
