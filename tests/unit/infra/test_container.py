"""The image of `runstream up` and the page about it, without Docker: names, settings and commands are those of the
program."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runstream._version import VERSION
from runstream_infra.settings import ServerSettings
from runstream_service.auth import ApiKeys, InsecureBind, check_bind
from runstream_service.settings import known_settings

IMAGE = f"runstream-up:{VERSION}"
KEYS = {"RUNSTREAM_API_KEYS": "0123456789abcdef"}


@pytest.fixture(scope="module")
def dockerfile(infra: Path) -> str:
    return (infra / "one-machine.Dockerfile").read_text().replace("\\\n", " ")


@pytest.fixture(scope="module")
def page(docs: Path) -> str:
    return (docs / "container.md").read_text()


def environment(dockerfile: str) -> dict[str, str]:
    """What the image sets of ours."""
    return dict(re.findall(r"(RUNSTREAM_\w+)=(\S+)", re.search(r"^ENV (.*)$", dockerfile, re.M)[1]))  # type: ignore[index]


def docker_commands(page: str) -> list[list[str]]:
    """The page's commands of `docker`, in words."""
    blocks = re.findall(r"(?:^    .*\n)+", page, re.M)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line.strip().startswith("docker ")]


def test_the_image_starts_a_server_and_refuses_one_without_a_key(
    dockerfile: str, parse_command: Callable[[list[str]], Any]
) -> None:
    program, command = (json.loads(re.search(rf"^{name} (.*)$", dockerfile, re.M)[1]) for name in ("ENTRYPOINT", "CMD"))  # type: ignore[index]
    assert program == ["runstream"]
    assert parse_command(command).info_name == "up"
    found = environment(dockerfile)
    assert found.keys() <= known_settings(ServerSettings).keys()
    settings = ServerSettings.from_environment(found | KEYS)
    check_bind(settings.host, ApiKeys.from_plain(settings.api_keys))
    with pytest.raises(InsecureBind, match="has no API key"):
        check_bind(settings.host, ApiKeys.from_plain(ServerSettings.from_environment(found).api_keys))


def test_data_stay_in_the_volume_of_the_images_user(dockerfile: str) -> None:
    data = environment(dockerfile)["RUNSTREAM_DATA_DIR"]
    assert re.search(rf"^VOLUME {data}$", dockerfile, re.M)
    user = re.search(r"^USER (\d+):(\d+)$", dockerfile, re.M)
    assert user
    assert re.search(rf"install --directory --mode 700 --owner {user[1]} --group {user[2]} {data}$", dockerfile, re.M)


def test_the_health_check_asks_the_port_that_is_served(dockerfile: str) -> None:
    port = environment(dockerfile)["RUNSTREAM_LISTEN_PORT"]
    assert re.search(rf"^EXPOSE {port}$", dockerfile, re.M)
    check = health_check(dockerfile)[-1]
    assert "p = os.environ['RUNSTREAM_LISTEN_PORT']" in check
    assert "://127.0.0.1:{p}/readyz" in check
    assert port not in check, "whoever runs the image may set another one"


def health_check(dockerfile: str) -> list[str]:
    found = re.search(r"^HEALTHCHECK .*?CMD (\[.*\])$", dockerfile, re.M)
    assert found
    return json.loads(found[1])  # type: ignore[no-any-return]


def test_the_pages_commands_fit_the_image(dockerfile: str, page: str, infra: Path) -> None:
    commands = docker_commands(page)
    (build,) = [words for words in commands if words[1] == "build"]
    assert (infra.parent / build[build.index("-f") + 1]).is_file()
    assert build[build.index("-t") + 1] == IMAGE
    runs = [words for words in commands if words[1] == "run"]
    assert len(runs) == 2
    data, port = (environment(dockerfile)[f"RUNSTREAM_{name}"] for name in ("DATA_DIR", "LISTEN_PORT"))
    known = known_settings(ServerSettings)
    for words in runs:
        assert words[-1] == IMAGE
        options = {name: [words[at + 1] for at, word in enumerate(words[:-1]) if word == name] for name in words}
        assert options["--volume"][0].endswith(f":{data}")
        assert options["--publish"][0].endswith(f":{port}")
        assert {one.partition("=")[0] for one in options["--env"]} <= known.keys()
        mounted = [volume.split(":")[1] for volume in options["--volume"]]
        files = [one.partition("=")[2] for one in options["--env"] if one.startswith("RUNSTREAM_TLS_")]
        assert all(any(file.startswith(f"{folder}/") for folder in mounted) for file in files)
        assert int(options["--stop-timeout"][0]) > ServerSettings().drain_s


def test_the_pages_commands_of_ours_are_commands(page: str, parse_command: Callable[[str], Any]) -> None:
    inside = re.findall(r"docker exec runstream runstream ([^`]*)`", page)
    outside = re.findall(r"^ {4}RUNSTREAM_API_KEY=\S+ runstream (.*)$", page, re.M)
    assert [parse_command(line).info_name for line in (*inside, *outside)] == ["rebuild", "doctor"]
