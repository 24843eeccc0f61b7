"""`runstream agent`: executes the runs of a project that others requested."""

import signal
from pathlib import Path
from typing import Any

import click

from runstream_infra.cli.connecting import client_settings, explained, secret_of
from runstream_infra.cli.exits import OK, BadInput
from runstream_infra.cli.options import example, json_option, server_options
from runstream_infra.cli.output import Output


@click.command(
    epilog=example(
        "runstream agent --project vision",
        "runstream agent --project vision --slots 4 --memory-mb 8192 --dir /data/agent",
        "runstream agent --project vision --until-idle",
    )
)
@click.option("--project", "-p", metavar="NAME", help="Of the runs. Default: RUNSTREAM_PROJECT or the settings file.")
@click.option("--workspace", metavar="NAME", help="Of the project. Default: RUNSTREAM_WORKSPACE or the settings file.")
@click.option("--slots", type=click.IntRange(1, 256), default=1, show_default=True, help="Runs at once.")
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("~/.runstream/agent"),
    show_default=True,
    help="Where it keeps its runs and environments. One agent a directory.",
)
@click.option(
    "--memory-mb",
    type=click.IntRange(64, 1 << 24),
    default=2048,
    show_default=True,
    help="Of a run whose instance type does not say it, in MiB.",
)
@click.option(
    "--max-memory-mb",
    type=click.IntRange(64, 1 << 24),
    help="Of any run, whatever its instance type says, in MiB. Default: the memory of this machine, or container.",
)
@click.option("--processes", type=click.IntRange(1, 1 << 16), default=256, show_default=True, help="Of a run, at once.")
@click.option("--open-files", type=click.IntRange(16, 1 << 20), default=1024, show_default=True, help="Of a process.")
@click.option("--build-s", type=click.FloatRange(1, 86_400), default=1800.0, show_default=True, help="For pip.")
@click.option("--poll-s", type=click.FloatRange(0.1, 3600), default=2.0, show_default=True, help="Between two looks.")
@click.option(
    "--ttl-s",
    type=click.IntRange(2, 3600),
    default=60,
    show_default=True,
    help="So long a run that this agent prepares waits for it when it is gone.",
)
@click.option("--until-idle", is_flag=True, help="End when nothing is pending and nothing executed.")
@server_options
@json_option
def agent(
    project: str | None,
    workspace: str | None,
    slots: int,
    directory: Path,
    memory_mb: int,
    max_memory_mb: int | None,
    processes: int,
    open_files: int,
    build_s: float,
    poll_s: float,
    ttl_s: int,
    until_idle: bool,
    url: str | None,
    api_key: str | None,
    output: Output,
) -> int:
    """Execute the pending runs of a project, on this machine and as this user.

    Each run is a process of its own that goes on when the agent is stopped or killed; an agent that is started again
    in the same directory finds it. It is no sandbox: code can read what this user can.
    """
    import logging

    from runstream.agent.agent import Agent, AgentSettings, DirectoryInUse
    from runstream.agent.limits import RunLimits, ram_mb

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    values = client_settings(url=url, api_key=api_key, project=project, workspace=workspace)
    limits = RunLimits(
        memory_mb=memory_mb,
        max_memory_mb=max_memory_mb or max(ram_mb(), 64),
        processes=processes,
        open_files=open_files,
        build_s=build_s,
    )
    settings = AgentSettings(
        values.values.url,
        values.values.workspace,
        values.values.project,
        directory.expanduser().absolute(),
        slots,
        poll_s,
        ttl_s,
        limits,
    )
    working = Agent(settings, secret_of(values))

    def stop(*_: Any) -> None:
        working.stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    try:
        with explained(settings.url):
            working.run(until_idle=until_idle)
    except DirectoryInUse as error:
        raise BadInput(str(error)) from None
    if output.as_json:
        output.json({"begun": working.begun})
    else:
        output.line(f"{len(working.begun)} runs were begun here")
    return OK
