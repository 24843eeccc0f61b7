"""The frame of the page: its document under its policy, addresses, the key, and that what goes wrong is seen."""

import json
import urllib.request

import pytest
from playwright.sync_api import Browser, Page, expect

from kit.browser.axe import serious_findings
from kit.browser.history import RUNS, History, serving_history
from kit.browser.watching import Watched, watched


def test_a_run_has_one_address_for_people_and_programs(history: History, page: Page) -> None:
    address = history.run(RUNS[0])
    page.goto(address)
    expect(page.locator("main")).to_contain_text("try 0")
    assert page.url == address
    with urllib.request.urlopen(address) as response:
        assert json.load(response)["run"]["run"] == RUNS[0]
    page.goto(f"{history.project}/archive/{RUNS[0]}")
    expect(page.locator("main")).to_contain_text("try 0")


def test_an_address_of_nothing_says_so(history: History, page: Page) -> None:
    page.goto(f"{history.url}/-/nothing")
    expect(page.locator("main")).to_contain_text("no such page")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_everybody_can_use_the_frame(history: History, chromium: Browser, scheme: str, width: int) -> None:
    with watched(chromium, color_scheme=scheme, viewport={"width": width, "height": 740}) as (context, _):
        page = context.new_page()
        for address, text in (
            (history.project, "try 1"),
            (history.run(RUNS[0]), "try 0"),
            (f"{history.url}/-/x", "no"),
        ):
            page.goto(address)
            expect(page.locator("main")).to_contain_text(text)
            assert serious_findings(page) == [], address
            overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert overflow <= 0, f"{address} is {overflow} px wider than the window"


def test_scripts_come_from_the_cache_the_second_time(history: History, page: Page) -> None:
    loaded = "() => performance.getEntriesByType('resource').filter((one) => one.name.includes('/-/static/page-'))"
    sent = f"() => ({loaded})().map((one) => one.transferSize)"
    page.goto(history.project)
    page.wait_for_load_state("load")
    assert min(page.evaluate(sent)) > 0
    page.goto(f"{history.url}/-/nothing")
    page.wait_for_load_state("load")
    second = page.evaluate(sent)
    assert second == [0] * len(second) != []


def test_a_server_with_a_key_asks_for_it(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> None:
    key = "0123456789abcdef-key"
    folder = tmp_path_factory.mktemp("keyed")
    with (
        serving_history(folder, {"RUNSTREAM_API_KEYS": key}, key) as history,
        watched(chromium) as (context, problems),
    ):
        page = context.new_page()
        page.goto(history.project)
        page.get_by_label("API key").fill("another-key-that-is-wrong")
        page.get_by_role("button", name="Open").click()
        expect(page.get_by_text("does not know the key")).to_be_visible()
        problems.allow("401", at_least=2)
        page.get_by_label("API key").fill(key)
        page.get_by_role("button", name="Open").click()
        expect(page.locator("main")).to_contain_text("try 1")
        page.reload()
        expect(page.locator("main")).to_contain_text("try 1")
        assert key not in page.url
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("API key")).to_be_visible()
        problems.allow("401")


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("console.error('it went wrong')", "it went wrong"),
        ("setTimeout(() => { throw new Error('nobody caught it') })", "nobody caught it"),
        ("fetch('/api/v1/nothing')", "404"),
        ("fetch('http://127.0.0.1:1/').catch(() => 0)", "Content Security Policy"),
        (
            "document.body.append(Object.assign(document.createElement('img'), {src: 'http://127.0.0.1:1/'}))",
            "Content Sec",
        ),
        ("document.body.append(Object.assign(document.createElement('script'), {text: '1'}))", "TrustedScript"),
        ("document.body.innerHTML = '<b>'", "TrustedHTML"),
    ],
)
def test_what_goes_wrong_in_a_page_is_seen(
    history: History, watch: tuple[Page, Watched], script: str, found: str
) -> None:
    page, problems = watch
    page.goto(f"{history.url}/-/nothing")
    expect(page.locator("main")).to_be_visible()
    problems.check()
    page.evaluate(f"setTimeout(() => {{ {script} }})")
    page.wait_for_function("() => new Promise((done) => setTimeout(() => done(true), 200))")
    with pytest.raises(AssertionError, match=found):
        problems.check()
    problems.allow(found)
    problems.problems.clear()
