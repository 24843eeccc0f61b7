"""`runstream up`, and what commands need that work on the directory of a server."""

import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runstream_infra.cli.exits import BadInput, Failed
from runstream_infra.cli.options import (
    api_keys_option,
    example,
    given_options,
    json_option,
    log_format_option,
    tls_options,
)
from runstream_infra.cli.output import Output

if TYPE_CHECKING:
    from runstream_infra.settings import ServerSettings

DEFAULT_PORT = 7070
DEFAULT_DATA_DIR = Path("runstream-data")

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=DEFAULT_DATA_DIR,
    envvar="RUNSTREAM_DATA_DIR",
    show_default=True,
    help="Where the log, the tables and the assets are. One server a directory.",
)


@click.command(
    epilog=example(
        "runstream up",
        "runstream up --port 8000 --data-dir /srv/runstream",
        "RUNSTREAM_API_KEYS=k1,k2 runstream up --host 0.0.0.0 --tls-cert chain.pem --tls-key key.pem",
    )
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on. Any other needs a key.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@data_dir_option
@api_keys_option
@tls_options
@click.option(
    "--partitions",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Partitions of a new log. Fixed once the directory has one.",
)
@log_format_option
@json_option
def up(data_dir: Path, output: Output, **_: Any) -> int:
    """Start the server on this machine: gateway, log, tables and API in one process.

    Prints its address once it answers. Ctrl-C or SIGTERM finish what was accepted, then it ends with 0. Every setting
    has a variable as well, and a place in the file that RUNSTREAM_CONFIG names (docs/configuration.md).
    """
    options = given_options("host", "port", "api_keys", "tls_cert", "tls_key", "partitions", "log_format")
    settings = server_settings(data_dir=data_dir, **options)

    def on_ready(url: str) -> None:
        if output.as_json:
            output.json({"url": url, "pid": os.getpid(), "data_dir": str(data_dir.absolute())})
        else:
            output.line(f"Runstream is ready at {url} (data in {data_dir}). Ctrl-C ends it.")
        sys.stdout.flush()

    embedded = server_part("runstream_infra.embedded")
    try:
        return int(embedded.run_embedded(settings, on_ready))
    except embedded.StartFailed as error:
        raise Failed(str(error)) from error


def server_part(name: str, extra: str = "server") -> Any:
    """A module of the server. Raises Failed where the extra that it needs is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package.startswith("runstream"):
            raise
        raise _missing(package, extra) from error


def require_packages(extra: str, *packages: str) -> None:
    """Raise Failed where one of the packages of the extra is not installed; imports none of them."""
    from runstream.packages import is_installed

    for package in packages:
        if not is_installed(package):
            raise _missing(package, extra)


def _missing(package: str, extra: str) -> Failed:
    return Failed(f"the server's packages are not installed ({package} is missing): pip install 'runstream[{extra}]'")


def server_settings(**options: Any) -> "ServerSettings":
    """Return the settings of a server: `options`, the environment, and the file that RUNSTREAM_CONFIG names. Raises
    BadInput naming the option or variable that is wrong, Failed where the extra `server` is not installed."""
    from runstream.errors import InvalidSetting

    kind: type[ServerSettings] = server_part("runstream_infra.settings").ServerSettings
    try:
        return kind.from_environment(os.environ, **options)
    except InvalidSetting as error:
        raise BadInput(str(error)) from error
