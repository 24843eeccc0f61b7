"""Charts of curves: every extreme is drawn, zoom goes down to the points, by mouse and by keys, tails come live."""

import re
from typing import Any

from playwright.sync_api import Locator, Page, expect

from kit.browser.history import HOSTILE, SPIKE, STEPS, History

#: Whether a picture has anything in the columns around a share of its width, from one share of its height to another.
_IS_PAINTED = """
(canvas, [across, top, bottom]) => {
  const copy = document.createElement("canvas");
  copy.width = canvas.width;
  copy.height = canvas.height;
  const context = copy.getContext("2d");
  context.drawImage(canvas, 0, 0, copy.width, copy.height);
  const left = Math.max(0, Math.floor(across * copy.width) - 2);
  const from = Math.floor(top * copy.height);
  const rows = Math.max(1, Math.ceil((bottom - top) * copy.height));
  return context.getImageData(left, from, 5, rows).data.some((value, at) => at % 4 === 3 && value > 60);
}
"""


def chart_of(page: Page, metric: str) -> Locator:
    """Return the chart of a metric, once it has a picture."""
    chart = page.locator("section.chart").filter(has=page.get_by_role("heading", name=metric, exact=True))
    expect(chart.locator(".chart-fineness")).to_have_text("exact")
    return chart


def summary_of(chart: Locator) -> Locator:
    return chart.locator("p.chart-summary[id]")


def plot_of(chart: Locator) -> dict[str, Any]:
    box = chart.locator(".chart-plot").bounding_box()
    assert box is not None
    return dict(box)


def test_a_spike_of_one_point_is_drawn_at_every_zoom(history: History, page: Page) -> None:
    _, step, value = SPIKE
    page.goto(history.project)
    chart = chart_of(page, "train/loss")
    expect(summary_of(chart)).to_contain_text(f"to {value:g}")
    low, high = 0.0, STEPS - 1.0
    body = chart.locator(".chart-body")
    body.focus()
    for _ in range(5):
        # The axis has a room of 4 % above its highest value.
        painted = chart.locator("canvas").evaluate(_IS_PAINTED, [(step - low) / (high - low), 0.0, 0.1])
        assert painted, f"nothing at step {step} between {low} and {high}"
        body.press("+")
        middle, half = (low + high) / 2, (high - low) / 3.2
        low, high = middle - half, middle + half
        if not low + 1 < step < high - 1:
            break
        expect(summary_of(chart)).to_contain_text(f"to {value:g}")
        page.wait_for_function("() => document.querySelector('.chart-canvas').style.transform === 'none'")
    assert high - low < STEPS / 2
    body.press("Home")
    expect(summary_of(chart)).to_contain_text(f"step from 0 to {STEPS - 1}")


def test_the_mouse_zooms_and_the_tooltip_has_logged_points(history: History, page: Page) -> None:
    page.goto(history.project)
    chart = chart_of(page, "train/loss")
    plot = plot_of(chart)
    y = plot["y"] + plot["height"] / 2
    page.mouse.move(plot["x"] + plot["width"] * 0.25, y)
    page.mouse.down()
    page.mouse.move(plot["x"] + plot["width"] * 0.5, y, steps=4)
    expect(chart.locator(".chart-box")).to_be_visible()
    page.mouse.up()
    expect(summary_of(chart)).to_contain_text(re.compile(r"step from 2[45]\b.* to (49|50)\b"))
    expect(chart.locator(".chart-tooltip")).to_contain_text(HOSTILE)
    assert chart.locator(".chart-tooltip img").count() == 0
    page.mouse.dblclick(plot["x"] + plot["width"] * 0.5, y)
    expect(summary_of(chart)).to_contain_text(f"step from 0 to {STEPS - 1}")


def test_keys_move_one_cursor_in_all_charts(history: History, page: Page) -> None:
    page.goto(history.project)
    chart = chart_of(page, "train/loss")
    body = chart.locator(".chart-body")
    body.focus()
    body.press("ArrowRight")
    expect(chart.locator(".chart-tooltip-head")).to_have_text(re.compile(r"^0\b"))
    body.press("ArrowRight")
    expect(chart.locator(".chart-tooltip-head")).to_have_text(re.compile(r"^1\b"))
    visible = (
        "() => [...document.querySelectorAll('.chart-cursor')].filter((one) => one.style.visibility === 'visible')"
    )
    page.wait_for_function(f"({visible})().length >= 2")
    body.press("Escape")
    expect(chart.locator(".chart-tooltip")).to_have_count(0)


def test_what_no_scale_shows_is_told(history: History, page: Page) -> None:
    page.goto(history.project)
    expect(chart_of(page, "train/loss").locator(".chart-foot")).to_contain_text("NaN in 1 curve")


def test_curves_grow_while_they_are_watched_and_a_zoomed_view_stays(history: History, page: Page) -> None:
    page.goto(history.project)
    chart = chart_of(page, "train/loss")
    history.running.log({"train/loss": 30.0}, step=STEPS + 10)
    expect(summary_of(chart)).to_contain_text(f"step from 0 to {STEPS + 10}")
    expect(summary_of(chart)).to_contain_text("to 30")
    body = chart.locator(".chart-body")
    body.focus()
    body.press("+")
    zoomed = summary_of(chart)
    expect(zoomed).not_to_contain_text("step from 0")
    before = zoomed.inner_text()
    # A second tab hears of the points by the same stream, at the same time.
    other = page.context.new_page()
    other.goto(history.project)
    beside = summary_of(chart_of(other, "train/loss"))
    history.running.log({"train/loss": 40.0}, step=STEPS + 50)
    expect(beside).to_contain_text(f"to {STEPS + 50}")
    assert zoomed.inner_text() == before
    body.press("Home")
    expect(zoomed).to_contain_text(f"to {STEPS + 50}")
