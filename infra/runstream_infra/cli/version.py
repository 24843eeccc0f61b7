"""`runstream version`."""

import platform
from importlib import metadata

import click

from runstream_infra.cli.options import example, json_option
from runstream_infra.cli.output import Output


@click.command(epilog=example("runstream version", "runstream version --json"))
@json_option
def version(output: Output) -> None:
    """Show the version of Runstream and of the Python it runs on."""
    found = {
        "runstream": metadata.version("runstream"),
        "python": platform.python_version(),
        "server": server_installed(),
    }
    if output.as_json:
        output.json(found)
        return
    server = "with the server" if found["server"] else "without the server (pip install 'runstream[server]')"
    output.line(f"runstream {found['runstream']}, {server}, Python {found['python']}")


def server_installed() -> bool:
    """Whether the packages of the extra `server` are here; looks without importing them."""
    from runstream.packages import is_installed

    return all(is_installed(name) for name in ("aiohttp", "chdb", "clickhouse_connect", "numpy", "obstore"))
