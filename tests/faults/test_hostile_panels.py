"""Panels that mean no good: processes that hide, files that are no items, data that would be part of the page."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from runstream.panels import PanelContext, PanelLimits, PanelResult, page_of, run_panel

LIMITS = PanelLimits(timeout_s=20, memory_mb=512)

#: How a process leaves the panel's group. Each writes the ids of what it leaves behind to stdout.
LEAVERS = {
    "setsid": "spawn('import time; time.sleep(600)', start_new_session=True)",
    "double fork": """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print(os.getpid(), flush=True)
        time.sleep(600)
    os._exit(0)
os.wait()
""",
    "without the environment": "spawn('import time; time.sleep(600)', start_new_session=True, env={})",
    "many": "[spawn('import time; time.sleep(600)', start_new_session=True) for _ in range(10)]",
    "deaf": (
        "spawn('import signal, time\\nfor n in (1, 2, 3, 15): signal.signal(n, signal.SIG_IGN)\\ntime.sleep(600)', "
        "start_new_session=True)"
    ),
    "and kills who watches": """
spawn('import time; time.sleep(600)', start_new_session=True)
os.kill(os.getppid(), signal.SIGKILL)
""",
    "and stops nobody from ending it": """
spawn('import time; time.sleep(600)', start_new_session=True)
os.kill(os.getpid(), signal.SIGKILL)
""",
}
PREAMBLE = """
import os, signal, subprocess, sys, time
def spawn(code, **options):
    child = subprocess.Popen([sys.executable, "-S", "-c", code], stdin=subprocess.DEVNULL, **options)
    print(child.pid, flush=True)
