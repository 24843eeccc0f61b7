"""Nothing that a page of another site can have a browser send changes anything; programs and our own pages can."""

from dataclasses import replace

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from runstream_service.origins import Facts, facts_of, judge, judge_request

HOST = "127.0.0.1:7070"
OWN = f"http://{HOST}"
FOREIGN = [
    "https://evil.example",
    "http://127.0.0.1:8080",
    "http://localhost:7070",
    "null",
    "",
    "http://[::1",
    "file://",
]
FOREIGN += ["chrome-extension://abcdef", "http://evil.example:7070", f"http://{HOST}.evil.example", f"ftp://{HOST}"]
FORMS = [
    "text/plain",
    "text/plain; application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
]
REPORTS = [
    "application/csp-report",
    "application/reports+json",
    "text/ping",
    "application/ocsp-request",
    "TEXT/PLAIN",
    "",
    None,
]
MODES = ["navigate", "no-cors", "cors", "same-origin", "websocket", "", None]
DESTS = ["document", "iframe", "image", "script", "empty", "object", "embed", "report", "worker", "style", "", None]

#: What a page of another site can have a browser of today send, by any means: links, images, forms, fetch, beacons.
of_other_pages = st.builds(
    Facts,
    method=st.sampled_from(["GET", "HEAD", "POST"]),
    path=st.just("/x"),
    writes=st.just(True),
    is_open=st.booleans(),
    hosts=st.just((HOST,)),
    content_type=st.sampled_from([*FORMS, *REPORTS]),
    site=st.sampled_from(["cross-site", "same-site", "none", "Cross-Site", "whatever", "same-origin, cross-site", ""]),
    mode=st.sampled_from(MODES),
    dest=st.sampled_from(DESTS),
    origin=st.sampled_from([*FOREIGN, None]),
    referer=st.sampled_from(["https://evil.example/x", "http://localhost:7070/", f"https://evil.example/{OWN}/", None]),
)


@given(of_other_pages)
def test_no_page_of_another_site_writes(facts: Facts) -> None:
    problem = judge(facts)
    assert problem is not None
    assert problem.status == 403


@given(of_other_pages)
def test_nor_does_one_in_a_browser_of_before_those_headers_where_no_key_is_asked_for(facts: Facts) -> None:
    """HEAD changes nothing, whatever the route."""
    method = "GET" if facts.method == "HEAD" else facts.method
    assert (
        judge(replace(facts, site=None, mode=None, dest=None, is_open=True, method=method, is_browser=True)) is not None
    )


@given(of_other_pages)
def test_what_another_page_reads_is_a_link_that_is_followed_in_a_tab(facts: Facts) -> None:
    problem = judge(replace(facts, writes=False))
    is_link = (facts.mode, facts.dest) == ("navigate", "document") and facts.method != "POST"
    if problem is None and (facts.site or "").strip().lower() != "none":
        assert is_link


@given(of_other_pages, st.sampled_from(["navigate", "no-cors", "websocket"]), st.sampled_from([None, OWN]))
def test_our_own_pages_do_not_write_by_links_images_and_forms(facts: Facts, mode: str, origin: str | None) -> None:
    assert judge(replace(facts, site="same-origin", mode=mode, origin=origin)) is not None


own_scripts = st.builds(
    Facts,
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    path=st.just("/x"),
    writes=st.booleans(),
    is_open=st.booleans(),
    hosts=st.just((HOST,)),
    content_type=st.sampled_from(["application/json", *FORMS, None]),
    site=st.just("same-origin"),
    mode=st.sampled_from(["cors", "same-origin"]),
    dest=st.just("empty"),
    origin=st.sampled_from([OWN, None]),
    referer=st.sampled_from([f"{OWN}/page", None]),
)


@given(own_scripts)
def test_our_own_pages_write_from_scripts(facts: Facts) -> None:
    assert judge(facts) is None


PROGRAM = Facts("POST", "/x", True, True, (HOST,))


