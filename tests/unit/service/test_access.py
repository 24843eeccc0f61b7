"""Principals, scopes, and what is authorized."""

import hashlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from runstream_service.access import (
    EVERYTHING,
    NOTHING,
    READING,
    Action,
    Grant,
    Principal,
    Scope,
    authorize,
    full_principal,
    reading_principal,
)
from runstream_service.auth import ApiKeys, auth_middleware
from runstream_service.problems import problem_middleware
from runstream_service.routing import Call, Route, add_routes, plain_handler

Client = TestClient[web.Request, web.Application]

IN_A = Scope(frozenset({"a"}))
LOGS_IN_A = Principal("logs-in-a", (Grant(frozenset({Action.LOG}), IN_A), Grant(frozenset({Action.READ}))))


@pytest.mark.parametrize(
    ("scope", "covered", "is_empty"),
    [(EVERYTHING, {"a", "b", "new"}, False), (IN_A, {"a"}, False), (NOTHING, set(), True)],
)
def test_a_scope_covers_its_workspaces_only(scope: Scope, covered: set[str], is_empty: bool) -> None:
    assert {workspace for workspace in ("a", "b", "new") if scope.covers(workspace)} == covered
    assert scope.is_empty == is_empty


def test_a_principals_scope_is_the_union_of_its_grants() -> None:
    actions = frozenset({Action.LOG})
    both = Principal("p", (Grant(actions, IN_A), Grant(actions, Scope(frozenset({"b"})))))
    assert both.scope(Action.LOG) == Scope(frozenset({"a", "b"}))
    assert both.scope(Action.READ) == NOTHING
    assert Principal("p", (Grant(actions, IN_A), Grant(actions))).scope(Action.LOG) == EVERYTHING
    assert Principal("p", ()).scope(Action.OPERATE) == NOTHING


@pytest.mark.parametrize("action", Action)
def test_the_principals_of_keys(action: Action) -> None:
    assert authorize(full_principal("f"), action, "new") is None
    assert (authorize(reading_principal("r"), action, "new") is None) == (action in READING)
    nobody = authorize(Principal("nobody", ()), action)
    assert nobody is not None
    assert nobody.status == 403


def test_a_right_in_one_workspace_is_none_in_another() -> None:
    assert authorize(LOGS_IN_A, Action.LOG) is None, "somewhere"
    assert authorize(LOGS_IN_A, Action.LOG, "a") is None
    problem = authorize(LOGS_IN_A, Action.LOG, "b")
    assert problem is not None
    assert problem.kind == "forbidden"
    assert "logs-in-a may not log in workspace 'b'" in problem.detail
    assert authorize(LOGS_IN_A, Action.READ, "b") is None
    assert authorize(LOGS_IN_A, Action.EDIT) is not None


def test_a_principal_that_changes_nothing_is_told_that_its_key_only_reads() -> None:
    problem = authorize(reading_principal("r"), Action.LOG)
    assert problem is not None
    assert (problem.kind, problem.title) == ("read-only", "The key may not write")
    elsewhere = authorize(Principal("r", (Grant(READING, IN_A),)), Action.READ, "b")
    assert elsewhere is not None
    assert elsewhere.kind == "forbidden"


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """A server with a route for each action, one without any, and a key that logs in one workspace."""
    keys = ApiKeys(((hashlib.sha256(b"the-key").digest(), LOGS_IN_A),))
    app = web.Application(middlewares=[problem_middleware(), auth_middleware(keys)])

    async def name(_: None, call: Call[None]) -> web.Response:
        return web.Response(text=f"{call.principal.name} {sorted(call.scope.workspaces or ['everywhere'])}")

    def told(request: web.Request) -> Action | None:
        return Action(request.headers["Does"]) if "Does" in request.headers else None

    routes = [Route("GET", f"/{action}", action, "Who asks", name, head=action is Action.READ) for action in Action]
    routes.append(Route("GET", "/several", Action.READ, "Who asks", name, tells_action=told))
    add_routes(app, routes, lambda route: plain_handler(route, None))
    app.router.add_get("/unnamed", plain_handler(routes[0], None))
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.mark.sockets
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/operate", 403),
        ("/read", 200),
        ("/log", 200),
        ("/edit", 403),
        ("/administer", 403),
        ("/unnamed", 403),
        ("/nowhere", 404),
    ],
)
async def test_the_middleware_authorizes_the_action_of_the_route(client: Client, path: str, status: int) -> None:
    async with client.get(path, headers={"Authorization": "Bearer the-key"}) as response:
        assert response.status == status
        if status == 200:
            assert await response.text() == f"logs-in-a {['a' if path == '/log' else 'everywhere']}"
    async with client.get(path) as response:
        assert response.status == 401, "who asks comes before what is asked"


@pytest.mark.sockets
async def test_a_get_answers_head_where_the_route_says_so(client: Client) -> None:
    for path, status in (("/read", 200), ("/log", 405)):
        async with client.head(path, headers={"Authorization": "the-key"}) as response:
            assert response.status == status


@pytest.mark.sockets
@pytest.mark.parametrize(
    ("does", "status", "workspaces"),
    [({}, 200, "['everywhere']"), ({"Does": "log"}, 200, "['a']"), ({"Does": "edit"}, 403, "may not edit")],
)
async def test_a_request_may_tell_what_it_does_at_its_path(
    client: Client, does: dict[str, str], status: int, workspaces: str
) -> None:
    async with client.get("/several", headers={"Authorization": "Bearer the-key"} | does) as response:
        assert response.status == status
        assert workspaces in await response.text()
