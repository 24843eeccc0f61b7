"""The gateway: frames, commands and assets in by HTTP, acknowledged when they are durable (docs/design/gateway.md).

`settings`  what can be chosen; `routes` (`add_gateway`) puts the handlers into an application
`frames`    the frames of a request: split, checked, sorted by writer; pure
`writers`   where every writer stands, and who may append now
`pressure`  how much the gateway takes in at once; `shares` divides it
`append`, `commands`, `assets`  the handlers
`metrics`   what is counted
"""

from runstream_ingest.gateway.metrics import GatewayMetrics
from runstream_ingest.gateway.routes import add_gateway
from runstream_ingest.gateway.settings import GatewaySettings

__all__ = ["GatewayMetrics", "GatewaySettings", "add_gateway"]
