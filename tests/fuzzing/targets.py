"""Every target."""

from typing import Final

from fuzzing import answered, contract, logged, reading, sending, spooled, storing, wired
from fuzzing.cases import Target

#: Run within processes of the pool.
PURE: Final[tuple[Target, ...]] = (
    *contract.TARGETS,
    *reading.TARGETS,
    *answered.TARGETS,
    *sending.TARGETS,
    *wired.TARGETS,
    *spooled.TARGETS,
    *logged.TARGETS,
    *storing.TARGETS,
)
