"""The address of a run's page, which everything that shows a run points to."""

from types import SimpleNamespace
from typing import Any

import pytest

import runstream as rs
from runstream.addresses import page_of_run
from runstream.api.views.comet_experiment import CometExperiment


@pytest.mark.parametrize("archived", [False, True])
def test_a_page_and_its_run(archived: bool) -> None:
    address = page_of_run("http://h:1", "my team", "a/b", "r-1", archived=archived)
    assert address == f"http://h:1/my%20team/a%2Fb/{'archive/' if archived else ''}r-1"


def test_all_point_to_one_address(tmp_path: Any) -> None:
    run = rs.init("digits", run_id="r-1", workspace="team", mode="offline", dir=tmp_path, url="http://h:1")
    view: Any = SimpleNamespace(
        api=SimpleNamespace(url="http://h:1"), workspace="team", project="digits", run="r-1", archived=False
    )
    assert run.url == CometExperiment.url.fget(view) == "http://h:1/team/digits/r-1"  # type: ignore[attr-defined]


def test_a_notebook_shows_where_a_run_is() -> None:
    run = rs.init("<b>", "<i>", "r-1", mode="disabled", url="http://h:1")
    assert run._repr_html_() == "run <strong>&lt;i&gt;</strong> in default/&lt;b&gt; (disabled)"