"""


def ran(source: str, limits: PanelLimits = LIMITS) -> PanelResult:
    return run_panel(source, PanelContext("default", "p"), url="http://127.0.0.1:9", read_key=None, limits=limits)


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the group is ended, as far as that goes")
@pytest.mark.parametrize("how", LEAVERS)
def test_what_leaves_the_group_ends_with_the_panel(how: str) -> None:
    result = ran(PREAMBLE + LEAVERS[how])
    pids = [int(line) for line in result.stdout.split()]
    assert len(pids) >= 1, (result.status, result.error)
    try:
        assert not [pid for pid in pids if lives(pid)]
    finally:
        for pid in filter(lives, pids):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_what_leaves_the_group_ends_when_time_is_over() -> None:
    result = ran(PREAMBLE + LEAVERS["without the environment"] + "\ntime.sleep(600)", PanelLimits(timeout_s=3))
    assert result.status == "timeout"
    assert not lives(int(result.stdout))


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_panel_does_not_outlive_whoever_runs_it(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    source = f"import os, time\nopen({str(told)!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)"
    program = (
        "from runstream.panels import PanelContext, PanelLimits, run_panel\n"
        f"run_panel({source!r}, PanelContext('d', 'p'), url='http://127.0.0.1:9', limits=PanelLimits(timeout_s=500))\n"
    )
    runner = subprocess.Popen([sys.executable, "-c", program])
    try:
        wait_for(lambda: told.exists() and told.read_text() != "")
    finally:
        runner.kill()
        runner.wait()
    wait_for(lambda: not lives(int(told.read_text())))


def wait_for(condition: Any) -> None:
    end_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.02)


DEEP = "[" * 100_000 + "]" * 100_000
#: What a panel writes into its file of items by itself, and a word of what its page says.
MALFORMED = {
    "no JSON": ("{", "no object"),
    "a list": ("[1]", "no object"),
    "deep": (DEEP, "no object"),
    "deep inside": (
        '{"kind": "table", "columns": [], "total": 1, "rows": [[' + "[" * 500 + "]" * 500 + "]]}",
        "a cell is",
    ),
    "no kind": ('{"text": "x"}', "its kind is missing"),
    "odd kind": ('{"kind": ["text"], "text": "x"}', "its kind is"),
    "unknown kind": ('{"kind": "script", "text": "x"}', 'its kind is "script"'),
    "no text": ('{"kind": "text"}', "text is missing"),
    "a number": ('{"kind": "markdown", "text": 5}', "text is 5, no text"),
    "NaN": ('{"kind": "html", "text": NaN}', "text is NaN, no text"),
    "a huge number": ('{"kind": "text", "text": ' + "9" * 5000 + "}", "no object"),
    "width": ('{"kind": "image", "type": "image/png", "base64": "", "width": "5px"}', "width is"),
    "width of a number too big": ('{"kind": "image", "type": "a", "base64": "", "width": 1e400}', "width is"),
    "image": ('{"kind": "image", "type": 1, "base64": ""}', "type is 1"),
    "table without rows": ('{"kind": "table", "columns": ["a"], "total": 1}', "rows is missing"),
    "rows": ('{"kind": "table", "columns": ["a"], "rows": [1], "total": 1}', "no list of lists"),
    "columns": ('{"kind": "table", "columns": 7, "rows": [], "total": 1}', "columns is 7"),
    "total": ('{"kind": "table", "columns": [], "rows": [], "total": "many"}', "total is"),
    "cells": ('{"kind": "table", "columns": [], "rows": [[{"a": 1}]], "total": 1}', "a cell is"),
    "a wide table": (json.dumps({"kind": "table", "columns": [""] * 600_000, "rows": [], "total": 1}), "at most"),
    "figure": ('{"kind": "plotly", "figure": "alert(1)"}', "figure is no JSON"),
    "figure of a list": ('{"kind": "plotly", "figure": "[1]"}', "no object of data"),
    "deep figure": (json.dumps({"kind": "plotly", "figure": DEEP}), "figure is no JSON"),
    "choices": ('{"kind": "control", "label": "x", "choices": 5, "chosen": []}', "choices is 5"),
    "chosen": ('{"kind": "control", "label": "x", "choices": [], "chosen": "abc"}', "chosen is"),
    "column": ('{"kind": "text", "text": "x", "column": [0, 5, 2]}', "place below count"),
    "a billion columns": ('{"kind": "text", "text": "x", "column": [0, 5, 1000000000]}', "at most 64"),
    "odd column": ('{"kind": "text", "text": "x", "column": "left"}', "column is"),
}


def written(*lines: str) -> PanelResult:
    """The result of a panel that writes these lines as its items."""
    folder = "pathlib.Path(os.environ['RUNSTREAM_PANEL']).parent"
    text = "".join(f"{line}\n" for line in lines)
    source = f"import os, pathlib\n({folder} / 'items.jsonl').write_text({text!r})\n"
    return ran(source)


def test_malformed_items_are_errors_of_the_panel() -> None:
    good = '{"kind": "text", "text": "still here"}'
    result = written(good, *(line for line, _ in MALFORMED.values()), good)
    assert result.status == "failed"
    page = page_of(result, "t")
    assert page.count("still here") == 2
    for number, (name, (_, word)) in enumerate(MALFORMED.items(), start=2):
        told = next((item["text"] for item in result.items if item["text"].startswith(f"Item {number} ")), None)
        assert told is not None, name
        assert word in told, (name, told)
    assert "Item 2 cannot be shown" in result.error
    assert len(result.error) < 10_000


@pytest.mark.parametrize("name", MALFORMED)
def test_a_page_is_made_of_any_items(name: str) -> None:
    try:
        item = json.loads(MALFORMED[name][0])
    except (ValueError, RecursionError):
        item = MALFORMED[name][0]
    page = page_of(PanelResult("ok", "", [item, {"kind": "text", "text": "x"}], "", "", 1.0), "t")
    assert "Item 1 cannot be shown" in page
    assert '<div class="text">x</div>' in page


def test_too_much_of_everything() -> None:
    many = ['{"kind": "note", "text": "n"}'] * 6_000
    result = written(*many)
    assert len(result.items) == 5_001
    assert "1000 more items" in result.items[-1]["text"]
    result = ran("raise ValueError('x' * (3 << 20))")
    assert (result.status, len(result.error) < 200_000) == ("failed", True)


@pytest.mark.parametrize(
    "prepare",
    [
        "os.mkfifo(folder / 'items.jsonl'); os.mkfifo(folder / 'end.json.'); os._exit(0)",
        "os.mkfifo(folder / 'end.json'); os._exit(0)",
        "(folder / 'items.jsonl').symlink_to('/dev/zero'); os._exit(0)",
        "(folder / 'stdout.txt').unlink(); (folder / 'stdout.txt').symlink_to('/dev/zero')",
        "(folder / 'stdout.txt').unlink(); os.mkfifo(folder / 'stdout.txt')",
        "(folder / 'end.json').mkdir(); os._exit(0)",
        "(folder / 'end.json').write_text('[' * 100000); os._exit(0)",
        "(folder / 'end.json').write_text('{\"status\": [], \"error\": 5}'); os._exit(0)",
        '(folder / \'end.json\').write_text(\'{"status": "<b>", "error": ""}\'); os._exit(0)',
        "import shutil; shutil.rmtree(folder); os._exit(0)",
        "sys.stdout.close(); sys.stderr = None",
        "os.chmod(folder / 'home', 0)",
    ],
)
def test_whatever_a_panel_does_to_its_folder(prepare: str) -> None:
    source = f"import os, pathlib, sys\nfolder = pathlib.Path(os.environ['RUNSTREAM_PANEL']).parent\n{prepare}\n"
    result = ran(source)
    assert result.status in ("ok", "killed", "failed")
    assert page_of(result, "t").endswith("</body></html>\n")


#: What would end an element, an attribute, a comment, a text of JavaScript or CSS, or be an address that runs.
BREAKING = [
    *("</script><script>alert(1)</script>", "<!--<script>", "-->", "]]>", "</ScRiPt ><b>", "</script\t>"),
    *("</style><b>", '"><img src=x onerror=alert(1)>', "' onload='alert(1)", '" autofocus onfocus="alert(1)'),
    *("`${alert(1)}`", "\u2028alert(1)\u2029", "\\u003c/script>", "\\", "\\'", '\\"', "'+alert(1)+'", "*/alert(1)/*"),
    *("//\nalert(1)", "javascript:alert(1)", "[x](javascript:alert(1))", "![x](http://127.0.0.1:9/)", "&lt;b&gt;"),
    *("data:text/html,<b>", "</iframe><b>", "</textarea><b>", "</title><b>", "<base href=//x>", "<svg/onload=1>"),
    *("<meta http-equiv=refresh content=0>", "url(http://127.0.0.1:9)", "expression(alert(1))", "}body{display:none}"),
    *("\x00<b>", "\ud800<b>", "<\x00script>", "&#60;b&#62;", "__proto__", "{{7*7}}", "<b", "<", ">", "`**<b>**`"),
    *("# <b>", "- <b>", "**`<b>`**", "x" * 10_000 + "<b>"),
]


def of_every_kind(text: str) -> list[dict[str, Any]]:
    return [
        {"kind": "text", "text": text},
        {"kind": "text", "text": text, "code": True},
        {"kind": "markdown", "text": f"x {text}"},
        {"kind": "note", "text": text},
        {"kind": "html", "text": text},
        {"kind": "image", "type": text, "base64": text},
        {"kind": "table", "columns": [text], "rows": [[text, 1.5]], "total": 1},
        {"kind": "plotly", "figure": json.dumps({"data": [{"name": text}], "layout": {text: text}})},
        {"kind": "control", "label": text, "option": text, "choices": [text, text], "chosen": [text]},
        {"kind": "library", "text": text},
        {"kind": text, "text": text},
        {"kind": "text", "text": "x", "column": text},
    ]


class Skeleton(HTMLParser):
    """The elements of a page with the names of their attributes, and what stands in scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.srcdocs: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(sorted(name for name, _ in attrs))))
        self.srcdocs += [value or "" for name, value in attrs if name == "srcdoc"]

    def handle_comment(self, data: str) -> None:
        self.elements.append(("comment", ()))


