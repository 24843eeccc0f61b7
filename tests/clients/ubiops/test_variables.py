"""Environment variables of the unmodified `ubiops.Training`, and that secret ones are seen nowhere."""

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest

import runstream
from kit.clients import python_of
from kit.commands import done
from kit.foreign import KEY, own
from kit.ports import free_port
from kit.servers.up import running_up
from kit.ubiops.server import VERSIONS, Server
from runstream_infra.rebuilding import rebuild_and_compare
from runstream_infra.settings import ServerSettings

Told = dict[str, Any]
#: What begins so is secret in the client's steps.
SECRET = "hunter2"
VARIABLES = f"{VERSIONS}/resnet/environment-variables"


def by_name(found: list[Told]) -> dict[str, Told]:
    return {one["name"]: one for one in found}


def test_a_variable_is_created_changed_renamed_and_deleted(told: Told) -> None:
    found = told["variables"]["value"]
    assert (found["made"]["name"], found["made"]["value"], found["made"]["secret"]) == ("color", "red", False)
    assert found["got"] == found["made"]
    assert found["updated"] == {**found["made"], "value": "blue \u2603"}
    assert {name: one["value"] for name, one in by_name(found["listed"]).items()} == {
        "EMPTY": "",
        "color": "blue \u2603",
    }
    assert (found["renamed"]["name"], found["renamed"]["value"]) == ("colour", "blue")
    assert found["left"] == []
    assert found["gone"]["status"] == 404
    assert [one["status"] for one in found["bad"]] == [400] * 5 + [0], "the client itself refuses a long name"


def test_a_secret_value_never_comes_back(told: Told) -> None:
    found = told["secrets"]["value"]
    for name in ("made", "got", "updated", "hidden"):
        assert (found[name]["value"], found[name]["secret"]) == (None, True), name
    listed = by_name(found["listed"])
    assert {one["value"] for one in listed.values() if one["secret"]} == {None}
    assert {"PASSWORD", "TOKEN"} <= listed.keys()
    assert found["taken"]["status"] == 409
    assert found["open_again"]["status"] == 400
    assert "secret and stays so" in found["open_again"]["body"]


def test_an_experiment_inherits_what_it_does_not_shadow(told: Told) -> None:
    found = told["inheriting"]["value"]
    before, after = by_name(found["before"]), by_name(found["after"])
    assert (before["REGION"]["value"], before["REGION"]["inheritance_name"]) == ("eu", "roads")
    assert (before["DATABASE"]["value"], before["DATABASE"]["inheritance_type"]) == (None, "project")
    assert (after["REGION"]["value"], after["REGION"]["inheritance_type"]) == ("us", None)
    assert found["by_id"]["status"] == 404, "an inherited one is the project's"
    assert by_name(found["project"])["REGION"]["value"] == "eu"


def test_a_copy_has_them_all_secret_ones_too(told: Told) -> None:
    found = by_name(told["copying"]["value"])
    assert {"PASSWORD", "TOKEN", "SYS_DEFAULT_BUCKET", "REGION"} <= found.keys()
    assert found["PASSWORD"]["secret"]
    assert found["PASSWORD"]["inheritance_type"] is None


def test_what_is_secret_is_seen_nowhere(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Not in a file of the data directory, a response, an export, a dead letter or a line of the log; the key that
    decrypts it is beside the data, and what one key encrypted the next one still copies."""
    data, errors = tmp_path / "data", tmp_path / "server.log"
    environment = own() | {"RUNSTREAM_API_KEYS": KEY, "RUNSTREAM_LOG_FORMAT": "json"}
    with running_up(data, "--port", str(free_port()), environment=environment, errors=errors) as url:
        server = Server(url, python_of("ubiops"))
        told = server.told("creating", "secrets", "inheriting", "copying", "renaming")
        refuse_all(server)
        seen = [str(told), *everything_read(server, tmp_path, capfd)]
    key_file = data / "secrets.key"
    assert key_file.stat().st_mode & 0o777 == 0o600
    new, old = base64.b64encode(b"n" * 32).decode(), key_file.read_text().strip()
    rotated = environment | {"RUNSTREAM_SECRETS_KEY": f"{new},{old}"}
    with running_up(data, "--port", url.rpartition(":")[2], environment=rotated, errors=errors) as url:
        server = Server(url, python_of("ubiops"))
        copied = server.told("creating_third", "copying_to_third")
        seen.append(str(copied))
        encrypt_anew(server)
    renewed = environment | {"RUNSTREAM_SECRETS_KEY": new}
    with running_up(data, "--port", url.rpartition(":")[2], environment=renewed, errors=errors) as url:
        copied |= {"again": Server(url, python_of("ubiops")).told("copying_to_third")["copying_to_third"]}
        seen.append(str(copied))
    assert all("value" in one for one in copied.values()), copied
    assert asyncio.run(rebuild_and_compare(ServerSettings(data_dir=data))).equal
    assert SECRET not in "\n".join(seen)
    assert SECRET not in errors.read_text()
    files = [path for path in data.rglob("*") if path.is_file()]
    assert len(files) > 10
    wanted = (SECRET.encode(), base64.b64encode(SECRET.encode())[:8])
    assert [path for path in files if any(one in path.read_bytes() for one in wanted)] == []


def encrypt_anew(server: Server) -> None:
    """Have the first key encrypt every secret of an experiment, whose values nobody knows."""
    path = VARIABLES.replace("resnet", "plainer")
    changed = [one for one in server.ubiops(path)[1] if one["secret"] and one["inheritance_type"] is None]
    assert len(changed) == 2
    for one in changed:
        status, told = server.ubiops(f"{path}/{one['id']}", "PATCH", {})
        assert (status, told["name"], told["value"]) == (200, one["name"], None)


def refuse_all(server: Server) -> None:
    """Send secrets in requests that are refused, so that they would stand in what is told of errors."""
    for body in (
        {"name": "not a name", "value": f"{SECRET}-1", "secret": True},
        {"name": "A", "value": [f"{SECRET}-2"], "secret": True},
        {"name": "A", "value": f"{SECRET}-3" * 100_000, "secret": True},
        {"name": "A", "value": f"{SECRET}-4", "secret": 7},
        b'{"name": "A", "value": "' + SECRET.encode() + b'-6"',
    ):
        status, refused = server.ubiops(VARIABLES, "POST", body)
        assert 400 <= status < 500
        assert SECRET not in str(refused)


def everything_read(server: Server, folder: Path, capfd: pytest.CaptureFixture[str]) -> list[str]:
    """What the server tells of the project by any of its interfaces, and what an export of it holds."""
    headers = {"Authorization": f"Bearer {KEY}"}
    paths = ("projects", "experiments", "runs", "workspaces", "artifacts", "server")
    found = [str(server.requested(f"api/v1/{path}", headers)) for path in paths]
    quiet: dict[str, Any] = {"capture_console": False, "capture_code": False, "system_metrics_s": 0}
    run = runstream.init(
        "roads", "run", experiment="resnet", url=server.url, api_key=KEY, dir=folder / "spool", **quiet
    )
    assert run.finish()
    target = ("--url", server.url, "--api-key", KEY)
    found.append(done(capfd, "export", "--project", "roads", "--format", "csv", "--out", str(folder / "out"), *target))
    found += [path.read_text() for path in (folder / "out").rglob("*.csv")]
    found.append(done(capfd, "show", run.run_id, *target))
    return [*found, str(server.ubiops(VARIABLES)), str(server.ubiops("projects/roads/environment-variables"))]
