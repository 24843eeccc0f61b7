"""Live panels behind a real server with keys, in a real Chromium: frames without an origin, panels that are kept from
everything but the API, and what programs ask about them."""

import json
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright import sync_api

import runstream as rs
from kit.browser.chromium import require
from kit.browser.other_sites import BROWSER_S
from kit.servers.up import running_up
from kit.waiting import wait_until
from kit.wheels import wheel_of
from runstream.panels.landlock import landlock_version

PANELS = Path(__file__).parents[2] / "examples" / "panels"
WRITER, READER = "a-key-that-may-write-0", "a-key-that-only-reads"
PLACE = {"workspace": "default", "project": "frames"}
PATIENCE_MS = BROWSER_S * 1_000


@dataclass(frozen=True)
class Served:
    url: str
    folder: Path

    def request(self, method: str, path: str, key: str = WRITER, /, **fields: Any) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        body = json.dumps(fields).encode() if method in ("POST", "PUT") else None
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def frame(self, source: str, key: str = WRITER) -> dict[str, Any]:
        """A frame of code that is not kept."""
        status, frame = self.request("POST", "/api/v1/panels/previews", key, **PLACE, source=source)
        assert status == 201, frame
        return dict(frame)

    def state(self, frame: dict[str, Any], key: str = WRITER) -> dict[str, Any]:
        status, found = self.request("GET", f"/api/v1/panels/frames/{frame['frame']}", key)
        assert status == 200, found
        return dict(found)

    def log(self, name: str, steps: range) -> None:
        quiet: dict[str, Any] = {"capture_code": False, "capture_console": False, "system_metrics_s": 0}
        run = rs.init(name=name, project="frames", url=self.url, api_key=WRITER, dir=self.folder / "spool", **quiet)
        for step in steps:
            run.log({"loss": 1 / (step + 1)}, step=step)
        assert run.finish(timeout_s=240)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("panel-server")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RUNSTREAM_")}
    keys = {"RUNSTREAM_API_KEYS": f"{WRITER},{READER}:read", "RUNSTREAM_PANELS_INSTALL": "1"}
    pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder / "wheels")}
    wheel_of("panel_package_of_ours", folder / "wheels")
    with running_up(folder / "data", environment=clean | keys | pip, errors=folder / "server.log") as url:
        made = Served(url, folder)
        made.log("first", range(5))
        yield made


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    real = require()
    with sync_api.sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server"]
        started = playwright.chromium.launch(executable_path=real, args=options, timeout=PATIENCE_MS)
        yield started
        started.close()


@pytest.fixture
def tab(chromium: Any) -> Iterator[Any]:
    page = chromium.new_page()
    page.set_default_timeout(PATIENCE_MS)
    yield page
    page.close()


def framed(tab: Any, served: Served, frame: dict[str, Any]) -> Any:
    """Show the frame in a page of the server, which keeps a key; return the frame's document."""
    page = (
        "<script>localStorage.setItem('key', 'the-key-of-the-page')</script>"
        f'<iframe width="900" height="600" sandbox="{frame["sandbox"]}" src="{frame["address"]}"></iframe>'
    )
    tab.route("**/a-page", lambda route: route.fulfill(status=200, content_type="text/html", body=page))
    tab.goto(f"{served.url}/a-page")
    return tab.frame_locator("iframe")


def tried(document: Any, script: str) -> str:
    try:
        return str(document.evaluate(script))
    except sync_api.Error as error:
        return str(error)


CONTEXT = {"instance": "upper-left"}
MORE = """
%pip install -q pandas panel_package_of_ours
import panel_package_of_ours
st.write("installed", panel_package_of_ours.ANSWER, ui.get_instance())
st.components.v1.html("<p id=p>no</p><script>document.getElementById('p').textContent = 'its script ran'</script>")
if st.button("press"):
    st.write("it was pressed")
"""


