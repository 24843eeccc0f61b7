"""Comet's client, as the rest of the server knows it."""

from typing import Final

from aiohttp import web

from runstream_protocols.comet.access import ACCESS
from runstream_protocols.comet.optimizer.routes import ROUTES as OPTIMIZER
from runstream_protocols.comet.optimizer.routes import add_optimizer
from runstream_protocols.comet.paths import ADDRESS, LOCATIONS
from runstream_protocols.comet.reads.routes import ROUTES as READS
from runstream_protocols.comet.reads.routes import add_comet
from runstream_protocols.comet.writes.routes import ROUTES as WRITES
from runstream_protocols.comet.writes.routes import add_comet_writes
from runstream_protocols.protocol import Protocol, ReadingSide, WritingSide


def _add_writes(app: web.Application, side: WritingSide) -> None:
    add_comet_writes(app, gateway=side.gateway, assets=side.assets, lookup=side.lookup)
    add_optimizer(app, side)


def _add_reads(app: web.Application, side: ReadingSide) -> None:
    add_comet(app, store=side.store, visibility=side.visibility, assets=side.assets, settings=side.settings)


COMET: Final = Protocol(
    name="comet",
    title="Comet",
    address=ADDRESS,
    access=ACCESS,
    locations=LOCATIONS,
    writes=(*WRITES, *OPTIMIZER),
    reads=READS,
    add_writes=_add_writes,
    add_reads=_add_reads,
)
