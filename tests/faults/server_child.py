"""The embedded server as a process of its own: python server_child.py DIRECTORY PORT. Prints READY and its address.

Its settings are those of the environment, as those of `runstream up` are."""

import sys
from pathlib import Path

from runstream_infra.embedded import run_embedded
from runstream_infra.settings import ServerSettings

if __name__ == "__main__":
    settings = ServerSettings.from_environment(data_dir=Path(sys.argv[1]), port=int(sys.argv[2]))
    sys.exit(run_embedded(settings, lambda url: print("READY", url, flush=True)))
