"""Keeping the lease of a run while it is prepared, and hearing whether the run was cancelled."""

import logging
import threading

from runstream.agent.leases import TIMEOUT_S, Granted, KeyRefused, Leases, Stale
from runstream.errors import Invalid, Unavailable

logger = logging.getLogger(__name__)


class Keeper:
    """Renews a lease every `every_s` seconds, from a thread of its own, as long as the block lasts. A server that is
    away changes nothing: the lease runs out by the server's clock alone."""

    def __init__(self, leases: Leases, granted: Granted, every_s: float) -> None:
        self._leases = leases
        self._granted = granted
        self._every_s = every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="runstream-lease", daemon=True)
        #: What the server said last.
        self.is_cancelled = False
        self.is_stale = False
        #: Why the key was refused the last time; None: it was not.
        self.refusal: KeyRefused | None = None

    def __enter__(self) -> "Keeper":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Renew nothing from here on: a lease that is released has to stay so. Waits for a renewal under way."""
        self._over.set()
        self._thread.join(TIMEOUT_S)

    @property
    def goes_on(self) -> bool:
        """Whether the run is to be executed, as far as is known."""
        return not (self.is_cancelled or self.is_stale)

    def look(self) -> None:
        """Renew the lease once."""
        try:
            self.is_cancelled = self._leases.renew(self._granted).cancelled or self.is_cancelled
            self.refusal = None
        except Stale as error:
            logger.warning("%s", error)
            self.is_stale = True
        except Unavailable as error:
            logger.info("the lease cannot be renewed now: %s", error)
        except Invalid as error:
            logger.warning("the lease cannot be renewed: %s", error)
        except KeyRefused as error:
            logger.warning("the lease cannot be renewed: %s", error)
            self.refusal = error

    def _run(self) -> None:
        while not self._over.wait(self._every_s) and not self.is_stale:
            self.look()
