"""`runstream promote`: from one machine to a cluster."""

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runstream_infra.cli.comparing import compared_rows, show_compared, show_verdict
from runstream_infra.cli.exits import FAILED, OK, BadInput, Failed, NotEverything
from runstream_infra.cli.options import example, json_option
from runstream_infra.cli.output import Output
from runstream_infra.cli.serving import data_dir_option, server_part

if TYPE_CHECKING:
    from runstream_infra.promoting import PromoteResult, Stage


@click.command(
    epilog="The cluster's addresses come from the environment, as for `runstream worker`: RUNSTREAM_KAFKA_BOOTSTRAP, "
    "RUNSTREAM_CLICKHOUSE_URL and RUNSTREAM_ASSETS are needed; docs/promote.md has the whole way.\n\n"
    + example(
        "runstream promote --data-dir /srv/runstream",
        "runstream promote --data-dir /srv/runstream --partitions 12 --fold",
    )
)
@data_dir_option
@click.option(
    "--partitions",
    type=click.IntRange(1, 1024),
    help="Of the topic: as many workers find work. Default: those of the log here, and every record keeps its place.",
)
@click.option("--fold", is_flag=True, help="Fold here as well, for a cluster whose workers do not run yet.")
@click.option(
    "--patience",
    "patience_s",
    type=click.FloatRange(min=1),
    default=60.0,
    show_default=True,
    help="Give up when the workers have not folded anything for so many seconds.",
)
@json_option
def promote(data_dir: Path, partitions: int | None, fold: bool, patience_s: float, output: Output) -> int:
    """Move what a server on one machine holds to a cluster: the log into Kafka, the assets into its storage.

    The server has to be stopped; its directory stays as it is. Afterwards the read models of both are compared, table
    by table. May be run again after it was cut off: it goes on where it was. Exit code 0 only if all hashes are equal.
    """
    from runstream.errors import InvalidSetting

    promoting = server_part("runstream_infra.promoting")
    cluster = server_part("runstream_infra.cluster.settings")
    try:
        settings = cluster.RoleSettings.from_environment()
        with output.err.status("looking at both sides") as status:

            def on_stage(stage: "Stage") -> None:
                count = f": {stage.done:,} of {stage.total:,}" if stage.total else ""
                status.update(output.text(f"{stage.name}{count}"))

            moving = promoting.promote(
                data_dir, settings, partitions=partitions, fold=fold, patience_s=patience_s, on_stage=on_stage
            )
            result = asyncio.run(moving)
    except InvalidSetting as error:
        raise BadInput(str(error)) from error
    except promoting.PromoteUnfinished as error:
        raise NotEverything(str(error)) from error
    except promoting.PromoteRefused as error:
        raise Failed(str(error)) from error
    _show(result, data_dir, output)
    return OK if result.equal else FAILED


def _show(result: "PromoteResult", data_dir: Path, output: Output) -> None:
    """The tables side by side, and the next step."""
    rows = compared_rows(result.tables, "cluster")
    if output.as_json:
        output.json(
            {
                "equal": result.equal,
                "position": str(result.position),
                "same_places": result.same_partitions,
                "records": result.records,
                "replayed": result.replayed,
                "assets": asdict(result.assets),
                "tables": rows,
            }
        )
        return
    show_compared(rows, "cluster", "in the cluster", output)
    output.line(
        f"{result.replayed:,} of {result.records:,} records and {result.assets.copied:,} of {result.assets.found:,} "
        "assets were moved now; the others were there already."
    )
    logs = "both logs" if result.same_partitions else "the cluster's log, places in the log apart"
    show_verdict(f"Up to position {result.position or 'nothing'} of {logs}", result.equal, output)
    if result.equal:
        output.note("next: send clients to the cluster's gateways (RUNSTREAM_URL); docs/promote.md says how")
    else:
        output.note(
            f"next: `runstream rebuild --data-dir {data_dir}` tells whether the tables of this machine equal their own "
            "log; do not send clients to the cluster yet"
        )
