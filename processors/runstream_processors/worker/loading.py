"""Loading the newest states of keys from the store into the worker's memory."""

from typing import Final

from runstream_processors.worker.folding import Folding
from runstream_service.store import StoreReader

_WATERMARKS: Final = """
SELECT key, writer, seen, toUnixTimestamp64Micro(last_seen_at) AS last_seen_at_us, ended, part, offset
FROM watermarks WHERE key IN {keys:Array(String)}
"""
_RUNS: Final = "SELECT run, state, part, offset FROM runs WHERE run IN {keys:Array(String)}"
_SUMMARIES: Final = "SELECT * FROM summaries WHERE run IN {keys:Array(String)}"
_ARTIFACTS: Final = "SELECT key, artifact, state, part, offset FROM artifacts WHERE key IN {keys:Array(String)}"
_ENTITIES: Final = "SELECT * FROM entities WHERE key IN {keys:Array(String)} AND NOT deleted"
_PROJECTS: Final = "SELECT * FROM projects"
_EXPERIMENTS: Final = "SELECT * FROM experiments"

#: Keys of one query: 1,000 run ids are 35 kB of parameter.
_KEYS_PER_QUERY: Final = 1000


async def load_catalog(store: StoreReader, folding: Folding) -> None:
    """Load all projects and experiments. Raises StoreUnavailable, Overtaken."""
    folding.load_catalog(await store.query(_PROJECTS), await store.query(_EXPERIMENTS))


async def load_keys(store: StoreReader, folding: Folding, keys: set[str]) -> None:
    """Load what the fold needs to know of `keys`. Every flush must be written before. Raises StoreUnavailable,
    Overtaken."""
    ordered = sorted(keys)
    for begin in range(0, len(ordered), _KEYS_PER_QUERY):
        some = ordered[begin : begin + _KEYS_PER_QUERY]
        parameters = {"keys": some}
        folding.load(
            set(some),
            await store.query(_WATERMARKS, parameters),
            await store.query(_RUNS, parameters),
            await store.query(_SUMMARIES, parameters),
        )
        # A run's key has no "/", and there are many runs for each project.
        if named := [key for key in some if "/" in key]:
            folding.load_artifacts(await store.query(_ARTIFACTS, {"keys": named}))
            folding.load_entities(await store.query(_ENTITIES, {"keys": named}))
