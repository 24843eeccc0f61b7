"""What the handlers of UbiOps' routes work with."""

from dataclasses import dataclass
from typing import Any

from runstream_protocols.kit.entities import Entities
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.places import Place, place_of
from runstream_protocols.kit.side import GatewaySide
from runstream_protocols.ubiops.paths import VERSIONS
from runstream_protocols.ubiops.presets import require_deployment
from runstream_service.routing import Call
from runstream_service.sealing import Sealing


@dataclass(frozen=True, slots=True)
class UbiopsSide(GatewaySide):
    """Used from one event loop. `sealing`: encrypts the values of secret variables. `began_us`: when this gateway began
    to serve, in microseconds since 1970 UTC."""

    sealing: Sealing
    began_us: int

    @property
    def entities(self) -> Entities:
        """The entities of the request: what projects have that Runstream's own do not."""
        return Entities(self.recorder, self.context)


def place_in(call: Call[Any]) -> Place:
    """Return the project in a request's path, whose other parts are checked, too. Raises Refused."""
    require_version(call)
    if (deployment := call.path.get("deployment")) is not None:
        require_deployment(deployment)
    return place_of(call.path["project"])


async def place_to_change(side: UbiopsSide, call: Call[Any]) -> Place:
    """Return the project in a request's path, which its principal may change. Raises Refused, Problem (403)."""
    place = place_in(call)
    await side.recorder.require(place.record_key)
    return place


def require_version(call: Call[Any]) -> None:
    """Refuse a version of the interface that is not served. Raises Refused (404)."""
    if (version := call.path["api"]) not in VERSIONS:
        raise Refused(
            f"there is no version {version[:40]!r} of this interface: give {' or '.join(VERSIONS)}", status=404
        )
