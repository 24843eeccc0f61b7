"""The page of a panel: one file of HTML, which asks no network for anything.

Whatever a panel gives is escaped. HTML of its own, and plotly's figures, stand in frames that share neither origin nor
storage with the page; the page's policy, which frames inherit, forbids every request.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from runstream.panels.checking import checked
from runstream.panels.contents import Item
from runstream.panels.results import PanelResult

_POLICY: Final = (
    "default-src 'none'; img-src data: blob:; media-src data:; font-src data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline' 'unsafe-eval'; worker-src blob:; form-action 'none'; base-uri 'none'; "
    "webrtc 'block'"
)
_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #5b6470; --line: #d8dee4; --back: #ffffff; --card: #f6f8fa;
  --bad: #b3261e; --bad-back: #fdecea; --note-back: #fff6d6; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --soft: #9aa4b0; --line: #30363d; --back: #0f1318;
  --card: #171c22; --bad: #ff8a80; --bad-back: #2c1614; --note-back: #2b2510; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem; max-width: 72rem; background: var(--back); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
header h1 { font-size: 1.35rem; margin: 0; } header p { margin: .1rem 0 1rem; color: var(--soft); }
.controls { display: flex; flex-wrap: wrap; gap: .5rem; margin-bottom: 1rem; }
.control { border: 1px solid var(--line); border-radius: 6px; padding: .25rem .6rem; background: var(--card); }
.control span { color: var(--soft); } .control summary { cursor: pointer; }
.control ul { margin: .3rem 0; padding-left: 1.1rem; max-height: 14rem; overflow: auto; }
.columns { display: flex; flex-wrap: wrap; gap: 1rem; } .columns > div { flex: 1 1 18rem; min-width: 0; }
.item { margin: 0 0 1rem; } .text { white-space: pre-wrap; overflow-wrap: anywhere; }
pre, code { font: 13px/1.45 ui-monospace, monospace; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: .7rem; overflow: auto;
  margin: 0; max-height: 40rem; }
img, video { max-width: 100%; height: auto; background: #fff; border-radius: 6px; } img.cell { max-height: 4rem; }
iframe { width: 100%; height: 28rem; border: 0; background: #fff; border-radius: 6px; color-scheme: light; }
.scroll { overflow: auto; max-height: 40rem; width: fit-content; max-width: 100%;
  border: 1px solid var(--line); border-radius: 6px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; text-align: left; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { position: sticky; top: 0; background: var(--card); } td.number { text-align: right; }
.note { background: var(--note-back); border-radius: 6px; padding: .4rem .7rem; }
.error { background: var(--bad-back); border-left: 4px solid var(--bad); border-radius: 6px; padding: .7rem 1rem; }
.error h2 { color: var(--bad); margin: 0 0 .4rem; font-size: 1rem; } .error pre { background: transparent; border: 0;
  padding: 0; }
details.printed { margin-top: 1rem; } details.printed > summary { color: var(--soft); cursor: pointer; }
footer { margin-top: 1.5rem; color: var(--soft); font-size: .85rem; }
"""
#: In the page: makes frames (plotly's code is in the page once) and gives them the height of their content.
_SCRIPT: Final = """
(() => {
  const library = document.getElementById("library");
  for (const data of document.querySelectorAll("script[data-plotly]")) {
    const frame = document.createElement("iframe");
    frame.setAttribute("sandbox", "allow-scripts");
    frame.title = "figure";
    frame.srcdoc = "<!doctype html><meta charset=utf-8><style>html,body{margin:0;height:100%}</style>" +
      "<div id=figure style='height:100%'></div><script>" + library.textContent + "<\\/script><script>const f = " +
      data.textContent + ";Plotly.newPlot('figure', f.data, f.layout, {responsive: true, displaylogo: false});" +
      "<\\/script>";
    data.replaceWith(frame);
  }
  addEventListener("message", (event) => {
    for (const frame of document.querySelectorAll("iframe")) {
      if (frame.contentWindow === event.source && Number.isFinite(event.data)) {
        frame.style.height = Math.min(Math.max(event.data, 24), 20000) + "px";
      }
    }
  });
})();
"""
#: In a frame of HTML: says how tall it is.
_MEASURE: Final = (
    "<script>new ResizeObserver(() => parent.postMessage(document.documentElement.offsetHeight, '*'))"
    ".observe(document.documentElement)</script>"
)
#: Cells of tables that are shown as images.
_IMAGE_DATA: Final = ("data:image/png;base64,", "data:image/jpeg;base64,", "data:image/webp;base64,")
_TITLES: Final = {
    "failed": "The panel raised an error",
    "timeout": "The panel took too long",
    "memory": "The panel took too much memory",
    "killed": "The panel ended before its time",
}


