"""What panels display, as items and as a page: everything is escaped, and nothing is fetched."""

import dataclasses
import html.parser
import json
import re
from typing import Any

import matplotlib
import pandas as pd
import plotly.graph_objects as go
import pyarrow as pa
import pytest

from runstream.errors import Invalid
from runstream.panels import PanelResult, page_of
from runstream.panels.contents import MAX_ROWS, item_of

EVIL = '"><script>alert(1)</script><img src=x onerror=alert(2)>&amp;\u2028'


class Elements(html.parser.HTMLParser):
    """The elements and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page(*items: dict[str, Any], **changes: Any) -> Elements:
    result = PanelResult(items=items, status="ok", error="", stdout="", stderr="", wall_s=0.1)
    return Elements(page_of(dataclasses.replace(result, **changes), EVIL, EVIL))


def test_whatever_a_panel_gives_is_escaped() -> None:
    control = {"kind": "control", "label": EVIL, "choices": [EVIL, "b"], "chosen": [EVIL]}
    table = {"kind": "table", "columns": [EVIL], "rows": [[EVIL]], "total": 1}
    image = {"kind": "image", "type": EVIL, "base64": EVIL}
    texts = [{"kind": kind, "text": f"# {EVIL}\n- `{EVIL}`"} for kind in ("text", "markdown", "note", "html")]
    shown = page(control, table, image, *texts, status="failed", error=EVIL, stdout=EVIL, stderr=EVIL)
    assert len(shown.of("script")) == 1, "the page's own"
    assert [sorted(attributes) for attributes in shown.of("img")] == [["alt", "src"]]
    [frame] = shown.of("iframe")
    assert frame["sandbox"] == "allow-scripts", "its own origin: neither the page nor its storage is in reach"
    assert EVIL in (frame["srcdoc"] or "")
    assert not any(name.startswith("on") for _, attributes in shown.elements for name in attributes)


def test_a_page_may_fetch_nothing() -> None:
    shown = page({"kind": "html", "text": "<p>x</p>"}, {"kind": "library", "text": "1"}, {"kind": "text", "text": "x"})
    policy = next(one["content"] for one in shown.of("meta") if one.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    assert not re.search(r"https?:|\*", policy)
    assert not any(name in attributes for _, attributes in shown.elements for name in ("src", "href"))


def test_plotly_is_in_the_page_once_and_cannot_end_its_element() -> None:
    figures = [item_of(go.Figure(go.Scatter(y=[1, 3, 2], name="</script><b>"))) for _ in range(2)]
    library = {"kind": "library", "text": "let a = '</script>', b = /<!--/; //" + EVIL}
    shown = page(library, *figures)
    assert [set(one) for one in shown.of("script")] == [{"type", "data-plotly"}] * 2 + [{"type", "id"}, set()]
    assert shown.of("b") == []
    given = [json.loads(text) for text in shown.texts if text.startswith("{")]
    assert [one["data"][0]["name"] for one in given] == ["</script><b>"] * 2


def test_figures_become_images() -> None:
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots()
    axes.plot([1, 2, 3])
    for thing in (figure, axes, pyplot):
        item = item_of(thing)
        assert (item["kind"], item["type"]) == ("image", "image/png")
    pyplot.close(figure)


def test_tables_of_all_kinds() -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": [0.5, None], "c": ["<x>", None]}, index=["r", "s"])
    wanted = {"kind": "table", "columns": ["", "a", "b", "c"], "total": 2}
    assert item_of(frame) == wanted | {"rows": [["r", 1, 0.5, "<x>"], ["s", 2, "nan", item_of(frame)["rows"][1][3]]]}
    assert item_of(frame["a"])["columns"] == ["", "a"]
    assert item_of(pa.table({"a": [1], "b": ["x"]})) == {
        "kind": "table",
        "columns": ["a", "b"],
        "rows": [[1, "x"]],
        "total": 1,
    }
    long = item_of(pd.DataFrame({"a": range(MAX_ROWS + 5)}))
    assert (len(long["rows"]), long["total"]) == (MAX_ROWS, MAX_ROWS + 5)
    assert "5 more rows are not shown" in page(long).texts


def test_other_things() -> None:
    assert item_of({"a": [1, None]})["text"] == '{\n  "a": [\n    1,\n    null\n  ]\n}'
    assert item_of(b"\x89PNG\r\n\x1a\n...")["type"] == "image/png"
    with pytest.raises(Invalid, match="no PNG"):
        item_of(b"BM....")

    class Shown:
        def _repr_html_(self) -> str:
            return "<b>x</b>"

    assert item_of(Shown()) == {"kind": "html", "text": "<b>x</b>"}
    assert item_of(3)["text"] == "3"


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("# A\nb **c** `d`\n\n* e\n- f", ["h2", "p", "strong", "code", "ul", "li", "li"]),
        ("plain <i>x</i>", ["p"]),
        ("a\n- b\nc", ["p", "ul", "li", "p"]),
    ],
)
def test_markdown_knows_a_few_forms_and_no_html(text: str, tags: list[str]) -> None:
    shown = page({"kind": "markdown", "text": text})
    known = {"h2", "p", "strong", "code", "ul", "li", "i"}
    elements = [tag for tag, _ in shown.elements]
    begin = elements.index("section")
    assert [tag for tag in elements[begin:] if tag in known] == tags


def test_columns_stand_side_by_side_where_the_first_of_them_is() -> None:
    def text(name: str, *column: int) -> dict[str, Any]:
        return {"kind": "text", "text": name} | ({"column": list(column)} if column else {})

    shown = page(text("a"), text("b", 0, 1, 2), text("c"), text("d", 0, 0, 2), text("e", 0, 1, 2))
    assert [one for one in shown.texts if one in "abcde"] == ["a", "d", "b", "e", "c"]
    assert len([one for one in shown.of("div") if one.get("class") == "columns"]) == 1
