"""The view of a project's artifacts."""

from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

import runstream as rs
from kit.browser.axe import serious_findings
from kit.browser.history import PROJECT, RUNS, WORKSPACE, History


def test_versions_files_and_lineage_of_a_model(history: History, page: Page, tmp_path: Path) -> None:
    api = rs.API(history.url)
    place: dict[str, Any] = {"workspace": WORKSPACE, "project": PROJECT}
    for number in (1, 2):
        files = {"weights.bin": b"x" * number}
        api.log_artifact_version("digit <b>reader", "model", files, run=RUNS[number], comment=f"try {number}", **place)
    data = api.log_artifact_version("digits", "dataset", {"all.csv": b"1,2\n"}, **place)
    api.artifacts.mark_used(data, RUNS[2])

    page.goto(f"{history.project}/-/artifacts")
    page.get_by_role("button", name="digit <b>reader").click()
    expect(page.get_by_role("group", name="Versions")).to_contain_text("try 2")
    # The newest version came from a run that used the data set.
    graph = page.get_by_role("group", name="Lineage of the version")
    expect(graph).to_contain_text("digits")
    with page.expect_download() as download:
        page.get_by_role("button", name="weights.bin").click()
    assert Path(download.value.path()).read_bytes() == b"xx"
    assert serious_findings(page) == []

    page.get_by_role("group", name="Versions").get_by_role("button", name="1", exact=True).click()
    expect(page.get_by_role("heading", name="Files of version 1")).to_be_visible()
    expect(graph).not_to_contain_text("digits")
    page.go_back()
    graph.get_by_role("link", name="digits").click()
    expect(page.get_by_role("heading", name="digits", exact=True)).to_be_visible()
