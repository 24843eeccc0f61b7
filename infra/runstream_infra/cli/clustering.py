"""`runstream gateway`, `worker` and `query-server`, one process of a cluster each; `runstream cluster`, all of them."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from runstream_infra.cli.exits import NOT_EVERYTHING, OK, BadInput, Failed
from runstream_infra.cli.options import (
    api_keys_option,
    example,
    given_options,
    json_option,
    log_format_option,
    tls_options,
)
from runstream_infra.cli.output import Output
from runstream_infra.cli.serving import require_packages, server_part
from runstream_infra.cli.tables import Column

DEFAULT_DATA_DIR = Path("runstream-cluster")

_ENVIRONMENT = (
    "Settings come from the environment: RUNSTREAM_KAFKA_BOOTSTRAP, RUNSTREAM_CLICKHOUSE_URL and RUNSTREAM_ASSETS "
    "are needed; docs/configuration.md lists all.\n\n"
)

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=DEFAULT_DATA_DIR,
    envvar="RUNSTREAM_CLUSTER_DIR",
    show_default=True,
    help="Where Kafka, the tables, the assets and the log files are. One cluster a directory.",
)


def _role_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        json_option,
        log_format_option,
        tls_options,
        click.option("--port", type=click.IntRange(0, 65535), default=0, help="To listen on; 0 takes a free one."),
        click.option("--host", default="127.0.0.1", show_default=True, help="Any other needs RUNSTREAM_API_KEYS."),
    ):
        command = option(command)
    return command


@click.command(
    epilog=_ENVIRONMENT + example("runstream gateway --port 7071", "runstream gateway --host 0.0.0.0 --log-format json")
)
@_role_options
def gateway(output: Output, **_: Any) -> int:
    """Take in frames, commands and assets, and append them to Kafka. Any number may run."""
    return _run("gateway", output)


@click.command(epilog=_ENVIRONMENT + example("runstream worker", "runstream worker --port 7072 --log-format json"))
@_role_options
def worker(output: Output, **_: Any) -> int:
    """Fold partitions of the log into ClickHouse. Any number may join and leave; each gets its share.

    Its port serves /healthz, /readyz and /metrics.
    """
    return _run("worker", output)


@click.command("query-server", epilog=_ENVIRONMENT + example("runstream query-server --port 7073"))
@_role_options
def query_server(output: Output, **_: Any) -> int:
    """Serve the query API from ClickHouse. Any number may run."""
    return _run("query-server", output)


def _run(role: str, output: Output) -> int:
    from runstream.errors import InvalidSetting

    roles = server_part("runstream_infra.cluster.roles", "cluster")
    settings = server_part("runstream_infra.cluster.settings", "cluster")
    server_part(f"runstream_infra.cluster.{role.replace('-', '_')}", "cluster")  # what only this role imports
    listening = server_part("runstream_infra.listening")

    def on_ready(url: str) -> None:
        if output.as_json:
            output.json({"url": url, "pid": os.getpid(), "role": role})
        else:
            output.line(f"Runstream's {role} listens at {url}; {url}/readyz says how it is. Ctrl-C ends it.")
        sys.stdout.flush()

    try:
        options = given_options("host", "port", "tls_cert", "tls_key", "log_format")
        return int(roles.run_role(role, settings.RoleSettings.from_environment(os.environ, **options), on_ready))
    except InvalidSetting as error:
        raise BadInput(str(error)) from error
    except listening.StartFailed as error:
        raise Failed(str(error)) from error


@click.group()
def cluster() -> None:
    """The cluster form on one machine: Kafka, ClickHouse, gateways, workers and query servers as processes.

    For trying and for tests. Needs Java 17 and, the first time, Maven.
    """


@cluster.command(
    epilog=example(
        "runstream cluster up",
        "runstream cluster up --workers 4 --brokers 3 --data-dir /srv/try",
        "RUNSTREAM_CLICKHOUSE_URL=http://127.0.0.1:8123 runstream cluster up",
    )
)
@click.option("--workers", type=click.IntRange(1, 64), default=2, show_default=True)
@click.option("--gateways", type=click.IntRange(1, 64), default=1, show_default=True)
@click.option("--queries", type=click.IntRange(1, 64), default=1, show_default=True)
@click.option("--brokers", type=click.IntRange(1, 5), default=1, show_default=True, help="Of Kafka.")
@click.option(
    "--partitions",
    type=click.IntRange(1, 256),
    default=4,
    show_default=True,
    help="Of a new log: as many workers find work.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=7070, show_default=True, help="Of clients; 0 takes a free one."
)
@data_dir_option
@api_keys_option
@click.option("--no-restart", is_flag=True, help="Leave dead what died.")
@json_option
def up(
    workers: int,
    gateways: int,
    queries: int,
    brokers: int,
    partitions: int,
    port: int,
    data_dir: Path,
    no_restart: bool,
    output: Output,
    **_: Any,
) -> int:
    """Start all of it and keep it running until Ctrl-C or `runstream cluster stop`.

    A process that dies is started again. Where RUNSTREAM_CLICKHOUSE_URL is set that server is used; else a development
    server in front of the embedded engine is started, too.
    """
    from runstream.errors import InvalidSetting

    require_packages("cluster", "aiokafka", "faust")  # of the processes that it starts
    local = server_part("runstream_infra.cluster.local", "cluster")
    listening = server_part("runstream_infra.listening")
    try:
        common = server_part("runstream_infra.settings").CommonSettings.from_environment(
            os.environ, **given_options("port", "api_keys")
        )
    except InvalidSetting as error:
        raise BadInput(str(error)) from error
    if common.tls_cert is not None:
        raise BadInput(
            "`cluster up` listens on this machine alone, without TLS: unset RUNSTREAM_TLS_CERT and RUNSTREAM_TLS_KEY "
            "(gateways and query servers that are started one by one take them)"
        )

    def on_ready(state: Any) -> None:
        if output.as_json:
            output.json({"url": state.url, "pid": os.getpid(), "data_dir": str(data_dir.absolute())})
        else:
            output.table(_COLUMNS, _rows(state))
            output.line(f"The cluster is ready at {state.url} (data in {data_dir}). Ctrl-C ends it.")
        sys.stdout.flush()

    wanted = local.LocalCluster(
        data_dir=data_dir,
        port=port,
        workers=workers,
        gateways=gateways,
        queries=queries,
        brokers=brokers,
        partitions=partitions,
        api_keys=common.api_keys,
        restart=not no_restart,
        clickhouse_url=os.environ.get("RUNSTREAM_CLICKHOUSE_URL", ""),
        access=common.access,
        limits=common.limits,
    )
    try:
        return int(local.run_local(wanted, on_ready))
    except listening.StartFailed as error:
        raise Failed(str(error)) from error


@cluster.command(epilog=example("runstream cluster status", "runstream cluster status --json"))
@data_dir_option
@json_option
def status(data_dir: Path, output: Output) -> int:
    """Show each process: role, index, pid, address, restarts. Exit code 4 if one is dead."""
    found = _state(data_dir)
    rows = _rows(found)
    if output.as_json:
        output.json({"url": found.url, "processes": rows})
    else:
        output.table(_COLUMNS, rows)
        output.line(f"Address for clients: {found.url}")
    return OK if all(row["alive"] for row in rows) else NOT_EVERYTHING


@cluster.command(epilog=example("runstream cluster stop --data-dir /srv/try"))
@data_dir_option
@json_option
def stop(data_dir: Path, output: Output) -> int:
    """End all processes in order. The data stay."""
    found = _state(data_dir)
    state = server_part("runstream_infra.cluster.state")
    count = len(found.living)
    state.stop_cluster(found, data_dir)
    if output.as_json:
        output.json({"stopped": count})
    else:
        output.line(f"Stopped {count} processes; the data are in {data_dir}.")
    return OK


_COLUMNS = [
    Column("role", "role"),
    Column("index", "index", right=True),
    Column("pid", "pid", right=True),
    Column("address", "address"),
    Column("alive", "alive"),
    Column("restarts", "restarts", right=True),
    Column("log", "log", keep=-1),
]


def _state(data_dir: Path) -> Any:
    found = server_part("runstream_infra.cluster.state").ClusterState.read(data_dir)
    if found is None:
        raise BadInput(f"no cluster runs in {data_dir}: give the --data-dir of `runstream cluster up`")
    return found


def _rows(state: Any) -> list[dict[str, Any]]:
    return [process.model_dump(exclude={"born_s"}) | {"alive": process.alive} for process in state.processes]