def page_of(result: PanelResult, title: str, about: str = "") -> str:
    """The whole page: title, choices, what was displayed in its order, what went wrong, what was printed."""
    items = [checked(item, number) for number, item in enumerate(result.items, start=1)]
    controls = [item for item in items if item["kind"] == "control"]
    shown = _placed([item for item in items if item["kind"] not in ("control", "library")])
    parts = [
        f"<header><h1>{_text(title)}</h1><p>{_text(about)}</p></header>",
        f'<div class="controls">{"".join(map(_control, controls))}</div>' if controls else "",
        *(f'<section class="item">{part}</section>' for part in shown if part),
        "" if result.ok else _error(result.status, result.error),
        "" if shown or not result.ok else '<p class="note">The panel displayed nothing.</p>',
        _printed("Printed", result.stdout),
        _printed("Printed to stderr", result.stderr),
        f"<footer>{'Done' if result.ok else 'Ended'} after {result.wall_s:.1f} s</footer>",
        _library(items),
        f"<script>{_SCRIPT}</script>",
    ]
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width"><title>{_text(title)}</title><style>{_STYLE}</style>'
    )
    page = (
        f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n'
        + "\n".join(filter(None, parts))
        + "\n</body></html>\n"
    )
    return page.encode("utf-8", "replace").decode()  # without lone surrogates, which no file holds


def _text(value: Any) -> str:
    return html.escape(str(value), quote=True)


def _control(item: Item) -> str:
    chosen = ", ".join(map(str, item.get("chosen", ()))) or "nothing"
    choices = item.get("choices", ())
    label = f"<span>{_text(item.get('label', ''))}</span> {_text(chosen)}"
    if len(choices) < 2:
        return f'<div class="control">{label}</div>'
    listed = "".join(f"<li>{_text(choice)}</li>" for choice in choices)
    return f'<details class="control"><summary>{label}</summary><ul>{listed}</ul></details>'


def _placed(items: Sequence[Item]) -> list[str]:
    """The items in their order; those of a row of columns side by side, where the first of them stands."""
    rows: dict[int, list[list[str]]] = {}
    weights: dict[int, list[float]] = {}
    places: list[str | int] = []
    for item in items:
        if "column" not in item:
            places.append(_shown(item))
            continue
        row, place, count = item["column"]
        if row not in rows:
            rows[row], weights[row] = [[] for _ in range(count)], [1.0] * count
            places.append(row)
        rows[row][place].append(_shown(item))
        weights[row][place] = item.get("weight", 1.0)
    return [place if isinstance(place, str) else _columns(rows[place], weights[place]) for place in places]


def _columns(columns: Sequence[Sequence[str]], weights: Sequence[float]) -> str:
    parts = ("".join(f'<section class="item">{one}</section>' for one in column) for column in columns)
    made = (f'<div style="flex-grow:{weight:g}">{part}</div>' for part, weight in zip(parts, weights, strict=True))
    return f'<div class="columns">{"".join(made)}</div>'


def _shown(item: Item) -> str:
    made = _SHOWN.get(str(item.get("kind")))
    return "" if made is None else made(item)


def _plain(item: Item) -> str:
    return f"<pre>{_text(item['text'])}</pre>" if item.get("code") else f'<div class="text">{_text(item["text"])}</div>'


def _note(item: Item) -> str:
    return f'<p class="note">{_text(item["text"])}</p>'


def _image(item: Item) -> str:
    width = f' width="{int(item["width"])}"' if "width" in item else ""
    return f'<img alt="figure"{width} src="data:{_text(item["type"])};base64,{_text(item["base64"])}">'


def _video(item: Item) -> str:
    return f'<video controls src="data:{_text(item["type"])};base64,{_text(item["base64"])}"></video>'


def _audio(item: Item) -> str:
    return f'<audio controls src="data:{_text(item["type"])};base64,{_text(item["base64"])}"></audio>'


