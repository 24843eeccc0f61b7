"""Home: projects, recent runs, how the server is doing, and lines that log to it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from kit.browser.axe import serious_findings
from kit.browser.history import FAILED, HOSTILE, OTHER, PROJECT, RUNS, WORKSPACE, History
from kit.browser.watching import watched


def test_projects_and_runs_are_a_click_away(history: History, page: Page) -> None:
    page.goto(history.url)
    projects = page.get_by_role("region", name="Projects")
    expect(projects).to_contain_text(f"{WORKSPACE}/{PROJECT}")
    expect(projects).to_contain_text(f"{len(RUNS) + 1} runs")
    expect(projects).to_contain_text(f"{WORKSPACE}/{OTHER[0]}")
    recent = page.get_by_role("region", name="Recent runs")
    expect(recent).to_contain_text(HOSTILE)
    expect(recent.locator("li", has_text=f"try {FAILED[-1]}")).to_contain_text("failed")
    projects.get_by_role("link", name=f"{WORKSPACE}/{PROJECT}").click()
    expect(page.locator("main")).to_contain_text("try 1")
    page.go_back()
    page.get_by_role("region", name="Recent runs").get_by_role("link", name="try 1").click()
    expect(page).to_have_url(history.run(RUNS[1]))


def test_a_workspace_has_its_own_home(history: History, page: Page) -> None:
    page.goto(f"{history.url}/{WORKSPACE}")
    expect(page.get_by_role("heading", level=1)).to_have_text(WORKSPACE)
    expect(page.get_by_role("region", name="Projects")).to_contain_text(OTHER[0])


def test_the_server_tells_how_it_is_doing(history: History, page: Page) -> None:
    page.goto(history.url)
    server = page.get_by_role("region", name="Server", exact=True)
    for text in ("Version", "Lag", "Dead letters", "none", "free of"):
        expect(server).to_contain_text(text)


def test_the_lines_for_python_log_to_this_very_server(history: History, page: Page, tmp_path: Path) -> None:
    page.goto(history.url)
    lines = page.get_by_label("Lines for Python", exact=True).inner_text()
    assert history.url in lines
    home = dict(os.environ) | {"HOME": str(tmp_path)}
    command = [sys.executable, "-c", lines]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=tmp_path, env=home)
    assert done.returncode == 0, done.stderr
    expect(page.get_by_role("region", name="Projects")).to_contain_text("default/digits")


@pytest.mark.parametrize("client", ["Comet", "MLaide", "SageMaker", "UbiOps", "Bender"])
def test_every_client_has_lines_with_this_servers_address(history: History, page: Page, client: str) -> None:
    page.goto(history.url)
    page.get_by_role("button", name=client, exact=True).click()
    expect(page.get_by_label(f"Lines for {client}", exact=True)).to_contain_text(f"{history.url}/")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_everybody_can_use_it(history: History, chromium: Browser, scheme: str, width: int) -> None:
    with watched(chromium, color_scheme=scheme, viewport={"width": width, "height": 740}) as (context, _):
        page = context.new_page()
        page.goto(history.url)
        expect(page.get_by_role("region", name="Server", exact=True)).to_contain_text("Version")
        expect(page.get_by_role("region", name="Recent runs")).to_contain_text("try 1")
        assert serious_findings(page) == []
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
