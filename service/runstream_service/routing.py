"""The routes of an application, each with the action that it does."""

from collections.abc import Mapping
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler
from aiohttp.web_urldispatcher import AbstractRoute

from runstream_service.access import Action

_ACTIONS: Final = web.AppKey("runstream_actions", dict[AbstractRoute, Action])


def add_route(
    app: web.Application, method: str, path: str, handler: Handler, action: Action, *, head: bool = False
) -> None:
    """Add a route that does `action`. With `head`, a GET answers HEAD too."""
    actions = app.setdefault(_ACTIONS, {})
    actions[app.router.add_route(method, path, handler)] = action
    if head:
        actions[app.router.add_route("HEAD", path, handler)] = action


def actions(app: web.Application) -> Mapping[AbstractRoute, Action]:
    """Return what each route of an application does."""
    return app.get(_ACTIONS, {})


def action_of(request: web.Request) -> Action | None:
    """Return what the request is about to do; None if there is no such route.

    A route that was added without an action is for those who may do everything.
    """
    info = request.match_info
    if info.http_exception is not None:
        return None
    return actions(request.app).get(info.route, Action.ADMINISTER)