def _frame(item: Item) -> str:
    content = f"<!doctype html><meta charset=utf-8>{item['text']}{_MEASURE}"
    return f'<iframe sandbox="allow-scripts" title="HTML of the panel" srcdoc="{_text(content)}"></iframe>'


def _plotly(item: Item) -> str:
    # Parsed and written again: it is JSON and nothing else, and nothing in it ends the element.
    return (
        f'<script type="application/json" data-plotly>{_inside_script(json.dumps(json.loads(item["figure"])))}</script>'
    )


def _library(items: Sequence[Item]) -> str:
    found = next((item["text"] for item in items if item.get("kind") == "library"), None)
    return "" if found is None else f'<script type="text/plain" id="library">{_without_end(found)}</script>'


def _inside_script(encoded: str) -> str:
    return encoded.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _without_end(code: str) -> str:
    """JavaScript that no element is ended by: in its texts and patterns `<\\/` is `</`."""
    return re.sub(r"</(?=script)|<(?=!--)", lambda match: match[0].replace("<", "\\x3c"), code, flags=re.IGNORECASE)


def _table(item: Item) -> str:
    head = "".join(f"<th>{_text(name)}</th>" for name in item["columns"])
    linked = [name in item.get("links", ()) for name in item["columns"]]
    rows = "".join(
        f"<tr>{''.join(_cell(cell, at < len(linked) and linked[at]) for at, cell in enumerate(row))}</tr>"
        for row in item["rows"]
    )
    left_out = item["total"] - len(item["rows"])
    more = f'<p class="note">{left_out} more rows are not shown</p>' if left_out > 0 else ""
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>{more}'


def _cell(value: Any, is_link: bool) -> str:
    if is_link and isinstance(value, str) and value.startswith(("https://", "http://")):
        return f'<td><a href="{_text(value)}" target="_blank" rel="noopener noreferrer">{_text(value)}</a></td>'
    if isinstance(value, str) and value.startswith(_IMAGE_DATA):
        return f'<td><img alt="" class="cell" src="{_text(value)}"></td>'
    if isinstance(value, int | float):
        shown = f"{value:.6g}" if isinstance(value, float) else str(value)
        return f'<td class="number" title="{_text(value)}">{_text(shown)}</td>'
    return f"<td>{_text(value)}</td>"


def _markdown(item: Item) -> str:
    """Headings, lists and paragraphs with `code` and **bold**, over escaped text."""
    blocks = re.split(r"\n\s*\n", str(item["text"]).strip())
    return "".join(_block(block.split("\n")) for block in blocks)


def _block(lines: Sequence[str]) -> str:
    made: list[str] = []
    listed: list[str] = []
    plain: list[str] = []

    def close() -> None:
        if listed:
            made.append(f"<ul>{''.join(f'<li>{one}</li>' for one in listed)}</ul>")
        if plain:
            made.append(f"<p>{'<br>'.join(plain)}</p>")
        listed.clear()
        plain.clear()

    for line in lines:
        heading = re.match(r"(#{1,4})\s+(.*)", line)
        point = re.match(r"\s*[-*]\s+(.*)", line)
        if heading:
            close()
            level = len(heading[1]) + 1
            made.append(f"<h{level}>{_inline(heading[2])}</h{level}>")
        elif point:
            if plain:
                close()
            listed.append(_inline(point[1]))
        else:
            if listed:
                close()
            plain.append(_inline(line))
    close()
    return "".join(made)


def _inline(text: str) -> str:
    escaped = re.sub(r"`([^`]+)`", r"<code>\1</code>", _text(text))
    return re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", escaped)


def _error(status: str, error: str) -> str:
    return (
        f'<section class="item error"><h2>{_text(_TITLES.get(status, status))}</h2><pre>{_text(error)}</pre></section>'
    )


def _error_item(item: Item) -> str:
    return f'<p class="error">{_text(item["text"])}</p>'


def _printed(title: str, text: str) -> str:
    if not text.strip():
        return ""
    return f'<details class="printed" open><summary>{title}</summary><pre>{_text(text)}</pre></details>'


_SHOWN: Final[Mapping[str, Callable[[Item], str]]] = {
    "text": _plain,
    "markdown": _markdown,
    "html": _frame,
    "image": _image,
    "video": _video,
    "audio": _audio,
    "table": _table,
    "plotly": _plotly,
    "note": _note,
    "error": _error_item,
}
