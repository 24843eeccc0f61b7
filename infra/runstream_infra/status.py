"""How the server is doing, in one response: what `runstream doctor` shows."""

import asyncio
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

from runstream._version import VERSION
from runstream.events.positions import Positions
from runstream_infra.rebuild_requests import RebuildStatus
from runstream_infra.refold_status import Doing, RefoldStatus
from runstream_query.problems import problem_of
from runstream_query.repositories import Repositories
from runstream_query.responses import ResponseModel, encode_json
from runstream_service.access import EVERYTHING, Action
from runstream_service.log import LogReader
from runstream_service.routing import Call, Route, add_routes, plain_handler, tagged
from runstream_service.settings import Origin, ProcessSettings
from runstream_service.store import QueryClass, StoreError, StoreReader
from runstream_service.visibility import Visibility

STATUS_PATH: Final = "/api/v1/server"


class ReadModelsStatus(ResponseModel):
    """The read models' generations. `differences` are the projections that generation `serving` has in another version
    than this server folds. While there are some, generation `building` is made beside it, with `folded` of `records`
    records of the log, or `obstacle` says why none is. `trouble` is what went wrong last, `rebuild` the last rebuild
    that was requested."""

    serving: int
    differences: list[str]
    building: int | None
    doing: Doing | None
    folded: int
    records: int
    obstacle: str | None
    trouble: str | None
    rebuild: RebuildStatus | None


class ServerStatus(ResponseModel):
    """`visible` is the position up to which every table is complete, `lag_records` how many records of the log are
    behind it. Quarantined records are counted by cause. The disk is the embedded server's; null in a cluster. The
    generations of the read models are null until they were looked at."""

    version: str
    visible: str
    lag_records: int
    quarantined_records: int
    quarantined_by_cause: dict[str, int]
    disk_free_bytes: int | None
    disk_total_bytes: int | None
    read_models: ReadModelsStatus | None


class ServerSetting(ResponseModel):
    """A setting of the process that responds. `name` is its place in a settings file, `origin` where the value came
    from: default, file, environment or option. A secret's value says only that it is set."""

    name: str
    variable: str
    value: bool | int | float | str | list[str] | None
    default: bool | int | float | str | list[str] | None
    origin: Origin


class ServerSettingList(ResponseModel):
    """In the order of docs/configuration.md."""

    settings: list[ServerSetting]


@dataclass(frozen=True, slots=True)
class _Parts:
    log: LogReader
    store: StoreReader
    visibility: Visibility
    data_dir: Path | None
    settings: ProcessSettings
    refolding: Callable[[], RefoldStatus | None]


async def show_status(parts: _Parts, call: Call[None]) -> web.Response:
    """Return how the server is doing."""
    next_offsets = await parts.log.next_offsets()
    visible = parts.visibility.visible()
    try:
        reads = Repositories.over(parts.store, QueryClass.PROBE)
        quarantined = await reads.quarantine.counts_by_cause(EVERYTHING)
    except StoreError as error:
        raise problem_of(error) or error from error
    disk = await asyncio.to_thread(shutil.disk_usage, parts.data_dir) if parts.data_dir is not None else None
    status = ServerStatus(
        version=VERSION,
        visible=str(visible),
        lag_records=lag_records(next_offsets, visible),
        quarantined_records=sum(quarantined.values()),
        quarantined_by_cause=quarantined,
        disk_free_bytes=disk.free if disk else None,
        disk_total_bytes=disk.total if disk else None,
        read_models=read_models(parts.refolding()),
    )
    return web.Response(body=encode_json(status), headers={"Content-Type": "application/json"})


async def show_settings(parts: _Parts, call: Call[None]) -> web.Response:
    """Return every setting of this process."""
    settings = [ServerSetting(**asdict(one)) for one in parts.settings.listed()]
    body = encode_json(ServerSettingList(settings=settings))
    return web.Response(body=body, headers={"Content-Type": "application/json"})


ROUTES: Final = tagged(
    "operations",
    (
        Route(
            "GET",
            STATUS_PATH,
            Action.OPERATE,
            "How the server is doing",
            show_status,
            response=ServerStatus,
            head=True,
        ),
        Route(
            "GET",
            f"{STATUS_PATH}/settings",
            Action.OPERATE,
            "Its settings, and where each came from",
            show_settings,
            response=ServerSettingList,
        ),
    ),
)


def add_status(
    app: web.Application,
    *,
    log: LogReader,
    store: StoreReader,
    visibility: Visibility,
    data_dir: Path | None,
    settings: ProcessSettings,
    refolding: Callable[[], RefoldStatus | None] = lambda: None,
) -> None:
    """Add ROUTES, before the application starts. refolding: the generations of the read models as they are."""
    parts = _Parts(log, store, visibility, data_dir, settings, refolding)
    add_routes(app, ROUTES, lambda route: plain_handler(route, parts))


def read_models(status: RefoldStatus | None) -> ReadModelsStatus | None:
    """The generations as the response has them. Pure."""
    return None if status is None else ReadModelsStatus.model_validate(asdict(status))


def lag_records(next_offsets: Mapping[int, int], visible: Positions) -> int:
    """Records in the log that are not in every table yet. Pure."""
    return sum(max(next_offset - visible[part], 0) for part, next_offset in next_offsets.items())
