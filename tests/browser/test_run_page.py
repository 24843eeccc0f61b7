"""The page of a run in a real Chromium: each tab, what people change, and that nothing logged can do harm."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

import runstream as rs
from kit.browser import chromium as chromium_kit
from kit.browser.axe import serious_findings
from kit.browser.rich import HOSTILE, KEY, LINES, NEEDLE, PLAIN, PROJECT, Rich, keep_key, serving_rich
from kit.browser.watching import Watched, watched
from kit.waiting import wait_until
from runstream.api import NotFound

#: Each tab, and a text that it shows once it is there.
TABS = {
    "overview": "A bold thing",
    "charts": "train/loss",
    "metrics": "train/loss",
    "parameters": "betas",
    "environment": "packages",
    "system": "system/cpu_percent",
    "console": f"{LINES + 1:,} lines",
    "media": "caption of step 20",
    "files": "git.diff",
    "artifacts": "dataset, version 1",
    "history": "started",
}


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rich]:
    chromium_kit.require()
    with serving_rich(tmp_path_factory.mktemp("rich")) as rich:
        yield rich


@pytest.fixture
def watch(chromium: Browser) -> Iterator[tuple[Page, Watched]]:
    """A page that knows the key, and what went wrong in it: nothing may, and no script may open a dialog."""
    with watched(chromium) as (context, problems):
        keep_key(context)
        page = context.new_page()
        page.on("dialog", lambda dialog: problems.problems.append(f"dialog: {dialog.message}"))
        yield page, problems
        assert page.title() != "owned"


@pytest.fixture
def page(watch: tuple[Page, Watched]) -> Page:
    return watch[0]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_everybody_can_use_each_tab(rich: Rich, chromium: Browser, scheme: str, width: int) -> None:
    with watched(chromium, color_scheme=scheme, viewport={"width": width, "height": 740}) as (context, _):
        keep_key(context)
        page = context.new_page()
        views = {rich.run(tab=tab): text for tab, text in TABS.items()}
        views |= {rich.comparison: "rows differ", f"{rich.comparison}&part=code&nocurves=1": "abc123"}
        found = []
        for address, text in views.items():
            page.goto(address)
            expect(page.locator("main")).to_contain_text(text)
            found += [f"{address}: {one}" for one in serious_findings(page)]
            overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            found += [f"{address} is {overflow} px wider than the window"] if overflow > 0 else []
        assert not found, "\n".join(found)


def test_what_was_logged_is_text_everywhere(rich: Rich, page: Page) -> None:
    for tab, text in TABS.items():
        page.goto(rich.run(tab=tab))
        expect(page.locator("main")).to_contain_text(text)
        expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
        assert page.locator("img[src=x], [onerror]").count() == 0
        assert page.locator("a[href^=javascript]").count() == 0


def test_files_of_users_reach_nothing_of_the_page(rich: Rich, watch: tuple[Page, Watched]) -> None:
    page, problems = watch
    page.goto(rich.run(PLAIN, "media"))
    frame = page.frame_locator("iframe[title='report.html']")
    expect(frame.locator("#p")).to_have_text("SecurityError SecurityError SecurityError blocked")
    picture = page.get_by_role("img", name=f"{HOSTILE}.svg")
    expect(picture).to_be_visible()
    assert picture.evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 0
    addresses = page.locator("img, iframe").evaluate_all("(all) => all.map((one) => one.src)")
    assert addresses
    assert not [address for address in addresses if KEY in address]
    assert page.title().startswith("plain")
    problems.allow("/api/v1/key")


def test_one_slider_moves_all_media(rich: Rich, page: Page) -> None:
    page.goto(rich.run(tab="media"))
    expect(page.get_by_text("caption of step 20")).to_be_visible()
    page.get_by_role("slider").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_text("caption of step 10")).to_be_visible()
    expect(page).to_have_url(re.compile("step=10"))
    page.reload()
    expect(page.get_by_text("caption of step 10")).to_be_visible()


def test_the_console_is_searched_and_gone_through_by_keys(rich: Rich, page: Page) -> None:
    page.goto(rich.run(tab="console"))
    console = page.get_by_role("region", name="Console")
    expect(console).to_contain_text(HOSTILE)
    page.get_by_label("Find in the output").fill("NEEDLE")
    expect(page.get_by_text("1 line", exact=True)).to_be_visible()
    page.keyboard.press("Enter")
    expect(console).to_contain_text(NEEDLE)
    expect(page).to_have_url(re.compile("line=700"))
    expect(page.get_by_role("region", name="Line 700")).to_contain_text(NEEDLE)
    page.get_by_role("button", name="To the end").click()
    expect(console).to_contain_text(f"step {LINES}")


def test_a_person_changes_a_run(rich: Rich, page: Page) -> None:
    page.goto(rich.run(PLAIN))
    page.get_by_label("A new tag").fill(HOSTILE)
    page.keyboard.press("Enter")
    expect(page.get_by_role("list", name="Tags of the run")).to_contain_text(HOSTILE)
    page.get_by_role("button", name="Edit").click()
    page.get_by_role("textbox", name="Notes").fill("**kept**")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".markdown strong")).to_have_text("kept")
    page.get_by_role("button", name="Rename").click()
    page.get_by_role("textbox", name="Name").fill("renamed")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("renamed")
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("This run was deleted")).to_be_visible()
    page.get_by_role("button", name="Restore").click()
    expect(page.get_by_text("This run was deleted")).to_have_count(0)
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("renamed")


def test_runs_are_compared_by_what_differs(rich: Rich, page: Page) -> None:
    page.goto(rich.comparison)
    table = page.get_by_role("grid", name="Values of runs")
    expect(table).to_contain_text("betas")
    expect(table).not_to_contain_text("opt.name")
    page.get_by_label("Only what differs").uncheck()
    page.get_by_label("Find a row by its name").fill("opt.")
    expect(table).to_contain_text("opt.name")
    page.go_back()
    expect(page.get_by_label("Only what differs")).to_be_checked()


def test_a_running_run_is_followed(rich: Rich, page: Page) -> None:
    run = rs.init(PROJECT, "live", "r-live", **rich.given)
    try:
        run.output("stdout", "the first line\n")
        wait_until(lambda: _is_there(rich, "r-live"))
        page.goto(rich.run("r-live", "console"))
        console = page.get_by_role("region", name="Console")
        expect(console).to_contain_text("the first line")
        run.output("stdout", "another line\n")
        expect(console).to_contain_text("another line")
        page.get_by_role("link", name="Overview").click()
        run.finish(timeout_s=120)
        expect(page.locator(".run-head .status")).to_contain_text("finished")
    finally:
        run.finish(timeout_s=120)


def _is_there(rich: Rich, run: str) -> bool:
    try:
        rs.API(rich.url, KEY).runs.get(run)
    except NotFound:
        return False
    return True
