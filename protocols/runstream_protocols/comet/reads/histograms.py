"""Comet's combined histograms: all that were logged under one name, each with its step, as one asset."""

import hashlib
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import Final

from aiohttp import web

from runstream_protocols.comet.conventions import HISTOGRAM, combined_histograms_id
from runstream_protocols.kit.streaming import stream_json, text_of
from runstream_query.errors import NotFound
from runstream_query.http.context import Context
from runstream_query.repositories.assets import AssetRecord
from runstream_query.responses import Asset

_HEAD: Final = '{"histograms": ['
_TAIL: Final = "]}"
_BETWEEN: Final = ", "


def combined(assets: Iterable[Asset]) -> list[Asset]:
    """Return the assets, with the histograms of each name as one, in the place of the first."""
    found: list[Asset] = []
    parts: dict[str, list[Asset]] = {}
    for one in assets:
        if one.kind == HISTOGRAM:
            parts.setdefault(one.name, []).append(one)
        if one.kind != HISTOGRAM or len(parts[one.name]) == 1:
            found.append(one)
    return [_combination(parts[one.name]) if one.kind == HISTOGRAM else one for one in found]


def _combination(parts: Sequence[Asset]) -> Asset:
    newest = max(parts, key=lambda one: (one.at, one.asset))
    around = len(_HEAD) + len(_TAIL) + len(_BETWEEN) * (len(parts) - 1)
    update = {
        "asset": combined_histograms_id(newest.run, newest.name),
        "sha256": hashlib.sha256("".join(one.sha256 for one in parts).encode()).hexdigest(),
        "size_bytes": around + sum(len(_opening(one.step)) + one.size_bytes + 1 for one in parts),
        "content_type": "application/json",
        "step": None,
    }
    return newest.model_copy(update=update)


def _opening(step: int | None) -> str:
    return f'{{"step": {"null" if step is None else step}, "histogram": '


async def send_combined(context: Context, request: web.Request, run: str, asset_id: str) -> web.StreamResponse:
    """Send the histograms of one name, by step. Raises NotFound."""
    listed = await context.repositories.assets.of_run(context.scope, run, HISTOGRAM)
    parts = [one for one in listed if combined_histograms_id(run, one.name) == asset_id]
    if not parts:
        raise NotFound(f"experiment {run} has no histograms {asset_id[:80]!r}: see get_asset_list")
    in_order = sorted(parts, key=lambda one: (one.step or 0, one.at, one.asset))
    return await stream_json(context, request, _HEAD, _texts(context, in_order), _TAIL)


async def _texts(context: Context, parts: Sequence[AssetRecord]) -> AsyncGenerator[str, None]:
    for number, one in enumerate(parts):
        yield (_BETWEEN if number else "") + _opening(one.step)
        async for text in text_of(context, one.sha256):
            yield text
        yield "}"
