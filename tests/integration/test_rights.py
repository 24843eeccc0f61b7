"""Every route of the server refuses a principal that has no right for its action, whatever other rights it has."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from kit.stores import place_tables
from runstream_infra.embedded import application, open_parts
from runstream_infra.settings import ServerSettings
from runstream_protocols.all import ACCESS
from runstream_service.access import READING, Action, Grant, Principal
from runstream_service.auth import TICKET_PATH, ApiKeys
from runstream_service.routing import routes_of

OPEN_PATHS = {path for access in ACCESS for path in access.open_paths}
#: For each action a principal that may do all others, by its key; and one that may do nothing.
LACKING = {f"lacks-{action}": Principal(f"lacks-{action}", (Grant(frozenset(Action) - {action}),)) for action in Action}
NOBODY = {"has-no-right": Principal("has-no-right", ())}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[TestClient[Any, Any]]:
    settings = ServerSettings(data_dir=tmp_path)
    keys = ApiKeys(tuple((hashlib.sha256(key.encode()).digest(), who) for key, who in (LACKING | NOBODY).items()))
    place_tables(settings.data_dir)
    async with (
        open_parts(settings) as parts,
        TestClient(TestServer(application(settings, keys, parts), host="127.0.0.1")) as client,
    ):
        yield client


@pytest.mark.parametrize("key_of", ["lacks-{}", "has-no-right"])
async def test_every_route_refuses_whoever_has_no_right_for_its_action(
    client: TestClient[Any, Any], key_of: str
) -> None:
    refused: set[Action] = set()
    assert client.app is not None
    for added, route in routes_of(client.app).items():
        if route.is_page or route.path in OPEN_PATHS or route.path.startswith(TICKET_PATH):
            continue  # nobody's rights are looked at, or only those of whoever signed the ticket
        path = route.template.replace("{", "").replace("}", "")
        key = key_of.format(route.action)
        async with client.request(added.method, path, headers={"Authorization": f"Bearer {key}"}) as response:
            assert response.status == 403, (added.method, path)
            if added.method == "HEAD":
                continue
            if response.content_type == "application/xml":
                assert "<Code>AccessDenied</Code>" in await response.text(), path
                continue
            problem = await response.json(content_type=None)
        changes_nothing_at_all = key == "has-no-right" and route.action not in READING
        kind = "read-only" if changes_nothing_at_all else "forbidden"
        assert problem["type"] == f"urn:runstream:problem:{kind}", path
        if kind == "forbidden":
            assert f"The key {key} may not {route.action}" in problem["detail"]
        assert ("sdk_error_code" in problem) == path.startswith(("/api/rest/", "/clientlib/")) or route.tags == (
            "writes",
        )
        refused.add(route.action)
    assert refused == {Action.OPERATE, Action.READ, Action.LOG, Action.EDIT, Action.ADMINISTER}


async def test_a_principal_with_the_right_is_let_in(client: TestClient[Any, Any]) -> None:
    for path, key in (("/api/v1/runs", "lacks-edit"), ("/metrics", "lacks-read"), ("/api/v1/key", "lacks-log")):
        async with client.get(path, headers={"Authorization": f"Bearer {key}"}) as response:
            assert response.status == 200, path
