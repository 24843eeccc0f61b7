"""Options that several commands share."""

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from runstream_infra.cli.output import Output

Command = TypeVar("Command", bound=Callable[..., Any])


def _output(_: click.Context, __: click.Parameter, as_json: bool) -> Output:
    return Output(as_json)


#: Hands the command an `output`.
json_option = click.option(
    "--json", "output", is_flag=True, callback=_output, help="Answer in JSON, and write nothing else to stdout."
)


def _or_environment(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    from runstream_infra.settings import environment_keys

    return given or environment_keys(os.environ)


#: Hands the command the `api_keys` that its server shall let in.
api_keys_option = click.option(
    "--api-key",
    "api_keys",
    multiple=True,
    metavar="KEY",
    callback=_or_environment,
    help="A key that clients have to send; give it several times for several. Better: RUNSTREAM_API_KEYS=K1,K2, "
    "which other users of this machine cannot see.",
)

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
