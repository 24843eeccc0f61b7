"""The group of all commands, and how errors end them. Commands import what they need when they run, so that
`runstream --help` costs click and nothing else."""

import contextlib
import io
import os
import sys
from typing import Any

import click

from runstream_infra.cli.exits import EXIT_CODES, FAILED, INTERRUPTED, OK, BadInput, CommandError

_EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code:<4} {meaning}" for code, meaning in EXIT_CODES)


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=_EPILOG,
    no_args_is_help=True,
)
@click.version_option(package_name="runstream", message="%(package)s %(version)s")
def cli() -> None:
    """Runstream: experiment tracking that loses nothing and costs a microsecond a call.

    `runstream up` starts a server on this machine, `runstream demo` shows everything at work.
    Settings come from options, then the environment (RUNSTREAM_URL, RUNSTREAM_API_KEY, RUNSTREAM_DIR,
    RUNSTREAM_WORKSPACE, RUNSTREAM_PROJECT), then a file; `runstream doctor` shows which won.
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and end the process with its exit code. Never shows a traceback unless RUNSTREAM_DEBUG
    is set."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # as stderr: what its encoding does not have becomes an escape
        with contextlib.suppress(OSError):  # a pipe in the place of a file
            sys.stdout.reconfigure(errors="backslashreplace")
    status = run(sys.argv[1:] if arguments is None else arguments)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_stdout()
    sys.exit(status)


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code; an error is one line on stderr."""
    try:
        outcome: Any = cli.main(args=arguments, prog_name="runstream", standalone_mode=False)
    except CommandError as error:
        _complain(str(error), error.detail)
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return OK
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "runstream"
        _complain(f"{_lowered(error.format_message())} (see `{command} --help`)")
        return BadInput.exit_code
    except click.ClickException as error:
        _complain(_lowered(error.format_message()))
        return FAILED
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except (BrokenPipeError, SystemExit):
        # The reader of a pipe has seen enough (`runstream runs | head`); click makes the second of the first.
        _discard_stdout()
        return OK
    except Exception as error:
        if os.environ.get("RUNSTREAM_DEBUG"):
            raise
        _complain(f"unexpected {type(error).__name__}: {error} (set RUNSTREAM_DEBUG=1 to see where)")
        return FAILED
    return outcome if isinstance(outcome, int) else OK


def _complain(message: str, detail: str = "") -> None:
    lines = " ".join(message.split())
    click.echo(f"runstream: {lines}" + (f"\n{detail}" if detail else ""), err=True)


def _lowered(message: str) -> str:
    return message[:1].lower() + message[1:].rstrip(".")


def _discard_stdout() -> None:
    """Send what is still buffered nowhere, or Python complains once more while it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _register() -> None:
    from runstream_infra.cli import (
        agents,
        artifacts,
        clustering,
        contents,
        demo,
        differing,
        doctor,
        export,
        managing,
        panel_serving,
        panels,
        promoting,
        reading,
        rebuilding,
        searching,
        serving,
        syncing,
        version,
        views,
    )

    for command in (
        serving.up,
        demo.demo,
        syncing.sync,
        reading.runs,
        reading.show,
        reading.query,
        reading.series,
        differing.compare,
        contents.output,
        contents.download,
        contents.projects,
        managing.tag,
        managing.rename,
        managing.notes,
        managing.move,
        managing.archive,
        managing.restore,
        managing.delete,
        artifacts.artifacts,
        export.export,
        rebuilding.rebuild,
        doctor.doctor,
        clustering.cluster,
        clustering.gateway,
        clustering.worker,
        clustering.query_server,
        promoting.promote,
        panels.panel,
        searching.sweep,
        views.views,
        agents.agent,
        version.version,
    ):
        cli.add_command(command)
    panels.panel.add_command(panel_serving.serve)


_register()
