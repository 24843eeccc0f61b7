"""Adds golden files for what has none yet: `PYTHONPATH=tests python -m kit.golden.files`. Never changes what is there.

A released version's bytes are a promise. Where a test says that today's bytes differ from a golden file, either the
change is a mistake, or it needs a new tag (events) or version (frames); then VERSION below moves on with the release,
and the files of the version before stay and are decoded for ever.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from kit.children import TESTS
from kit.golden.events import EVENTS
from kit.golden.frames import contents, frames
from kit.golden.states import (
    ARTIFACT_STATE,
    CAPTURED_RUN_STATE,
    GROUPED_RUN_STATE,
    LINKED_RUN_STATE,
    OPEN_ARTIFACT_STATE,
    REMARKED_ARTIFACT_STATE,
    RESERVED_ARTIFACT_STATE,
    RUN_STATE,
)
from runstream.events.control import decode_event, encode_event
from runstream_model import artifact_state, run_state

HERE: Final = TESTS / "golden"
#: The folder that new files go to: the release that first writes them.
VERSION: Final = "0.1"


def expected_event(data: bytes) -> dict[str, Any]:
    """What decoding an event gives, defaults included."""
    return decode_event(data).model_dump(mode="python")


def as_text(expected: dict[str, Any]) -> bytes:
    """Readable JSON in ASCII, so that a difference shows in a review."""
    return (json.dumps(expected, indent=1, sort_keys=True) + "\n").encode()


def missing() -> dict[Path, bytes]:
    """The files that are not there yet."""
    files: dict[Path, bytes] = {}
    for name, event in EVENTS.items():
        data = encode_event(event)
        files[HERE / VERSION / "events" / f"{name}.bin"] = data
        files[HERE / VERSION / "events" / f"{name}.expected.json"] = as_text(expected_event(data))
    for name, data in frames().items():
        files[HERE / VERSION / "frames" / f"{name}.bin"] = data
        files[HERE / VERSION / "frames" / f"{name}.expected.json"] = as_text(contents(data))
    of_runs = {
        "run_state": RUN_STATE,
        "run_state-group": GROUPED_RUN_STATE,
        "run_state-links": LINKED_RUN_STATE,
        "run_state-captured": CAPTURED_RUN_STATE,
    }
    texts = {name: run_state.to_json(state) for name, state in of_runs.items()}
    of_artifacts = {
        "artifact_state": ARTIFACT_STATE,
        "artifact_state-remarks": REMARKED_ARTIFACT_STATE,
        "artifact_state-reserved": RESERVED_ARTIFACT_STATE,
        "artifact_state-open": OPEN_ARTIFACT_STATE,
    }
    states = {
        **{name: (text, asdict(run_state.from_json(text))) for name, text in texts.items()},
        **{
            name: (text, asdict(artifact_state.from_json(text)))
            for name, text in ((name, artifact_state.to_json(state)) for name, state in of_artifacts.items())
        },
    }
    for name, (text, fields) in states.items():
        files[HERE / VERSION / "states" / f"{name}.bin"] = text.encode()
        files[HERE / VERSION / "states" / f"{name}.expected.json"] = as_text(fields)
    return {path: data for path, data in files.items() if not path.exists()}


def main() -> None:
    """Write what is missing and say what that was."""
    for path, data in missing().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(data)
        print(f"added {path.relative_to(HERE)} ({len(data)} bytes)")


if __name__ == "__main__":
    main()
