"""Readers of live streams: `python -m bench.live_reader '{"url": ..., "bodies": [...]}'`.

Opens a stream for each body, says `{"streams": N}` once each of them has begun, and at the next word how many tails and
bytes came. It looks at as little as a reader can, because it has the same processors as the server.
"""

import asyncio
import json
import sys
from typing import Any, Final

import aiohttp

_TAIL: Final = b'"too_many":'
_LOOK_S: Final = 0.1
_LOOKS: Final = 600
_AGAIN: Final = b'"too_many":true'


class Counts:
    """What came on all streams."""

    def __init__(self) -> None:
        self.begun = self.bytes = self.tails = self.again = 0


async def read(session: aiohttp.ClientSession, url: str, body: Any, counts: Counts) -> None:
    """Count what comes on a stream until it ends."""
    async with session.post(f"{url}/api/v1/live", json=body) as response:
        response.raise_for_status()
        counts.begun += 1
        async for piece in response.content.iter_any():
            counts.bytes += len(piece)
            counts.tails += piece.count(_TAIL)
            counts.again += piece.count(_AGAIN)


async def main() -> None:
    parameters = json.loads(sys.argv[1])
    counts = Counts()
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
        reading = [asyncio.create_task(read(session, parameters["url"], body, counts)) for body in parameters["bodies"]]
        while counts.begun < len(reading):
            await asyncio.sleep(0.02)
            for task in reading:
                if task.done():
                    task.result()
        say({"streams": counts.begun})
        await asyncio.to_thread(sys.stdin.readline)
        # Of a short load the first tails may be on their way still.
        for _ in range(_LOOKS if reading else 0):
            if counts.tails:
                break
            await asyncio.sleep(_LOOK_S)
        say({"bytes": counts.bytes, "tails": counts.tails, "too_many": counts.again})
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)


def say(fields: dict[str, Any]) -> None:
    print(json.dumps(fields), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
