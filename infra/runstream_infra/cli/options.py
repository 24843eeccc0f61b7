"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from runstream_infra.cli.output import Output

Command = TypeVar("Command", bound=Callable[..., Any])


def _output(_: click.Context, __: click.Parameter, as_json: bool) -> Output:
    return Output(as_json)


#: Hands the command an `output`.
json_option = click.option(
    "--json", "output", is_flag=True, callback=_output, help="Write JSON, and nothing else, to stdout."
)


def given_options(*names: str) -> dict[str, Any]:
    """Return those of the running command's options that somebody gave, on the command line or by a variable of their
    own; what stands for the others is the settings' business."""
    context = click.get_current_context()
    return {name: context.params[name] for name in names if context.get_parameter_source(name) != _DEFAULT}


_DEFAULT = click.core.ParameterSource.DEFAULT

#: Hands the command the `api_keys` that its server shall let in; () where RUNSTREAM_API_KEYS decides.
api_keys_option = click.option(
    "--api-key",
    "api_keys",
    multiple=True,
    metavar="KEY",
    help="A key that clients have to send; give it several times for several. Better: RUNSTREAM_API_KEYS=K1,K2, "
    "which other users of this machine cannot see.",
)

_pem_file = click.Path(dir_okay=False, path_type=Path)


def tls_options(command: Command) -> Command:
    """Add what a server with TLS is given: `tls_cert` and `tls_key`."""
    command = click.option("--tls-key", type=_pem_file, metavar="PEM", help="Its key, without a passphrase.")(command)
    return click.option(
        "--tls-cert", type=_pem_file, metavar="PEM", help="Serve with TLS (https): the certificate, then its chain."
    )(command)


log_format_option = click.option(
    "--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Form of log lines."
)


def server_options(command: Command) -> Command:
    """Where to read: `url` and `api_key`, None where the settings decide (environment, then file, then default)."""
    command = click.option(
        "--api-key", metavar="KEY", help="Key of the API. Default: RUNSTREAM_API_KEY or the settings file."
    )(command)
    return click.option(
        "--url", metavar="URL", help="Address of the server. Default: RUNSTREAM_URL or the settings file."
    )(command)


def place_options(command: Command) -> Command:
    """Which runs: `project` and `workspace`."""
    command = click.option("--workspace", metavar="NAME", help="Only this workspace.")(command)
    return click.option("--project", "-p", metavar="NAME", help="Only this project.")(command)


def example(*lines: str) -> str:
    """The last paragraph of a command's help, kept line by line."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
