"""Makes the tables of a server in its data directory, as its first start does, and ends.

Arguments: DIRECTORY.
"""

import asyncio
import sys
from pathlib import Path

from runstream_processors.store.databases import EngineDatabases


async def main(directory: Path) -> None:
    databases = await EngineDatabases.open(directory / "store")
    await databases.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