@pytest.mark.parametrize(
    ("facts", "is_let_in"),
    [
        (replace(PROGRAM, content_type="application/json"), True),
        (replace(PROGRAM, content_type="application/json; charset=utf-8"), True),
        (replace(PROGRAM, content_type="application/vnd.runstream.frames"), True),
        (replace(PROGRAM, method="PUT"), True),
        (replace(PROGRAM, method="GET", is_marked=True), True),
        (replace(PROGRAM, is_marked=True, content_type=FORMS[-1]), True),
        (PROGRAM, True),
        (replace(PROGRAM, is_browser=True), False),
        (replace(PROGRAM, is_browser=True, content_type="application/json"), True),
        (replace(PROGRAM, method="GET"), False),
        (replace(PROGRAM, content_type=FORMS[-1]), True),
        (replace(PROGRAM, content_type=FORMS[-1], is_browser=True), False),
        (replace(PROGRAM, content_type=FORMS[-1], origin="null"), False),
        (replace(PROGRAM, method="GET", writes=False), True),
        (replace(PROGRAM, is_open=False), True),
        # A proxy before a server with keys may call it otherwise; the key is what counts then.
        (replace(PROGRAM, is_open=False, is_marked=True, origin="https://tracker.example.com"), True),
        (
            replace(PROGRAM, is_open=False, site="same-origin", mode="cors", dest="empty", origin="https://t.example"),
            True,
        ),
        (replace(PROGRAM, is_open=False, method="GET", writes=False, referer="https://wiki.example/page"), True),
        (replace(PROGRAM, is_open=True, method="GET", writes=False, referer="https://wiki.example/page"), False),
        (replace(PROGRAM, is_marked=True, origin=f"https://{HOST}"), True),
        (replace(PROGRAM, is_marked=True, origin="https://evil.example"), False),
        (replace(PROGRAM, is_marked=True, hosts=("[::1]:7070",), origin="http://[::1]:7070"), True),
        (replace(PROGRAM, is_marked=True, hosts=("proxy:80", "t.example"), origin="https://t.example"), True),
        (replace(PROGRAM, method="GET", site="none", mode="navigate", dest="document"), False),
        (replace(PROGRAM, method="GET", site="none", mode="navigate", dest="document", writes=False), True),
        (replace(PROGRAM, method="GET", site="cross-site", mode="navigate", dest="document", writes=False), True),
        (replace(PROGRAM, method="GET", site="cross-site", mode="navigate", dest="iframe", writes=False), False),
        (replace(PROGRAM, method="GET", site="same-site", mode="cors", dest="empty", writes=False), False),
    ],
)
def test_the_table_of_decisions(facts: Facts, is_let_in: bool) -> None:
    assert (judge(facts) is None) == is_let_in


@given(of_other_pages)
def test_with_keys_what_says_nothing_of_its_origin_is_for_the_keys_to_judge(facts: Facts) -> None:
    assert judge(replace(facts, site=None, origin=None, referer=None, is_open=False)) is None


#: Headers that a decision may depend on, each with values of all its kinds; every request has some of them.
of_any_headers = st.fixed_dictionaries(
    {},
    optional={
        "Sec-Fetch-Site": st.sampled_from(["same-origin", "none", "cross-site", ""]),
        "Sec-Fetch-Mode": st.sampled_from(["navigate", "cors"]),
        "Sec-Fetch-Dest": st.sampled_from(["document", "empty", ""]),
        "Origin": st.sampled_from([OWN, *FOREIGN]),
        "Referer": st.sampled_from([f"{OWN}/", "https://evil.example/"]),
        "Content-Type": st.sampled_from(
            [*FORMS, *filter(None, REPORTS), "application/json", "Application/JSON ; charset=utf-8", " "]
        ),
        "User-Agent": st.sampled_from(["Mozilla/5.0", "python-requests/2", ""]),
        "Authorization": st.sampled_from(["Bearer x", "Basic x", ""]),
        "Runstream-Client": st.just("runstream"),
    },
)


@given(of_any_headers, st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE"]), st.booleans(), st.booleans())
def test_a_request_is_judged_by_all_its_facts(
    headers: dict[str, str], method: str, writes: bool, is_open: bool
) -> None:
    """The shorter way for requests that do not tell their origin decides as the whole table does."""
    request = make_mocked_request(method, "/x", headers=headers)
    short = judge_request(request, writes=writes, is_open=is_open, hosts=(HOST,))
    whole = judge(facts_of(request, writes=writes, is_open=is_open, hosts=(HOST,)))
    assert (short and (short.kind, short.detail)) == (whole and (whole.kind, whole.detail))