@pytest.mark.parametrize("text", BREAKING, ids=lambda text: ascii(text)[:30])
def test_data_does_not_break_out_of_its_place(text: str) -> None:
    def page(content: str) -> str:
        result = PanelResult("failed", content, of_every_kind(content), content, content, 1.0)
        return page_of(result, content, content)

    made = page(text)
    made.encode()
    found, plain = Skeleton(made), Skeleton(page("x"))
    inline = ("strong", "code", "h2", "ul", "li", "p", "br")  # what Markdown may make

    def outer(skeleton: Skeleton) -> list[tuple[str, tuple[str, ...]]]:
        return [element for element in skeleton.elements if element[0] not in inline]

    assert outer(found) == outer(plain)
    assert not [name for _, names in found.elements for name in names if name.startswith("on")]
    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", made, re.DOTALL)
    assert [attributes for attributes, _ in scripts] == [
        ' type="application/json" data-plotly',
        ' type="text/plain" id="library"',
        "",
    ]
    figure = json.loads(scripts[0][1])
    clean = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert figure["data"][0]["name"] in (text, clean)
    for code in (scripts[0][1], scripts[1][1]):
        assert not re.search(r"<!--|</script", code, re.IGNORECASE)
    assert "\u2028" not in scripts[0][1]


def test_the_policy_of_a_page() -> None:
    made = page_of(PanelResult("ok", "", of_every_kind("x"), "", "", 1.0), "t")
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', made)
    assert policy is not None
    assert made.index("Content-Security-Policy") < made.index("<title>") < made.index("<script")
    rules = dict(rule.strip().partition(" ")[::2] for rule in policy[1].split(";"))
    assert (rules["default-src"], rules["form-action"], rules["base-uri"]) == ("'none'", "'none'", "'none'")
    assert not re.search(r"https?:|\*|//", policy[1])
    assert all(sandbox == "allow-scripts" for sandbox in re.findall(r'sandbox="([^"]*)"', made))
