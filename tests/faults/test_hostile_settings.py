"""A settings file that somebody else wrote, or a program that was downloaded, decides where no key goes."""

import os
import pickle
import stat
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import runstream as rs
from runstream.errors import InvalidSetting
from runstream.private import NotPrivate, check_root, make_root, make_tight
from runstream.settings import Settings, SettingValues, origin_of, resolve_settings

KEY = "a-secret-key-of-somebody"
MINE, THEIRS = "https://mine.example", "https://theirs.example:7070"
OTHER_USER = 54_321
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")


class Places:
    """A home, and a working directory elsewhere."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.work = folder / "project" / "deep"
        self.work.mkdir(parents=True)
        self.near = self.work.parent / ".runstream.toml"
        self.user = self.home / ".config" / "runstream" / "config.toml"
        self.user.parent.mkdir(parents=True)

    def resolve(self, environ: dict[str, str] | None = None, **arguments: Any) -> Settings:
        return resolve_settings(arguments, environ or {}, self.work, self.home)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path)


def key_of(settings: Settings) -> str | None:
    key = settings.values.api_key
    return key.get_secret_value() if key is not None else None


def test_a_file_in_the_tree_gets_no_key_from_elsewhere(places: Places) -> None:
    places.near.write_text(f'url = "{THEIRS}"')
    for environ, arguments, step in (
        ({"RUNSTREAM_API_KEY": KEY}, {}, f"set RUNSTREAM_URL={THEIRS}"),
        ({}, {"api_key": KEY}, f"--url {THEIRS}"),
    ):
        with pytest.raises(InvalidSetting) as caught:
            places.resolve(environ, **arguments)
        assert step in str(caught.value)
        assert str(places.near) in str(caught.value)
        assert KEY not in str(caught.value)
    for own in ("", f'url = "{MINE}"\n'):
        places.user.write_text(f'{own}api_key = "{KEY}"')
        with pytest.raises(InvalidSetting, match=str(places.user)):
            places.resolve()


def test_whoever_gave_the_key_may_name_that_server_too(places: Places) -> None:
    places.near.write_text(f'url = "{THEIRS}"\nproject = "p"')
    assert key_of(places.resolve({"RUNSTREAM_API_KEY": KEY, "RUNSTREAM_URL": THEIRS + "/"})) == KEY
    assert key_of(places.resolve({"RUNSTREAM_API_KEY": KEY}, url=THEIRS)) == KEY
    places.user.write_text(f'url = "{THEIRS}"\napi_key = "{KEY}"')
    assert key_of(places.resolve()) == KEY
    places.near.write_text(f'url = "{THEIRS}"\napi_key = "its own key"'.replace("its own key", "its-own-key"))
    assert key_of(places.resolve()) == "its-own-key"
    places.near.write_text('project = "p"')
    assert key_of(places.resolve()) == KEY
    assert key_of(places.resolve({"RUNSTREAM_API_KEY": "another"})) == "another"


@pytest.mark.parametrize("url", [MINE.replace("https", "http"), MINE + ":8443", "https://evil.mine.example", THEIRS])
def test_a_key_that_was_given_with_an_address_goes_to_no_other(places: Places, url: str) -> None:
    environ = {"RUNSTREAM_URL": MINE, "RUNSTREAM_API_KEY": KEY}
    for settings in (places.resolve(environ, url=url),):
        assert (settings.values.url, key_of(settings)) == (url, None)
        [note] = settings.notes
        assert MINE in note
        assert url in note
        assert settings.origin("api_key").startswith("not used: that of environment RUNSTREAM_API_KEY")
    assert key_of(places.resolve(environ, url=MINE + ":443/prefix")) == KEY
    places.user.write_text(f'url = "{url}"\napi_key = "the-one-for-it"')
    assert key_of(places.resolve(environ, url=url)) == "the-one-for-it"


def test_the_password_of_kafka_goes_to_no_brokers_of_a_file_in_the_tree(places: Places) -> None:
    places.near.write_text('ingest = "kafka://evil:9092/runstream"')
    environ = {"RUNSTREAM_KAFKA_SASL_PASSWORD": "secret"}
    with pytest.raises(InvalidSetting, match="RUNSTREAM_INGEST=kafka://evil:9092/runstream"):
        places.resolve(environ)
    assert places.resolve({**environ, "RUNSTREAM_INGEST": "kafka://mine:9092/runstream"}).values.ingest
    assert places.resolve().values.ingest == "kafka://evil:9092/runstream"


@needs_root
@pytest.mark.parametrize("what", ["file", "directory", "link", "home"])
def test_a_file_of_another_user_is_refused(places: Places, what: str) -> None:
    path = places.user if what == "home" else places.near
    path.write_text(f'url = "{THEIRS}"\napi_key = "their-own-key"')
    if what == "link":
        path.rename(path.with_name("target"))
        path.symlink_to("target")
    changed = path.parent if what == "directory" else path
    os.chown(changed, OTHER_USER, OTHER_USER, follow_symlinks=False)
    with pytest.raises(InvalidSetting) as caught:
        places.resolve()
    for part in (str(path), f"belongs to user {OTHER_USER}", "chown", f"RUNSTREAM_TRUST_FILES={path}"):
        assert part in str(caught.value)
    assert places.resolve({"RUNSTREAM_TRUST_FILES": f"/x:{path}"}).values.url == THEIRS


@needs_root
def test_the_target_of_a_link_is_looked_at_too(places: Places, tmp_path: Path) -> None:
    target = tmp_path / "target.toml"
    target.write_text(f'url = "{THEIRS}"')
    places.near.symlink_to(target)
    assert places.resolve().values.url == THEIRS
    os.chown(target, OTHER_USER, OTHER_USER)
    with pytest.raises(InvalidSetting, match="belongs to user"):
        places.resolve()


@pytest.mark.parametrize("mode", [0o666, 0o646, 0o602])
def test_a_file_that_everybody_can_write_is_refused(places: Places, mode: int) -> None:
    for path in (places.near, places.user):
        path.write_text('project = "p"')
        path.chmod(mode)
        with pytest.raises(InvalidSetting, match=r"can be written by every user.*chmod go-w"):
            places.resolve()
        path.chmod(0o644)
    assert places.resolve().values.project == "p"


@needs_root
def test_a_file_that_another_group_can_write_is_refused(places: Places) -> None:
    places.near.write_text('project = "p"')
    os.chown(places.near, 0, OTHER_USER)
    places.near.chmod(0o664)
    with pytest.raises(InvalidSetting, match=f"can be written by the group {OTHER_USER}"):
        places.resolve()


def test_a_file_in_a_directory_that_everybody_can_write(places: Places) -> None:
    places.near.write_text('project = "p"')
    places.near.parent.chmod(0o777)
    settings = places.resolve()
    assert settings.values.project == "default"
    assert "lies in" in settings.notes[0]
    in_work = resolve_settings
    with pytest.raises(InvalidSetting, match="can be written by every user"):
        in_work({}, {}, places.near.parent, places.home)
    places.near.parent.chmod(0o1777)  # as /tmp: nobody can replace what is ours
    assert places.resolve().values.project == "p"


@needs_root
def test_who_writes_into_tmp_keeps_nobody_from_starting_a_run(places: Places) -> None:
    places.near.write_text(f'url = "{THEIRS}"')
    os.chown(places.near, OTHER_USER, OTHER_USER)
    places.near.parent.chmod(0o1777)
    settings = places.resolve({"RUNSTREAM_API_KEY": KEY})
    assert (settings.values.url, key_of(settings)) == ("http://127.0.0.1:7070", KEY)
    assert f"belongs to user {OTHER_USER}" in settings.notes[0]


@pytest.mark.parametrize("kind", ["fifo", "directory", "device"])
def test_what_is_no_file_is_passed_over(places: Places, kind: str) -> None:
    match kind:
        case "fifo":
            os.mkfifo(places.near)
        case "directory":
            places.near.mkdir()
        case _:
            places.near.symlink_to("/dev/zero")
    assert places.resolve().values.project == "default"


@pytest.mark.parametrize("text", ["x" * 2_000_000, "a = " + "[" * 50_000, 'url = "http://\\u0007"', 'api_key = "a b"'])
def test_a_file_of_nonsense_is_named(places: Places, text: str) -> None:
    places.near.write_text(text)
    with pytest.raises(InvalidSetting) as caught:
        places.resolve()
    assert str(places.near) in str(caught.value)
    assert len(str(caught.value)) < 5_000


@pytest.mark.parametrize(
    "url", ["http://host:99999", "http://[::1", "http://:80", "https://a b", "http://a\n", "http://"]
)
def test_an_address_that_no_request_can_be_sent_to_is_refused_at_once(places: Places, url: str) -> None:
    with pytest.raises(InvalidSetting, match="setting url"):
        places.resolve(url=url)


def test_an_origin_is_scheme_host_and_port() -> None:
    assert origin_of("http://A:80/x") == origin_of("http://a") == ("http", "a", 80)
    assert origin_of("https://a") != origin_of("http://a")
    assert origin_of("nonsense") is None


def test_a_run_from_a_pickle_takes_the_key_of_this_environment_only_for_its_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = rs.init(mode="disabled", url=THEIRS, dir=tmp_path)
    data = pickle.dumps(run)
    run.finish()
    monkeypatch.setenv("RUNSTREAM_API_KEY", KEY)
    monkeypatch.setenv("RUNSTREAM_URL", MINE)
    assert pickle.loads(data)._opening.api_key is None
    monkeypatch.setenv("RUNSTREAM_URL", THEIRS)
    assert pickle.loads(data)._opening.api_key == KEY


@pytest.mark.parametrize("url", ["http://h/?q", "http://h/#x", "http://h#x", "http://h\\x", "http://h/ü", "http://u@h"])
def test_an_address_has_nothing_that_requests_would_leave_out(url: str) -> None:
    with pytest.raises(ValidationError):
        SettingValues(url=url)


def test_a_directory_that_others_use_keeps_its_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`dir = "/tmp"` of root, or a home: everybody else needs it."""
    shared, home = tmp_path / "shared", tmp_path / "home"
    for directory, mode in ((shared, 0o1777), (home, 0o755)):
        directory.mkdir()
        directory.chmod(mode)
        (directory / "of-somebody").touch()
    monkeypatch.setenv("HOME", str(home))
    for directory in (shared, home):
        make_root(directory)
        check_root(directory)
    assert stat.S_IMODE(shared.stat().st_mode) == 0o1777
    assert stat.S_IMODE(home.stat().st_mode) == 0o755
    with pytest.raises(NotPrivate, match="give one inside"):
        make_tight(shared)
    make_tight(home)
    assert stat.S_IMODE(home.stat().st_mode) == 0o755
