"""One process of each kind. Each serves /healthz, /readyz and /metrics beside what it is for, and ends on SIGTERM.

A process imports what its kind needs, and no other: Faust is the worker's alone.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Final, Literal

from runstream.errors import InvalidSetting
from runstream_infra.cluster.settings import RoleSettings
from runstream_infra.listening import StartFailed
from runstream_processors.generations import CURRENT, Versions
from runstream_service.assets import AssetError
from runstream_service.auth import InsecureBind, InvalidKey
from runstream_service.log import LogError
from runstream_service.logs import configure_logging
from runstream_service.store import StoreError
from runstream_service.tls import InvalidCertificate

#: What is wrong with what the process was given; the messages say what to do.
_REFUSALS: Final = (LogError, StoreError, AssetError, InvalidKey, InsecureBind, InvalidCertificate, InvalidSetting)

Role = Literal["gateway", "worker", "query-server"]


def run_role(
    role: Role,
    settings: RoleSettings,
    on_ready: Callable[[str], None],
    *,
    on_step: Callable[[str], None] = lambda step: None,
    versions: Versions = CURRENT,
) -> int:
    """Serve until SIGINT or SIGTERM. Blocks; call it from the main thread.

    on_ready: called once with the address, when the port is open; `/readyz` says when the rest is, too. on_step: see
    `ClusterRefolding` (fault tests). versions: of the read models. Returns 0 after an orderly end, 1 if the process
    gave up by itself. Raises StartFailed.
    """
    configure_logging(settings.log_format)
    os.umask(0o077)
    try:
        match role:
            case "gateway":
                from runstream_infra.cluster import gateway

                serving = gateway.serve(settings, versions, on_ready)
            case "query-server":
                from runstream_infra.cluster import query_server

                serving = query_server.serve(settings, versions, on_ready)
            case "worker":
                from runstream_infra.cluster import worker

                serving = worker.serve(settings, versions, on_ready, on_step)
        return asyncio.run(serving)
    except (*_REFUSALS, OSError) as error:
        raise StartFailed(str(error)) from error
