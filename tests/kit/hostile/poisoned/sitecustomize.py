"""For processes of a test alone (PYTHONPATH): frames that bring down whoever decodes or folds them.

What stands in a frame's events decides: `POISON-abort` ends the process where the frame is decoded, `POISON-memory`
takes all the memory that there is, `POISON-store` ends a server where it inserts the rows, which no trial does,
`POISON-raise` lets the fold raise.
"""

import os
import sys

if os.environ.get("RUNSTREAM_TEST_POISON"):
    from runstream.events import frame

    _decode_frame = frame.decode_frame

    class _Raising(bytes):
        def __bool__(self) -> bool:
            raise RuntimeError("invented: a fault in the fold")

    def decode_frame(data: bytes | memoryview) -> frame.Frame:
        decoded = _decode_frame(data)
        if b"POISON-abort" in decoded.events:
            os.abort()
        if b"POISON-memory" in decoded.events:
            bytearray(2**40)
        if b"POISON-store" in decoded.events and "embedded_server" in sys.argv[0]:
            os.abort()
        if b"POISON-raise" in decoded.events:
            return decoded._replace(events=_Raising(decoded.events))
        return decoded

    frame.decode_frame = decode_frame
