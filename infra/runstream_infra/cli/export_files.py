"""The files of exported runs, downloaded into the export's folder."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from runstream.api import API, Asset

#: Of all files of an export, below it; each run has a folder in it.
FOLDER: Final = "assets"


def places_of(assets: Sequence["Asset"]) -> list[str | None]:
    """Return where each file goes, relative to the export's folder, with "/" between the parts: a folder a run, in it
    the name that was logged, or a safe one like it. None for a file that is elsewhere (`location`). Pure."""
    from runstream.filenames import safe_names

    folders = dict.fromkeys(asset.run for asset in assets)
    folders |= dict(zip(folders, safe_names(run.replace("/", "_") for run in folders), strict=True))
    places: list[str | None] = []
    for run, files in groupby(assets, key=lambda asset: asset.run):
        own = list(files)
        made = safe_names(asset.name for asset in own)
        places += [
            None if asset.location is not None else f"{FOLDER}/{folders[run]}/{name}"
            for asset, name in zip(own, made, strict=True)
        ]
    return places


def download(api: "API", assets: Sequence["Asset"], folder: Path) -> list[str | None]:
    """Download the files into `folder` and return where each is, as `places_of`. Raises what `api.download` does, and
    OSError."""
    places = places_of(assets)
    for asset, place in zip(assets, places, strict=True):
        if place is not None:
            target = folder.joinpath(*place.split("/"))
            target.parent.mkdir(parents=True, exist_ok=True)
            api.download(asset, target)
    return places