def test_a_kept_panel_is_live_in_a_frame_that_has_no_origin(served: Served, tab: Any) -> None:
    source = (PANELS / "watching.py").read_text() + MORE
    kept = f"/api/v1/panels/kept/{PLACE['workspace']}/{PLACE['project']}/watching"
    assert served.request("POST", kept, source=source, comment="first")[0] == 200
    status, frame = served.request("POST", "/api/v1/panels/frames", READER, **PLACE, panel="watching", context=CONTEXT)
    assert (status, frame["state"]) == (201, "starting")
    shown = framed(tab, served, frame)
    shown.get_by_text("first: step 4").wait_for()
    shown.get_by_text("installed 42 upper-left").wait_for()
    shown.frame_locator("iframe").get_by_text("its script ran").wait_for()
    shown.get_by_role("button", name="press").click()
    shown.get_by_text("it was pressed").wait_for()
    served.log("second", range(8))
    shown.get_by_text("second: step 7").wait_for()  # nobody touched the page
    inside = tab.frames[1]
    assert "SecurityError" in tried(inside, "localStorage.getItem('key')")
    assert "SecurityError" in tried(inside, "parent.localStorage.getItem('key')")
    assert "SecurityError" in tried(inside, "document.cookie")
    assert tried(inside, "origin") == "null"
    for path in ("/api/v1/runs", "/api/v1/key", "/"):
        assert "Failed to fetch" in tried(inside, f"fetch('{served.url}{path}')"), "by the policy of the document"
    assert tab.evaluate("localStorage.getItem('key')") == "the-key-of-the-page"
    context = {"experiments": [], "options": {}, "theme": "dark"}
    status, changed = served.request("PUT", f"/api/v1/panels/frames/{frame['frame']}", READER, **context)
    shown.get_by_text("first: step 4").wait_for(state="detached")  # of no experiment now
    tab.goto(served.url + changed["address"])
    assert tried(tab, "origin") == "null", "opened by itself as well"


HOSTILE = """
import os, pathlib, resource, signal, socket
import streamlit as st
from runstream import API
def tried(name, work):
    try:
        result = work()
    except BaseException as error:
        result = type(error).__name__
    st.text(f"{name}={result}")
server = int(@SERVER@)
url = os.environ["RUNSTREAM_URL"]
tried("data", lambda: os.listdir(@DATA@))
tried("home", lambda: os.listdir("/root" if os.getuid() == 0 else "/home"))
tried("secrets", lambda: [name for name, value in os.environ.items() if "a-key-that" in value])
tried("environ", lambda: pathlib.Path(f"/proc/{server}/environ").read_bytes()[:1])
tried("signal", lambda: os.kill(server, 0))
tried("port", lambda: socket.create_connection(("127.0.0.1", @PORT@), 1))
tried("memory", lambda: bytearray(8 << 30))
tried("cpu", lambda: resource.setrlimit(resource.RLIMIT_CPU, (7200, 7200)) or resource.getrlimit(resource.RLIMIT_CPU))
tried("listen", lambda: socket.create_server(("127.0.0.1", 0)))
api = API()
tried("read", lambda: len(api.runs(project="frames")) > 0)
tried("write", lambda: api.add_tags(api.runs()[0].run, "x"))
st.text("all was tried")
"""


