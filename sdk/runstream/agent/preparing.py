"""What a run needs on this machine before its code can begin."""

import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runstream.agent.archives import unpack
from runstream.agent.environments import Abandoned, environment_for, python_for
from runstream.agent.leases import Granted, Leases, patiently
from runstream.agent.limits import RunLimits
from runstream.agent.transfers import download

#: What processes of a run are given of the agent's environment: where programs, texts and certificates are, no secret.
_PASSED_ON: Final = (
    *("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "LD_LIBRARY_PATH"),
    *("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"),
)
#: What pip is given besides; addresses of indexes and proxies may hold passwords.
_FOR_PIP: Final = re.compile(r"(PIP_\w+|https?_proxy|no_proxy|all_proxy|REQUESTS_CA_BUNDLE)\Z", re.IGNORECASE)
_MAX_CODE_BYTES: Final = 1 << 30
_MAX_DATA_BYTES: Final = 100 << 30
_ODD: Final = re.compile(r"[^\w.\- ]")


@dataclass(frozen=True, slots=True)
class Prepared:
    """`python`: the interpreter of the environment. `code`: the folder with `train.py`. `data`: a file. `notes`: what
    the output of the run begins with."""

    python: Path
    code: Path
    data: Path | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Preparation:
    """Prepares one run in its folder."""

    leases: Leases
    granted: Granted
    folder: Path
    envs: Path
    limits: RunLimits
    #: Whether the run is still to be executed.
    goes_on: Callable[[], bool]

    def prepare(self) -> Prepared:
        """Fetch code and data, and build the environment or take the one that is there. Raises BadCode, BuildFailed,
        TooLarge, Abandoned, Stale, Invalid, OSError."""
        for name in ("home", "fetched", "code", "data"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        for name in ("home", "fetched", "data"):
            (self.folder / name).mkdir(mode=0o700)
        granted = self.granted
        uploaded = self._fetched("code", self.folder / "fetched" / "code", _MAX_CODE_BYTES)
        code = unpack(uploaded, granted.code, self.folder / "code", self.limits.unpacked_mb << 20)
        data = None
        if granted.data is not None:
            data = self._fetched("data", self.folder / "data" / file_name(granted.data), _MAX_DATA_BYTES)
        python, note = python_for(granted.python)
        notes = [note] if note else []
        build = environment_for(
            self.envs, python, code, self.folder, self._of_pip(), self.limits, self.goes_on, notes.append
        )
        return Prepared(build, code, data, tuple(notes))

    def environ(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of the code: its variables over what this machine has."""
        home = str(self.folder / "home")
        passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        own = {"HOME": home, "TMPDIR": home, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8:backslashreplace"}
        return passed | own | dict(variables)

    def _of_pip(self) -> dict[str, str]:
        passed = {name: value for name, value in os.environ.items() if _FOR_PIP.match(name)}
        return self.environ({}) | passed | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}

    def _fetched(self, what: str, path: Path, limit_bytes: int) -> Path:
        def fetch() -> Path:
            url = self.leases.url_to_read(self.granted, "code" if what == "code" else "data")
            download(url, path, limit_bytes)
            return path

        if not self.goes_on():
            raise Abandoned
        return patiently(fetch, self.goes_on)


def file_name(name: str) -> str:
    """Return a name that a file of this machine may have."""
    return _ODD.sub("_", name).lstrip(".")[:200] or "file"
