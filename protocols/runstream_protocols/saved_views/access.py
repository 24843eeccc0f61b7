"""How pages and Runstream's client show their key: as everywhere."""

from typing import Final

from runstream_service.protocols import ProtocolAccess

ACCESS: Final = ProtocolAccess(name="saved_views")
