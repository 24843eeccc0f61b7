"""`python -m runstream_infra.dev_clickhouse`: see the package's docstring."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import click

from runstream_infra.dev_clickhouse.engine import THREADS, Engine
from runstream_infra.dev_clickhouse.server import Login, application
from runstream_infra.limits import Limits
from runstream_infra.listening import StartFailed, guarded_runner, listen
from runstream_service.store import StoreError

#: How long open requests may take to end once the server stops.
_REQUESTS_END_S = 10.0


@click.command()
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=8123, show_default=True, help="0 is any free one.")
@click.option("--user", default="", help="Ask for this name and the password in RUNSTREAM_CLICKHOUSE_PASSWORD.")
@click.option(
    "--threads", type=click.IntRange(1, 256), default=THREADS, show_default=True, help="Statements at a time."
)
@click.option(
    "--engine-config",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A ClickHouse configuration file with macros and clusters.",
)
def main(data_dir: Path, host: str, port: int, user: str, threads: int, engine_config: Path | None) -> None:
    """Serve ClickHouse's HTTP interface in front of chDB, for development and tests."""
    login = Login(user, os.environ.get("RUNSTREAM_CLICKHOUSE_PASSWORD", "")) if user else None
    if login is None and host not in ("127.0.0.1", "::1", "localhost"):
        raise click.UsageError(f"--host {host} is reachable from outside: give --user and a password")
    if login is not None and not login.password:
        raise click.UsageError("--user needs a password in RUNSTREAM_CLICKHOUSE_PASSWORD")
    try:
        engine = Engine.open(data_dir, threads=threads, config=engine_config)
    except StoreError as error:
        raise click.ClickException(str(error)) from error
    try:
        asyncio.run(_serve(engine, login, host, port))
    except StartFailed as error:
        raise click.ClickException(str(error)) from error
    finally:
        engine.close()


async def _serve(engine: Engine, login: Login | None, host: str, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    # Compressed bodies come to the application as they are: aiohttp knows gzip and deflate only.
    runner = guarded_runner(application(engine, login), Limits(), shutdown_timeout=_REQUESTS_END_S)
    await runner.setup()
    try:
        print(await listen(runner, host, port), flush=True)
        await stop.wait()
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    sys.exit(main())
