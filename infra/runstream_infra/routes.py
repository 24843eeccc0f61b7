"""The server's own routes beside those of the query service, for its OpenAPI document. They are those of all its
processes: a query server of a cluster documents the gateways too."""

from typing import Final

from runstream_infra import rebuild_requests, status
from runstream_ingest.gateway import routes as gateway
from runstream_service import metrics

OWN_ROUTES: Final = (*status.ROUTES, *rebuild_requests.ROUTES, *gateway.ROUTES, *metrics.ROUTES)
