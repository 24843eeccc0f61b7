"""The client's settings: from arguments, the environment and files, in this order, each with its origin.

Files are `.runstream.toml` in the working directory or the nearest one above it, then
`~/.config/runstream/config.toml`; a key in the first hides the same key in the second. Tables in them belong to other
programs and are left alone.
"""

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from runstream.errors import InvalidSetting
from runstream.events.kafka import KafkaAddress
from runstream.events.names import check_path_part

FILE_NAME: Final = ".runstream.toml"
DEFAULT_URL: Final = "http://127.0.0.1:7070"
#: Settings that the environment can hold, by the name of the variable.
ENVIRONMENT: Final = {
    "RUNSTREAM_URL": "url",
    "RUNSTREAM_API_KEY": "api_key",
    "RUNSTREAM_INGEST": "ingest",
    "RUNSTREAM_DIR": "dir",
    "RUNSTREAM_MODE": "mode",
    "RUNSTREAM_WORKSPACE": "workspace",
    "RUNSTREAM_PROJECT": "project",
    "RUNSTREAM_CAPTURE_CONSOLE": "capture_console",
    "RUNSTREAM_CAPTURE_CODE": "capture_code",
    "RUNSTREAM_SYSTEM_METRICS_S": "system_metrics_s",
    "RUNSTREAM_FINISH_TIMEOUT_S": "finish_timeout_s",
    "RUNSTREAM_HANDLE_SIGTERM": "handle_sigterm",
    "RUNSTREAM_ALLOW_SECRETS": "allow_secrets",
}
_VARIABLE: Final = {name: variable for variable, name in ENVIRONMENT.items()}

Mode = Literal["online", "offline", "disabled"]


class SettingValues(BaseModel):
    """What a client is told. Frozen; checked as a whole."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    #: The gateway and query server.
    url: str = DEFAULT_URL
    api_key: SecretStr | None = None
    #: Where frames go instead of the gateway: kafka://HOST:PORT[,HOST:PORT]/TOPIC.
    ingest: str | None = None
    #: The spool: a directory on a local disk.
    dir: Path = Path("~/.runstream/spool")
    #: online: sent while the run goes on. offline: kept on disk until `runstream sync`. disabled: nothing is kept.
    mode: Mode = "online"
    workspace: str = "default"
    project: str = "default"
    #: Keep what the run prints.
    capture_console: bool = True
    #: Keep the git commit and the difference to it, the command line, and the list of packages.
    capture_code: bool = True
    #: Seconds between two samples of the machine's metrics; 0 takes none.
    system_metrics_s: Annotated[float, Field(ge=0, le=86_400)] = 10.0
    #: How long `finish` waits, at most, until everything is acknowledged.
    finish_timeout_s: Annotated[float, Field(ge=0, le=86_400)] = 30.0
    #: Mark the run as killed when SIGTERM ends the process, if nothing else in it handles that signal.
    handle_sigterm: bool = True
    #: Names of parameters and options whose values are kept although they look like secrets; `*` stands for any text.
    allow_secrets: tuple[str, ...] | None = None

    @field_validator("url")
    @classmethod
    def _url(cls, url: str) -> str:
        scheme, found, rest = url.partition("://")
        if scheme not in ("http", "https") or not found or not rest.strip("/"):
            raise ValueError("is no address of a server: give http://HOST:PORT or https://HOST")
        if "@" in rest.split("/")[0]:
            raise ValueError("holds a user or password: give the key as `api_key` or RUNSTREAM_API_KEY")
        return url.rstrip("/")

    @field_validator("ingest")
    @classmethod
    def _ingest(cls, ingest: str | None) -> str | None:
        return None if ingest is None else str(KafkaAddress.parse(ingest))

    @field_validator("dir")
    @classmethod
    def _dir(cls, directory: Path) -> Path:
        return directory.expanduser().absolute()

    @field_validator("allow_secrets", mode="before")
    @classmethod
    def _names(cls, names: Any) -> Any:
        """A list; with commas in the environment."""
        return [name for name in map(str.strip, names.split(",")) if name] if isinstance(names, str) else names

    @field_validator("workspace", "project")
    @classmethod
    def _path_part(cls, name: str) -> str:
        return check_path_part("name", name)


@dataclass(frozen=True, slots=True)
class Settings:
    """The values in force, and where each came from: `argument url`, `environment RUNSTREAM_URL`, a file, `default`."""

    values: SettingValues
    origins: Mapping[str, str]

    def origin(self, name: str) -> str:
        """Where the setting `name` came from."""
        return self.origins[name]


def load_settings(**arguments: Any) -> Settings:
    """The settings of this process: `arguments` but for None, its environment, the files. Raises InvalidSetting."""
    return resolve_settings(arguments, os.environ, Path.cwd(), Path.home())


def resolve_settings(
    arguments: Mapping[str, Any], environ: Mapping[str, str], working_directory: Path, home: Path
) -> Settings:
    """As `load_settings`, of the given surroundings. Reads files; changes nothing. Raises InvalidSetting."""
    found: dict[str, Any] = {}
    origins = dict.fromkeys(SettingValues.model_fields, "default")

    def take(values: Mapping[str, Any], origin: Mapping[str, str]) -> None:
        for name, value in values.items():
            if name not in found:
                found[name] = value
                origins[name] = origin[name]

    given = {name: value for name, value in arguments.items() if value is not None}
    _refuse_unknown(given, "the arguments")
    take(given, {name: f"argument {name}" for name in given})
    variables = {name: environ[var] for var, name in ENVIRONMENT.items() if environ.get(var, "") != ""}
    take(variables, {name: f"environment {_VARIABLE[name]}" for name in variables})
    for path in _files(working_directory, home):
        values = _read_file(path)
        take(values, dict.fromkeys(values, f"file {path}"))
    try:
        return Settings(SettingValues.model_validate(found), origins)
    except ValidationError as error:
        raise _explained(error, found, origins) from None


def _files(working_directory: Path, home: Path) -> list[Path]:
    nearest = (folder / FILE_NAME for folder in (working_directory, *working_directory.parents))
    files = [next((path for path in nearest if path.is_file()), None), home / ".config" / "runstream" / "config.toml"]
    return [path for path in files if path is not None and path.is_file()]


def _read_file(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidSetting(f"the settings file {path} cannot be read: {error}. Correct or remove it") from None
    values = {name: value for name, value in values.items() if not isinstance(value, dict)}
    _refuse_unknown(values, str(path))
    return values


def _refuse_unknown(values: Mapping[str, Any], where: str) -> None:
    known = list(SettingValues.model_fields)
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise InvalidSetting(f"{name!r} in {where} is no setting: {hint}")


def _explained(error: ValidationError, found: Mapping[str, Any], origins: Mapping[str, str]) -> InvalidSetting:
    detail = error.errors(include_url=False, include_context=False)[0]
    name = str(detail["loc"][0])
    value = "(not shown)" if name == "api_key" else repr(found.get(name))
    allowed = {"mode": ": give 'online', 'offline' or 'disabled'"}.get(name, "")
    message = str(detail["msg"]).removeprefix("Value error, ")
    return InvalidSetting(f"setting {name} = {value} (from {origins[name]}) cannot be used: {message}{allowed}")
