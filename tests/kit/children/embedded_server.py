"""The embedded server as a process of its own: it prints READY and its address.

Arguments: DIRECTORY PORT [--version N] [--kill-at STEP].

Its settings are those of the environment, as those of `runstream up` are. It folds version N of the summaries, and ends
itself by SIGKILL when it first comes to STEP."""

import argparse
import sys
from pathlib import Path

from kit.children.worker import Killer
from runstream_infra.embedded import run_embedded
from runstream_infra.settings import ServerSettings
from runstream_processors.generations import CURRENT

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("--version", type=int, default=CURRENT["summary_states"])
    parser.add_argument("--kill-at", default="never")
    arguments = parser.parse_args()
    settings = ServerSettings.from_environment(data_dir=arguments.directory, port=arguments.port)
    sys.exit(
        run_embedded(
            settings,
            lambda url: print("READY", url, flush=True),
            on_step=Killer(arguments.kill_at),
            versions={**CURRENT, "summary_states": arguments.version},
        )
    )
