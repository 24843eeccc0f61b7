"""The development server (`python -m runstream_infra.dev_clickhouse`) as a child process."""

import os
import signal
from pathlib import Path
from types import TracebackType
from typing import Self

from kit.children.forked import ForkedChild


class DevServer:
    """Starts on entering and ends on leaving; `kill` and `start` in between as often as one likes.

    After the first start the port stays the same.
    """

    def __init__(self, data_dir: Path, *options: str, password: str = "") -> None:
        self.data_dir = data_dir
        self._options = options
        self._environment = {**os.environ, "RUNSTREAM_CLICKHOUSE_PASSWORD": password}
        self._port = 0
        self._child: ForkedChild | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        assert self._child
        return self._child.pid

    def start(self) -> None:
        """Returns when it answers."""
        arguments = ("--data-dir", self.data_dir, "--port", self._port, *self._options)
        errors = self.data_dir.with_name(f"{self.data_dir.name}.server.log")
        module = "runstream_infra.dev_clickhouse"
        self._child = ForkedChild(module, *arguments, environment=self._environment, errors=errors)
        line = self._child.stdout.readline()
        assert line.startswith("http://127.0.0.1:"), f"it did not start: {errors.read_text()[-3000:]}"
        self._port = int(line.rsplit(":", 1)[1])

    def kill(self) -> None:
        """SIGKILL, and wait for its end."""
        self.end(signal.SIGKILL)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, wait for the end, and return how it ended."""
        assert self._child
        self._child.send_signal(number)
        code = self._child.wait(120)
        self._child.stdout.close()
        self._child = None
        return code

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._child is not None:
            self.end()
