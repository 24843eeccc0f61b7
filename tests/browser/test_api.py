"""The view of the server's interfaces."""

from playwright.sync_api import Page, expect

from kit.browser.axe import serious_findings
from kit.browser.history import History


def test_every_interface_can_be_read(history: History, page: Page) -> None:
    page.goto(f"{history.url}/-/api")
    page.get_by_role("searchbox", name="Find a route").fill("charts post")
    page.get_by_text("/api/v1/charts", exact=True).click()
    expect(page.get_by_role("region", name="Body")).to_contain_text("max_points")
    expect(page.locator(".route-detail pre")).to_contain_text(f"curl '{history.url}/api/v1/charts'")
    assert serious_findings(page) == []
    again = page.url
    page.goto(f"{history.url}/")
    page.goto(again)
    expect(page.get_by_role("region", name="Body")).to_contain_text("max_points")
    page.get_by_role("combobox", name="Whose interface").select_option("comet")
    expect(page.get_by_role("combobox", name="Whose interface")).to_have_value("comet")
    page.get_by_role("searchbox", name="Find a route").fill("")
    expect(page.locator("summary").first).to_be_visible()
