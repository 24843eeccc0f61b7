"""The files between a panel's process and whoever runs it: one folder a run."""

from typing import Final

CONTEXT: Final = "panel.json"
SOURCE: Final = "panel.py"
LIMITS: Final = "limits.json"
#: What was displayed, one JSON object a line, as soon as it is displayed.
ITEMS: Final = "items.jsonl"
#: How it ended; not there if the process was killed.
END: Final = "end.json"
STDOUT: Final = "stdout.txt"
STDERR: Final = "stderr.txt"
#: Where a live panel listens: {"socket": PATH} or {"host": ..., "port": ...}.
LIVE: Final = "live.json"
#: Where packages are installed for it, and pip's variables: {"cache": PATH, "environ": {...}}. Removed once it is read.
INSTALL: Final = "install.json"
#: The contexts of its viewers, one file a frame, and the header of a connection that names the frame.
FRAMES: Final = "frames"
FRAME_HEADER: Final = "Runstream-Frame"
