"""How Runstream's client shows its key: as everywhere."""

from typing import Final

from runstream_service.protocols import ProtocolAccess

ACCESS: Final = ProtocolAccess(name="sweeps")
