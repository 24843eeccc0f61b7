"""The client's settings: from arguments, the environment and files, in this order, each with its origin.

Files are `.runstream.toml` in the working directory or the nearest one above it, then
`~/.config/runstream/config.toml`; a key in the first hides the same key in the second. Tables in them belong to other
programs and are left alone. A file that another user wrote, or could have, is refused.

An API key is for one server. It goes to the address that was given together with it (two arguments, two variables, two
lines of a file), or, where it was given without one, to the address in force, unless a `.runstream.toml` names that:
whoever wrote such a file, perhaps with a program that was downloaded, was not given the key.
"""

import difflib
import os
import stat
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from runstream.connections import readable
from runstream.errors import InvalidSetting
from runstream.events.kafka import KafkaAddress
from runstream.events.names import check_path_part
from runstream.private import NotPrivate, read_trusted

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
    "RUNSTREAM_CONSOLE": "console",
    "RUNSTREAM_CAPTURE_CODE": "capture_code",
    "RUNSTREAM_SYSTEM_METRICS_S": "system_metrics_s",
    "RUNSTREAM_FINISH_TIMEOUT_S": "finish_timeout_s",
    "RUNSTREAM_HANDLE_SIGTERM": "handle_sigterm",
    "RUNSTREAM_ALLOW_SECRETS": "allow_secrets",
}
#: Settings files, by their paths, that are read although somebody else could have written them: a directory of a host
#: in a container that root runs, for example.
TRUST_VARIABLE: Final = "RUNSTREAM_TRUST_FILES"
#: The end of a sentence about a value that is none of few.
_ALLOWED: Final = {
    "mode": ": give 'online', 'offline' or 'disabled'",
    "console": ": give 'wrap' or 'redirect'; capture_console=False keeps nothing",
}
#: What a sender shows to Kafka; not a setting, but a secret that a file's `ingest` would send elsewhere.
_KAFKA_PASSWORD: Final = "RUNSTREAM_KAFKA_SASL_PASSWORD"
#: A dozen lines.
_MAX_FILE_BYTES: Final = 1_000_000
_VARIABLE: Final = {name: variable for variable, name in ENVIRONMENT.items()}

#: By Python's streams, or by file descriptors as well.
Console = Literal["wrap", "redirect"]
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
    #: wrap: what Python code prints. redirect: file descriptors, so C libraries and child processes too.
    console: Console = "wrap"
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
        if origin_of(url) is None or not url.isprintable() or any(each in url for each in " ?#\\"):
            raise ValueError("is no address of a server: give http://HOST:PORT or https://HOST")
        if not urlsplit(url).path.isascii():
            raise ValueError("has a path with letters that none may have: write them as %XX")
        return url.rstrip("/")

    @field_validator("api_key")
    @classmethod
    def _api_key(cls, key: SecretStr | None) -> SecretStr | None:
        text = key.get_secret_value() if key is not None else ""
        if not (text.isascii() and text.isprintable()) or " " in text:
            raise ValueError("holds characters that no key has: give it without spaces and line ends")
        return key

    @field_validator("ingest")
    @classmethod
    def _ingest(cls, ingest: str | None) -> str | None:
        return None if ingest is None else str(KafkaAddress.parse(ingest))

    @field_validator("dir")
    @classmethod
    def _dir(cls, directory: Path) -> Path:
        first, *rest = directory.parts or ("",)
        try:
            expanded = home().joinpath(*rest) if first == "~" else directory.expanduser()
            return expanded.absolute()
        except RuntimeError:
            raise ValueError(f"names a user that is not known ({first}): give the whole path") from None
        except OSError:
            raise ValueError("is relative, and the working directory is gone: give the whole path") from None

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
    #: What a person should know of them.
    notes: tuple[str, ...] = ()

    def origin(self, name: str) -> str:
        """Where the setting `name` came from."""
        return self.origins[name]


def load_settings(**arguments: Any) -> Settings:
    """The settings of this process: `arguments` but for None, its environment, the files. Raises InvalidSetting."""
    return resolve_settings(arguments, os.environ, _working_directory(), home())


def home() -> Path:
    """Return this user's home directory; a directory of this user's own among temporary files where there is none."""
    try:
        return Path.home()
    except RuntimeError:  # a container that runs under a number without a name, and without HOME
        return Path(tempfile.gettempdir()) / f"runstream-{os.getuid()}"


def resolve_settings(
    arguments: Mapping[str, Any], environ: Mapping[str, str], working_directory: Path, home: Path
) -> Settings:
    """As `load_settings`, of the given surroundings. Reads files; changes nothing. Raises InvalidSetting."""
    given = {name: value for name, value in arguments.items() if value is not None}
    _refuse_unknown(given, "the arguments")
    variables = {name: environ[var] for var, name in ENVIRONMENT.items() if environ.get(var, "") != ""}
    files, refused = _file_sources(environ, working_directory, home)
    sources = [
        _Source("argument", given, {name: f"argument {name}" for name in given}),
        _Source("environment", variables, {name: f"environment {_VARIABLE[name]}" for name in variables}),
        *files,
    ]
    origins = dict.fromkeys(SettingValues.model_fields, "default")
    found: dict[str, Any] = {}
    for source in reversed(sources):
        found |= source.values
        origins |= source.origins
    notes = refused + _bind_key(sources, found, origins)
    _check_ingest_source(sources, environ)
    try:
        return Settings(SettingValues.model_validate(found), origins, notes)
    except ValidationError as error:
        raise _explained(error, found, origins) from None


