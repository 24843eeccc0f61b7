"""`api.server`."""

from __future__ import annotations

from runstream.api.errors import Refused
from runstream.api.guarding import reads_responses
from runstream.api.session import Session
from runstream.api.views.server import KeyRights, OddClock, Readiness, Rebuild, ServerSetting, ServerStatus
from runstream.api.views.table import Table


@reads_responses
class ServerApi:
    """What the server tells of itself."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def readiness(self) -> Readiness:
        """Read whether the server is ready, and the state of each of its parts. One that is not ready responds too."""
        with self._session.open("GET", "/readyz", any_status=True) as response:
            return Readiness.of(self._session.json_of(response))

    def status(self) -> ServerStatus:
        """Read the server's version, how far its tables lag, what is in quarantine, and the room on its disk."""
        return ServerStatus.of(self._session.get("/api/v1/server"))

    def settings(self) -> Table[ServerSetting]:
        """Read every setting of the server's process, and where each came from; in a cluster of one query server."""
        return Table([ServerSetting.of(row) for row in self._session.get("/api/v1/server/settings")["settings"]])

    def rebuild(self, *, replace: bool = False) -> Rebuild:
        """Let the server fold its whole log into fresh tables beside those in use, and compare both. Returns at once;
        `status().read_models` shows how far it is. With `replace` the fresh tables take over, also where they differ.
        Raises Refused where another generation is being built, or the log has lost its beginning."""
        return Rebuild.of(self._session.post("/api/v1/server/rebuild", {"replace": replace}))

    def key(self) -> KeyRights | None:
        """Read what the key of this API may do; None if the server does not know the key."""
        try:
            return KeyRights.of(self._session.get("/api/v1/key"))
        except Refused as error:
            if error.problem.get("status") == 401:
                return None
            raise

    def odd_clocks(self) -> Table[OddClock]:
        """Read which running runs have a clock that is far from the server's."""
        return Table([OddClock.of(row) for row in self._session.get("/api/v1/clocks")["runs"]])
