"""The view of a project: its runs in a table, their curves beside it, all of it in the address, live."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

import runstream as rs
from kit.browser.axe import serious_findings
from kit.browser.history import HOSTILE, RUNNING, RUNS, SPIKE, STEPS, WORKSPACE, History
from kit.browser.watching import Watched, watched
from kit.servers.embedded import Server


def rows(page: Page) -> Locator:
    """The rows of the table, without its head."""
    return page.locator(".table .row:not(.row-head)")


def names(page: Page) -> list[str]:
    return page.locator(".table .run-name a").all_inner_texts()


def chart(page: Page, metric: str) -> Locator:
    """The chart of a metric. What it shows is in it as a sentence for screen readers."""
    return page.locator("section.chart", has=page.get_by_role("heading", name=metric, exact=True))


def test_a_project_shows_its_runs_and_their_curves(history: History, page: Page) -> None:
    page.goto(history.project)
    expect(page.get_by_role("status").first).to_contain_text("7 runs")
    expect(rows(page)).to_have_count(7)
    # What somebody wrote is text.
    expect(page.get_by_role("link", name=HOSTILE)).to_be_visible()
    expect(rows(page).filter(has_text="try 3")).to_contain_text("failed")
    expect(rows(page).filter(has_text="try 4")).to_contain_text(f"NaN since {STEPS // 2}")
    loss = chart(page, "train/loss")
    expect(loss).to_contain_text("7 curves")
    expect(loss).to_contain_text(f"{SPIKE[2]:g}")
    expect(loss).to_contain_text("exact")
    expect(loss).to_contain_text("NaN in 1 curve")


def test_rows_are_sorted_by_the_heads(history: History, page: Page) -> None:
    page.goto(f"{history.project}?cols=param.layers")
    expect(rows(page)).to_have_count(7)
    head = page.get_by_role("button", name="layers")
    head.click()
    expect(page.locator(".run-name a").first).to_have_text("try 5")
    assert names(page)[:3] == ["try 5", "try 4", "try 3"]
    expect(page.get_by_role("columnheader", name="layers")).to_have_attribute("aria-sort", "descending")
    head.click()
    expect(page.locator(".run-name a").first).to_have_text("try 0")
    page.go_back()
    expect(page.locator(".run-name a").first).to_have_text("try 5")


def test_a_filter_is_completed_applied_and_corrected(history: History, watch: tuple[Page, Watched]) -> None:
    page, problems = watch
    page.goto(history.project)
    expect(rows(page)).to_have_count(7)
    field = page.get_by_role("combobox", name="Filter of runs")
    field.click()
    field.press_sequentially("param.opt")
    page.get_by_role("option", name="param.optimizer").click()
    expect(field).to_have_value("param.optimizer ")
    field.press_sequentially("= ")
    expect(page.get_by_role("option", name='"adam"')).to_contain_text("3 runs")
    field.press_sequentially('"adam"')
    field.press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("3 runs")
    expect(chart(page, "train/loss")).to_contain_text("3 curves")
    assert "filter=" in page.url

    # A mistake is shown where it is, and the rows stay.
    field.fill("metric.train/loss <")
    field.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("expected a value")
    assert re.search(r"\n +\^\n", page.get_by_role("alert").inner_text())
    expect(rows(page)).to_have_count(3)
    problems.allow("400")
    page.get_by_role("button", name="Clear").click()
    expect(rows(page)).to_have_count(7)


def test_columns_are_chosen_moved_and_pinned(history: History, page: Page) -> None:
    page.goto(history.project)
    page.get_by_role("button", name="Columns", exact=True).click()
    page.get_by_role("searchbox", name="Find a column").fill("val")
    page.get_by_role("button", name="max of val/acc").click()
    page.get_by_role("button", name="Keep metric.val/acc.max at the left").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("columnheader", name="val/acc max")).to_have_class(re.compile("cell-pinned"))
    expect(rows(page).filter(has_text="try 1")).to_contain_text("0.99")
    again = page.url
    page.goto(f"{history.url}/")
    page.goto(again)
    expect(page.get_by_role("columnheader", name="val/acc max")).to_have_class(re.compile("cell-pinned"))


def test_the_address_shows_the_same_to_another_person(history: History, chromium: Browser) -> None:
    with watched(chromium) as (context, _):
        page = context.new_page()
        page.goto(history.project)
        page.get_by_role("button", name="Draw the curves of try 1").click()
        page.get_by_label("Log y").check()
        page.get_by_role("combobox", name="The x axis").select_option("relative")
        page.get_by_label("Find charts").fill("loss")
        loss = chart(page, "train/loss")
        expect(loss).to_contain_text("6 curves")
        whole = described(loss)
        drag_across(page, loss, 0.25, 0.5)
        expect(page.get_by_role("button", name="Whole axis")).to_be_visible()
        expect(loss).not_to_contain_text(whole)
        expect(loss).not_to_contain_text("loading")
        address, shown = page.url, described(loss)
    with watched(chromium) as (context, _):
        page = context.new_page()
        page.goto(address)
        loss = chart(page, "train/loss")
        expect(loss).to_contain_text(shown)
        assert page.get_by_label("Log y").is_checked()
        expect(page.locator("section.chart")).to_have_count(1)
        page.get_by_role("button", name="Whole axis").click()
        page.keyboard.press("Control+z")
        expect(loss).to_contain_text(shown)
        page.keyboard.press("Control+Shift+z")
        expect(page.get_by_role("button", name="Whole axis")).to_have_count(0)


def test_groups_are_means_over_all_of_their_runs(history: History, page: Page) -> None:
    page.goto(f"{history.project}?group=param.optimizer&draw=1")
    accuracy = chart(page, "val/acc")
    accuracy.scroll_into_view_if_needed()
    # The runs of the two optimizers, though the curves of one run alone would be drawn.
    expect(accuracy).to_contain_text("2 curves")


def test_ticked_runs_become_the_filter(history: History, page: Page) -> None:
    page.goto(history.project)
    for name in ("try 0", "try 5"):
        page.get_by_role("checkbox", name=f"Select {name}").check()
    page.get_by_role("button", name="Only the 2 ticked").click()
    expect(rows(page)).to_have_count(2)
    expect(page.get_by_role("combobox", name="Filter of runs")).to_have_value(
        re.compile(r'id in \("r-[05]", "r-[05]"\)')
    )


def test_everything_works_by_keyboard(history: History, page: Page) -> None:
    page.goto(history.project)
    expect(rows(page)).to_have_count(7)
    page.keyboard.press("/")
    page.keyboard.type("name = 'try 5'")
    page.keyboard.press("Enter")
    expect(rows(page)).to_have_count(1)
    page.locator("body").press("?")
    page.get_by_role("combobox", name="Filter of runs").blur()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("t")
    page.keyboard.press("Space")
    expect(page.get_by_role("checkbox", name="Select try 5")).to_be_checked()
    page.keyboard.press("Enter")
    page.wait_for_url(f"{history.project}/{RUNS[5]}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_everybody_can_use_a_project(history: History, chromium: Browser, scheme: str, width: int) -> None:
    with watched(chromium, color_scheme=scheme, viewport={"width": width, "height": 760}) as (context, _):
        page = context.new_page()
        page.goto(f"{history.project}?ticked=r-1,r-2&hide=r-0&zoom=10~60")
        expect(rows(page).first).to_be_visible()
        chart(page, "lr").scroll_into_view_if_needed()
        expect(chart(page, "lr")).to_contain_text("curves")
        assert serious_findings(page) == []
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_points_appear_as_they_are_logged(history: History, page: Page) -> None:
    page.goto(f"{history.project}?filter=id+%3D+%22{RUNNING}%22")
    loss = chart(page, "train/loss")
    expect(loss).to_contain_text("1 curve, step from 0 to")
    expect(page.locator(".freshness-live")).to_be_visible()
    before = charts_read(page)
    base = 1000
    for step in range(base, base + 5):
        history.running.log({"train/loss": 3.5}, step=step)
        expect(loss).to_contain_text(f"to {step:,}")
    expect(loss).to_contain_text("3.5")
    # What is new comes by the stream: curves are not read again for it. (Small curves of the table are.)
    assert charts_read(page) - before <= 5

    # A metric that nobody logged before gets its chart.
    history.running.log({"late/metric": 1.0}, step=base + 5)
    expect(chart(page, "late/metric")).to_contain_text("1 curve")


def test_a_zoomed_view_stays_while_points_come(history: History, page: Page) -> None:
    page.goto(f"{history.project}?filter=id+%3D+%22{RUNNING}%22&zoom=2~6")
    loss = chart(page, "train/loss")
    expect(loss).to_contain_text("step from 2 to 6")
    expect(page.locator(".freshness-live")).to_be_visible()
    history.running.log({"train/loss": 0.5}, step=5000)
    page.wait_for_timeout(1500)
    expect(loss).to_contain_text("step from 2 to 6")


def test_a_view_is_saved_opened_and_deleted(history: History, page: Page) -> None:
    page.goto(f"{history.project}?filter=tag+%3D+%22odd%22&ylog=1")
    expect(rows(page)).to_have_count(3)
    page.get_by_role("button", name="Views", exact=True).click()
    page.get_by_label("Name of a new view").fill("odd ones")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("button", name="odd ones", exact=True)).to_be_visible()
    page.goto(history.project)
    expect(rows(page)).to_have_count(7)
    page.get_by_role("button", name="Views", exact=True).click()
    page.get_by_role("button", name="odd ones", exact=True).click()
    expect(rows(page)).to_have_count(3)
    assert "ylog=1" in page.url
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Views", exact=True).click()
    page.get_by_role("button", name="Delete odd ones").click()
    expect(page.get_by_role("button", name="odd ones", exact=True)).to_have_count(0)


@pytest.fixture
def lonely(tmp_path: Path) -> Iterator[Server]:
    """A server of the test alone, which gives few live streams."""
    with Server(tmp_path, {"RUNSTREAM_QUERY_MAX_LIVE": "2"}) as server:
        yield server


def test_tabs_share_a_stream_and_outlive_the_server(lonely: Server, tmp_path: Path, chromium: Browser) -> None:
    quiet: dict[str, Any] = {"capture_console": False, "capture_code": False, "system_metrics_s": 0}
    run = rs.init("p", "one", "r", workspace=WORKSPACE, url=lonely.url, dir=tmp_path / "spool", **quiet)
    run.log({"loss": 1.0}, step=0)
    with watched(chromium) as (context, problems):
        pages = [opened(context, f"{lonely.url}/{WORKSPACE}/p") for _ in range(10)]
        for page in pages:
            # The server has room for two streams: one that is open, and one that replaces it.
            expect(page.locator(".freshness-live")).to_be_visible()
            expect(chart(page, "loss")).to_contain_text("1 curve")
        run.log({"loss": 2.0}, step=1)
        for page in pages:
            page.bring_to_front()
            expect(chart(page, "loss")).to_contain_text("step from 0 to 1")

        lonely.kill()
        expect(pages[0].locator(".freshness-old")).to_contain_text("Not connected")
        run.log({"loss": 3.0}, step=2)
        assert lonely.start()
        expect(pages[0].locator(".freshness-live")).to_be_visible()
        pages[0].bring_to_front()
        expect(chart(pages[0], "loss")).to_contain_text("step from 0 to 2")
        run.log({"loss": 4.0}, step=3)
        expect(chart(pages[0], "loss")).to_contain_text("step from 0 to 3")
        problems.allow("ERR_CONNECTION_REFUSED|ERR_INCOMPLETE|ERR_CONNECTION_RESET|ERR_EMPTY|503", at_least=0)
    run.finish()


def opened(context: BrowserContext, address: str) -> Page:
    page = context.new_page()
    page.goto(address)
    return page


def charts_read(page: Page) -> int:
    """Return how often the page asked for curves so far."""
    asked = "performance.getEntriesByType('resource').filter((one) => one.name.endsWith('/api/v1/charts')).length"
    return int(page.evaluate(asked))


def described(shown: Locator) -> str:
    """What the chart says of itself, without its fineness."""
    text = shown.locator(".chart-summary").filter(has_text="curve").first.inner_text()
    found = re.search(r"\d+ curves?, .* from .* to [^,]+", text)
    assert found is not None, text
    return found.group()


def drag_across(page: Page, shown: Locator, begin: float, end: float) -> None:
    """Drag with the pointer from one part of the plot's width to another."""
    box = shown.locator(".chart-plot").bounding_box()
    assert box is not None
    height = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + begin * box["width"], height)
    page.mouse.down()
    page.mouse.move(box["x"] + end * box["width"], height, steps=4)
    page.mouse.up()
