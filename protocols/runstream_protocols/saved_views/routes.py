"""Saved views as routes of a gateway."""

from typing import Final

from aiohttp import web

from runstream_protocols.kit.side import add_side, reading, recorder_and_context, writing
from runstream_protocols.protocol import WritingSide
from runstream_protocols.saved_views import handlers
from runstream_protocols.saved_views import models as m
from runstream_protocols.saved_views.paths import ADDRESS
from runstream_service.access import Action
from runstream_service.routing import Route, tagged

VISIBLE_TIMEOUT_S: Final = 10.0
_VIEW: Final = f"{ADDRESS}/{{workspace}}/{{project}}/{{name}}"

ROUTES: Final = tagged(
    "writes",
    (
        Route("GET", ADDRESS, Action.READ, "Views of a project", reading(handlers.views), m.ViewsRequest, m.ShownViews),
        Route("GET", _VIEW, Action.READ, "A view", reading(handlers.view), None, m.ShownView),
        Route(
            "PUT",
            _VIEW,
            Action.EDIT,
            "Create a view, or replace it",
            writing(handlers.save),
            m.SaveRequest,
            m.ShownView,
        ),
        Route("DELETE", _VIEW, Action.EDIT, "Delete a view", writing(handlers.delete), m.DeleteRequest, m.ShownView),
    ),
)


def add_views(app: web.Application, side: WritingSide) -> None:
    """Add ROUTES to the application of a gateway, before it starts."""
    recorder, context = recorder_and_context(app, side, VISIBLE_TIMEOUT_S)
    add_side(app, ROUTES, handlers.ViewSide(recorder, side.gateway, context))
