"""The process that runs the code of a run: `python harness.py JOB`. It needs nothing but Python's own library, of any
version from 3.7 on, and takes on its limits before it loads the code.

JOB is a file: {"code", "main", "data", "parameters", "context", "limits", "result"}. What the code returned, or why it
failed, is written to the file `result`, whole or not at all. The traceback goes to stderr.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
from typing import Any, NoReturn

_PR_SET_PDEATHSIG = 1
_SIGKILL = 9
_MAX_ERROR_CHARS = 2000
_MAX_RESULT_CHARS = 1000000
_MAX_DEPTH = 20
_KNOWN = "artifact, metadata, metrics, additional_output_files"


def main(job_path: str) -> NoReturn:
    """Run the code, and end this process."""
    with open(job_path) as file:
        job = json.load(file)
    os.remove(job_path)
    _die_with_parent()
    _take_on(job["limits"])
    os.chdir(job["code"])
    # In the place of this file's folder, whose modules are not the code's.
    sys.path[0] = job["code"]
    sys.argv = [job["main"]]
    ended: dict[str, Any]
    try:
        ended = {"status": "ok", "result": _plain_result(_trained(job))}
    except MemoryError:
        _print_traceback()
        ended = {"status": "memory", "error": "MemoryError"}
    except SystemExit as error:
        ended = {"status": "failed", "error": f"the code called sys.exit({error.code!r}): return from train instead"}
    except BaseException as error:
        _print_traceback()
        ended = {"status": "failed", "error": _shown(error)}
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # the code closed it
            stream.flush()
    _write(job["result"], ended)
    # Without waiting for threads that the code left.
    os._exit(0)


def _trained(job: dict[str, Any]) -> Any:
    import importlib.util

    spec = importlib.util.spec_from_file_location("train", os.path.join(job["code"], job["main"]))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["train"] = module
    spec.loader.exec_module(module)
    train = getattr(module, "train", None)
    if not callable(train):
        raise TypeError(f"{job['main']} has no function train(training_data, parameters, context)")
    return train(job["data"], job["parameters"], job["context"])


def _plain_result(result: Any) -> dict[str, Any] | None:
    """What train returned, as JSON holds it; paths from where the code is now. Raises TypeError, ValueError."""
    if result is None:
        return None
    if not isinstance(result, dict):
        raise TypeError(f"train returned {type(result).__name__}: return a dict with some of {_KNOWN}")
    artifact, files = result.get("artifact"), result.get("additional_output_files") or []
    if isinstance(files, (str, os.PathLike)):
        files = [files]
    plain = {
        "artifact": None if artifact in (None, "") else _path(artifact),
        "additional_output_files": [_path(one.get("file") if isinstance(one, dict) else one) for one in files],
        "metadata": _plain(result.get("metadata"), 0),
        "metrics": _plain(result.get("metrics"), 0),
    }
    for name in ("metadata", "metrics"):
        if plain[name] is not None and not isinstance(plain[name], dict):
            raise TypeError(f"train returned {type(result[name]).__name__} as {name}: return a dict")
    if len(json.dumps(plain)) > _MAX_RESULT_CHARS:
        raise ValueError(f"train returned more than {_MAX_RESULT_CHARS} characters: write them to a file")
    return plain


def _path(given: Any) -> str:
    return os.path.abspath(os.fsdecode(os.fspath(given)))


def _plain(value: Any, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        return str(value)[:1000]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, dict):
        return {str(name): _plain(item, depth + 1) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, depth + 1) for item in value]
    if hasattr(value, "tolist"):  # numpy, torch
        return _plain(value.tolist(), depth + 1)
    if hasattr(value, "__float__"):
        return _plain(float(value), depth + 1)
    return str(value)


def _write(path: str, ended: dict[str, Any]) -> None:
    aside = path + ".aside"
    with open(aside, "w") as file:
        json.dump(ended, file)
        file.flush()
        os.fsync(file.fileno())
    os.rename(aside, path)


def _print_traceback() -> None:
    import traceback

    traceback.print_exc()


def _shown(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"[:_MAX_ERROR_CHARS]
    except Exception:
        return type(error).__name__


def _take_on(limits: dict[str, int]) -> None:
    import resource

    for name, wanted in limits.items():
        kind = getattr(resource, name, None)
        if kind is not None:
            hard = resource.getrlimit(kind)[1]
            value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(kind, (value, value))


def _die_with_parent() -> None:
    """Be killed when the guardian dies (Linux)."""
    with contextlib.suppress(Exception):
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)


if __name__ == "__main__":
    main(sys.argv[1])
