"""`runstream.API` is made of parts; a method of a part that has a name of its own on the API is that method."""

import inspect

import pytest

from runstream.api import API
from runstream.api.forwarding import forward
from runstream.errors import InvalidSetting
from runstream.notices import PROCESS_NOTICES

FORWARDS = {name: value for name, value in vars(API).items() if isinstance(value, forward)}
#: What users call on the API itself since before it had parts.
NAMES = """
add_tags archive artifact artifact_contents artifact_version artifact_versions artifacts assets command create_artifact
create_experiment create_project delete delete_artifact delete_artifact_version download download_artifact environment
experiments history live log_artifact_version move others output parameters projects read_artifact_file remove_tags
rename restore run run_artifacts runs series set_notes summaries update_artifact update_artifact_version workspaces
writers
"""


@pytest.fixture
def api() -> API:
    return API(url="http://127.0.0.1:9", workspace="w", project="p")


@pytest.mark.parametrize("name", NAMES.split())
def test_no_name_of_a_user_is_gone(api: API, name: str) -> None:
    assert callable(getattr(api, name))


@pytest.mark.parametrize("name", FORWARDS)
def test_a_name_of_the_api_is_the_method_of_its_part(api: API, name: str) -> None:
    part = getattr(api, FORWARDS[name].part)
    method = getattr(api, name)
    assert method == getattr(part, method.__name__)
    assert method.__doc__
    # With its arguments, also for `help(API)`, where there is no part yet.
    assert list(inspect.signature(getattr(API, name)).parameters)[1:] == list(inspect.signature(method).parameters)


def test_every_method_of_comets_page_is_on_both(api: API) -> None:
    public = {name for name, _ in inspect.getmembers(api.comet, inspect.ismethod) if name[0] != "_"}
    assert len(public) > 40
    assert {name for name in public if not callable(getattr(api, name, None))} == set()


def test_all_parts_share_one_session(api: API) -> None:
    parts = {id(getattr(api, name)._session) for name in API.__annotations__}
    assert len(parts) == 1


@pytest.mark.parametrize("text", ["host:7070", "localhost:7070", "a.b", "127.0.0.1", "host/path", "k.ey"])
def test_an_address_without_a_scheme_is_refused_with_both_ways_out(text: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        API(text)
    assert f"API('http://{text}'), or API(api_key=...)" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "is_told"),
    [("localhost", True), ("gpu-server1", True), ("Kx7dQ2mN9vB4zL1", False), ("0123456789abcdef" * 3, False)],
)
def test_a_text_alone_is_a_key_and_one_like_a_host_is_told(
    text: str, is_told: bool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PROCESS_NOTICES, "_told", set())
    assert API(text).url == API().url
    assert (f"give API('http://{text}:PORT') if it is a host" in caplog.text) is is_told
    caplog.clear()
    API(url=f"http://{text[:9].lower()}:1", api_key=text)
    assert not caplog.records
