"""`api.assets`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from runstream.api.errors import ServerFailed
from runstream.api.guarding import reads_responses
from runstream.api.parts.arguments import RunOrId, run_path
from runstream.api.parts.saving import safe_targets, saved, target_in
from runstream.api.session import Session
from runstream.api.transport import segment
from runstream.api.views.assets import Asset
from runstream.api.views.table import Table
from runstream.errors import Invalid

_CHUNK_BYTES: Final = 1 << 20
#: How many files a request for addresses names.
_ADDRESSES: Final = 1000


@reads_responses
class AssetsApi:
    """Files of runs: `api.assets(run)`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __call__(self, run: RunOrId, kind: str | None = None, *, as_of: str | None = None) -> Table[Asset]:
        """Read the list of the files of a run, by name."""
        rows = self._session.get(f"{run_path(run)}/assets", kind=kind, as_of=as_of)["assets"]
        return Table([Asset.of(row) for row in rows])

    def addresses(self, assets: Asset | Iterable[Asset]) -> list[str | None]:
        """Return for each asset an address that opens its bytes without a key, for five to ten minutes: for images,
        sound, video and pages that a browser shows. None for one that is deleted, or elsewhere."""
        chosen = [assets] if isinstance(assets, Asset) else list(assets)
        found: list[str | None] = []
        for begin in range(0, len(chosen), _ADDRESSES):
            wanted = [{"run": one.run, "asset": one.asset} for one in chosen[begin : begin + _ADDRESSES]]
            found += self._session.addresses("assets", wanted)
        return found

    def download(self, asset: Asset, to: str | os.PathLike[str]) -> Path:
        """Write the asset's bytes to the file `to` (into it, under the last part of the asset's name, made safe, if it
        is a directory) and return its path. The file appears when it is whole. Raises Invalid for one that is elsewhere
        (`asset.location`): the server has only its address."""
        _check_is_here(asset)
        target = Path(to)
        if target.is_dir():
            target = target_in(target, asset.name, asset.asset)
        path = f"{run_path(asset.run)}/assets/{segment(asset.asset)}"
        received, digest = 0, hashlib.sha256()
        with self._session.open("GET", path, headers={"Accept": "*/*"}) as response, saved(target) as file:
            while received <= asset.size_bytes and (chunk := response.read(_CHUNK_BYTES)):
                received += file.write(chunk)
                digest.update(chunk)
            _check(asset, received, digest.hexdigest())
        return target

    def download_all(
        self, assets: Iterable[Asset], to: str | os.PathLike[str], *, overwrite: bool = True
    ) -> list[Path]:
        """Write the bytes of several assets into the folder `to`, which is made if it is not there, and return their
        paths. Each goes under its name, made safe; of several with one name the newest has it, and the others have
        their step, or their id, before the ending. Raises Invalid for a name that a link in there leads out with, and
        without `overwrite` for one that is there, and for an asset that is elsewhere: nothing is written then."""
        chosen, folder = list(assets), Path(to)
        for asset in chosen:
            _check_is_here(asset)
        targets = safe_targets(folder, _names(chosen))
        if not overwrite and (there := next(filter(os.path.lexists, targets), None)) is not None:
            raise Invalid(f"{there} is there already: give another folder, or overwrite it")
        for asset, target in zip(chosen, targets, strict=True):
            target.parent.mkdir(parents=True, exist_ok=True)
            self.download(asset, target)
        return targets


def _check_is_here(asset: Asset) -> None:
    """Raise Invalid for a file whose bytes the server does not have."""
    if asset.location is not None:
        raise Invalid(f"asset {asset.name!r} of run {asset.run} is elsewhere, at {asset.location}: get it from there")


def _names(assets: Sequence[Asset]) -> list[str]:
    """Return a name for each asset, as far as names and steps tell them apart. Pure."""
    taken: set[str] = set()
    names = {}
    for asset in sorted(assets, key=lambda one: (one.at, one.asset), reverse=True):
        marks = ["", *([f".{asset.step}"] if asset.step is not None else []), f".{asset.asset}"]
        marked = [_marked(asset.name, mark) for mark in marks]
        names[asset.asset] = next((name for name in marked if name not in taken), marked[-1])
        taken.add(names[asset.asset])
    return [names[asset.asset] for asset in assets]


def _marked(name: str, mark: str) -> str:
    """Return a name with a mark before its ending."""
    folder, slash, last = name.rpartition("/")
    stem, dot, ending = last.rpartition(".")
    return f"{folder}{slash}{stem}{mark}{dot}{ending}" if stem else f"{name}{mark}"


def _check(asset: Asset, received: int, sha256: str) -> None:
    """Raise ServerFailed if other bytes came than were logged."""
    if received > asset.size_bytes:
        raise ServerFailed(f"asset {asset.name!r} has more than the {asset.size_bytes} bytes that were logged")
    if received != asset.size_bytes:
        raise ServerFailed(f"asset {asset.name!r} broke off after {received} of {asset.size_bytes} bytes")
    # Zeros name no file: they stand where nobody gave a hash.
    if asset.sha256.strip("0") and sha256 != asset.sha256:
        raise ServerFailed(f"the bytes of asset {asset.name!r} are not those that were logged: get it again")
