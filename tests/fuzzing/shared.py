"""What a server's process and the attacker's share in a file: see server_child.py."""

import struct
from typing import Final

SHARED: Final = struct.Struct("<qq32s")
LONGEST: Final = slice(0, 8)
REFERENCE: Final = slice(8, 16)
REQUEST: Final = slice(16, 48)
