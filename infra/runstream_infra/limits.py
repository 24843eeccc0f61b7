"""Every bound of a server process, as one frozen part of its settings.

docs/security.md lists the bounds; a test holds that list to the models.
"""

from pydantic import BaseModel, ConfigDict

from runstream_ingest.gateway.settings import GatewaySettings
from runstream_processors.worker.settings import WorkerSettings
from runstream_query.settings import QuerySettings
from runstream_service.connection_settings import ConnectionSettings
from runstream_service.stalls import LoopSettings


class Limits(BaseModel):
    """The bounds of a process. A process ignores the sections that are not for its kind."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gateway: GatewaySettings = GatewaySettings()
    query: QuerySettings = QuerySettings()
    worker: WorkerSettings = WorkerSettings()
    connections: ConnectionSettings = ConnectionSettings()
    loop: LoopSettings = LoopSettings()
