"""The command line. `main` is what `runstream` starts; exit codes stand in `runstream_infra.cli.exits`."""

from runstream_infra.cli.app import main

__all__ = ["main"]
