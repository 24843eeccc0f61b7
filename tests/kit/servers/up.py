"""`runstream up` as a child process, forked from one that has imported what it needs (kit.children.forked)."""

import json
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from kit.children.forked import ForkedChild
from kit.stores import place_tables


@contextmanager
def running_up(
    data: Path,
    *options: str,
    environment: Mapping[str, str],
    errors: Path,
    end_by: signal.Signals = signal.SIGTERM,
) -> Iterator[str]:
    """Give the address of a server over a data directory, which ends with the block. errors: the file of its log;
    end_by: the signal that ends it."""
    place_tables(data)
    arguments = ("up", "--port", "0", "--json", "--data-dir", data, *options)
    server = ForkedChild("runstream_infra.cli", *arguments, environment=environment, errors=errors)
    try:
        text = ""
        for line in server.stdout:
            text += line
            if line.rstrip() == "}":
                break
        assert text, errors.read_text()[-3000:]
        yield str(json.loads(text)["url"])
    finally:
        server.send_signal(end_by)
        server.wait(120)
        server.stdout.close()