def origin_of(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port: what has to be the same for two addresses to be of one server. None for no address."""
    try:
        parts = urlsplit(url)
        port = parts.port if parts.port is not None else {"http": 80, "https": 443}[parts.scheme]
        return (parts.scheme, parts.hostname, port) if parts.hostname else None
    except (ValueError, KeyError):
        return None


@dataclass(frozen=True, slots=True)
class _Source:
    """Settings that were given together, and where: `argument`, `environment`, `near` (a .runstream.toml), `user`."""

    kind: str
    values: Mapping[str, Any]
    origins: Mapping[str, str]


def _bind_key(sources: Sequence[_Source], found: dict[str, Any], origins: dict[str, str]) -> tuple[str, ...]:
    """See that a key goes nowhere but where it was given for: `found` gets the first that is for its url, and none
    where each is for another server, which the notes say. Raises InvalidSetting where a .runstream.toml would redirect
    a key."""
    with_url = next((source for source in sources if "url" in source.values), None)
    with_key = [source for source in sources if "api_key" in source.values]
    if with_url is None or not with_key:
        return ()
    url = str(found["url"])
    notes = []
    for source in with_key:
        own = source.values.get("url")
        named = own is not None and origin_of(str(own)) == origin_of(url)
        if source is with_url or named or (own is None and with_url.kind != "near"):
            found["api_key"], origins["api_key"] = source.values["api_key"], source.origins["api_key"]
            return ()
        if with_url.kind == "near":
            raise _redirected(source, with_url, url)
        notes.append(
            f"the key from {source.origins['api_key']} is for {readable(str(own))} and is not sent to {readable(url)} "
            f"({with_url.origins['url']}): give a key together with that address"
        )
    del found["api_key"]
    origins["api_key"] = f"not used: that of {with_key[0].origins['api_key']} is for {with_key[0].values['url']}"
    return tuple(notes)


def _redirected(source: _Source, with_url: _Source, url: str) -> InvalidSetting:
    key_from, url_from = source.origins["api_key"], with_url.origins["url"]
    step = {
        "argument": f"give the argument url as well (url={url!r}, --url {url})",
        "environment": f"set RUNSTREAM_URL={url} beside RUNSTREAM_API_KEY",
    }.get(source.kind, f"write url and api_key into the same file ({key_from.removeprefix('file ')})")
    return InvalidSetting(
        f"the key from {key_from} is not sent to url = {url!r}, which {url_from} names: a file in or above the working "
        f"directory does not decide where keys go. If that server is yours, {step}"
    )


def _check_ingest_source(sources: Sequence[_Source], environ: Mapping[str, str]) -> None:
    """Raises InvalidSetting where a .runstream.toml would send Kafka's password to brokers that it names."""
    source = next((source for source in sources if "ingest" in source.values), None)
    if source is not None and source.kind == "near" and environ.get(_KAFKA_PASSWORD):
        raise InvalidSetting(
            f"setting ingest = {source.values['ingest']!r} (from {source.origins['ingest']}) cannot be used: a file in "
            f"or above the working directory does not decide where {_KAFKA_PASSWORD} goes. If those brokers are yours, "
            f"set RUNSTREAM_INGEST={source.values['ingest']}"
        )


def _working_directory() -> Path:
    try:
        return Path.cwd()
    except OSError:  # somebody removed it under this process
        return Path("/")


def _file_sources(
    environ: Mapping[str, str], working_directory: Path, home: Path
) -> tuple[list[_Source], tuple[str, ...]]:
    """What the files say, and why one is passed over. Raises InvalidSetting."""
    folders = (working_directory, *working_directory.parents)
    near = next((folder / FILE_NAME for folder in folders if _is_file(folder / FILE_NAME)), None)
    user = home / ".config" / "runstream" / "config.toml"
    trusted = {os.path.abspath(path) for path in environ.get(TRUST_VARIABLE, "").split(os.pathsep) if path}
    files = [("near", near), ("user", user if _is_file(user) else None)]
    sources, notes = [], []
    for kind, path in files:
        if path is None:
            continue
        try:
            values = _read_file(path, kind, os.path.abspath(path) in trusted)
        except _Refused as error:
            # Whoever may write into /tmp cannot keep everybody who works below it from starting runs.
            if kind == "near" and path.parent != working_directory and _is_everybodys(path.parent):
                notes.append(str(error))
                continue
            raise
        sources.append(_Source(kind, values, dict.fromkeys(values, f"file {path}")))
    return sources, tuple(notes)


class _Refused(InvalidSetting):
    """A file of another user."""


def _is_everybodys(directory: Path) -> bool:
    return bool(directory.stat().st_mode & stat.S_IWOTH)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a directory that this user may not look into
        return False


def _read_file(path: Path, kind: str, trusted: bool) -> dict[str, Any]:
    try:
        data = path.read_bytes() if trusted else read_trusted(path, _MAX_FILE_BYTES, with_directory=kind == "near")
        values = tomllib.loads(data.decode("utf-8"))
    except NotPrivate as error:
        raise _Refused(
            f"the settings file {path} is not read, because it {error}: whoever writes it decides where your runs go. "
            f"Remove it, make it yours (chown, chmod go-w), or set {TRUST_VARIABLE}={path} if you trust it"
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
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
    allowed = _ALLOWED.get(name, "")
    message = str(detail["msg"]).removeprefix("Value error, ")
    return InvalidSetting(f"setting {name} = {value} (from {origins[name]}) cannot be used: {message}{allowed}")