def test_a_panel_reaches_the_api_and_nothing_else(served: Served, tab: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        source = HOSTILE.replace("@SERVER@", str(pid_of(served))).replace("@DATA@", repr(str(served.folder)))
        frame = served.frame(source.replace("@PORT@", str(other.getsockname()[1])))
        tab.goto(served.url + frame["address"])
        tab.get_by_text("all was tried").wait_for()
        found = dict(line.split("=", 1) for line in tab.inner_text("body").splitlines() if "=" in line)
    assert (found["secrets"], found["read"], found["write"]) == ("[]", "True", "Refused")
    assert found["memory"] == "MemoryError"
    assert landlock_version() == 0 or found["cpu"] == "ValueError", "root without its capabilities raises no limit"
    if landlock_version() >= 6:
        assert {name: found[name] for name in ("data", "home", "environ", "signal", "port", "listen")} == dict.fromkeys(
            ("data", "home", "environ", "signal", "port", "listen"), "PermissionError"
        )


def pid_of(served: Served) -> int:
    """The process that listens at the server's port: the one with its data directory open."""
    log = served.folder / "data" / "log"
    for path in Path("/proc").glob("[0-9]*/fd"):
        try:
            if any(str(log) in os.readlink(one) for one in path.iterdir()):
                return int(path.parent.name)
        except OSError:
            continue
    raise AssertionError("no process has the log open")


def test_what_ends_a_panel_is_told_with_what_it_printed(served: Served, tab: Any) -> None:
    frame = served.frame("import os\nprint('before the end')\nos._exit(7)\n")
    tab.goto(served.url + frame["address"])
    wait_until(lambda: served.state(frame)["state"] == "failed")
    assert "before the end" in served.state(frame)["detail"]
    status, closed = served.request("DELETE", f"/api/v1/panels/frames/{frame['frame']}")
    assert (status, closed["state"]) == (200, "failed")
    assert served.request("GET", f"/api/v1/panels/frames/{frame['frame']}")[0] == 404
    assert served.request("GET", frame["address"])[0] == 404


def test_code_that_is_not_kept_runs_for_those_who_may_edit(served: Served) -> None:
    refused, problem = served.request("POST", "/api/v1/panels/previews", READER, **PLACE, source="1")
    assert (refused, problem["type"]) == (403, "urn:runstream:problem:read-only")
    kept = f"/api/v1/panels/kept/{PLACE['workspace']}/{PLACE['project']}/odd"
    assert served.request("POST", kept, READER, source="1")[0] == 403
    status, problem = served.request("POST", kept, source="1" * 600_000)
    assert (status, "at most 500000" in problem["detail"]) == (413, True)


def test_panels_have_versions(served: Served) -> None:
    kept = f"/api/v1/panels/kept/{PLACE['workspace']}/{PLACE['project']}/counted"
    for number in range(3):
        status, made = served.request("POST", kept, source=f"{number}\n", comment=f"the {number}th")
        assert (status, made["ordinal"], made["source"]) == (200, number + 1, f"{number}\n")
    status, found = served.request("GET", f"{kept}?version=2", READER)
    assert (found["source"], found["comment"], [one["ordinal"] for one in found["versions"]]) == (
        "1\n",
        "the 1th",
        [3, 2, 1],
    )
    assert served.request("GET", f"{kept}?version=9", READER)[0] == 404
    status, listed = served.request("GET", "/api/v1/panels?project=frames", READER)
    assert ("counted", 3) in {(one["name"], one["versions"]) for one in listed["panels"]}
    status, first = served.request("GET", "/api/v1/panels?project=frames&limit=1", READER)
    assert first["next"] == first["panels"][0]["name"]
    rest = served.request("GET", f"/api/v1/panels?project=frames&after={first['next']}", READER)[1]
    assert [*first["panels"], *rest["panels"]] == listed["panels"]
    assert [one.name for one in rs.API(url=served.url, api_key=READER).artifacts("panel", project="frames")]


def test_a_frame_is_of_whoever_opened_it(served: Served) -> None:
    frame = served.frame("import streamlit as st\nst.write('mine')\n")
    path = f"/api/v1/panels/frames/{frame['frame']}"
    assert served.request("GET", path, READER)[0] == 404
    assert served.request("PUT", path, READER, width=1)[0] == 404
    assert served.request("PUT", path, width=640, theme="dark")[1]["frame"] == frame["frame"]
    assert served.request("PUT", path, width=-1)[0] == 400
    assert served.request("PUT", path, metric_colors={"loss": "red;}"})[0] == 400
    told = frame["address"].replace(frame["address"].split("/")[4], "wrong-token")
    assert served.request("GET", told)[0] == 404
    wait_until(lambda: served.state(frame)["state"] == "running")
    status, server = served.request("GET", "/api/v1/panels/server", READER)
    assert (status, server["enabled"], server["installs"]) == (200, True, True)
