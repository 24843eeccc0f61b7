"""The two ways in which a block gets into its table: as the only writer, and beside other workers."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from runstream_processors.store.resume import NOTHING, Commit, commits
from runstream_processors.store.tables import column_names
from runstream_processors.worker.claims import Claim, Outcome, Overtaken, claim_of
from runstream_processors.worker.inserts import Insert
from runstream_service.store import Store, StoreUnavailable

logger = logging.getLogger(__name__)

#: Inserts a block, or raises StoreUnavailable, StoreInvalid or Overtaken; then nobody knows whether it is there.
Inserting = Callable[[Insert], Awaitable[None]]

#: An engine that dies between a token and its part does so once; more than this is a fault that no retry mends.
_MOST_ATTEMPTS: Final = 5
#: A worker that was stopped for longer looks before it inserts, too: by then others may have made so many inserts that
#: the engine does not remember the token of its place any more.
_TRUSTED_S: Final = 20.0


def sole_writer(store: Store) -> Inserting:
    """For the one worker of an embedded store, whose directory's lock keeps every other one out."""

    async def insert(block: Insert) -> None:
        await store.insert(block.table, column_names(block.table, block.optional), block.block, block.rows)

    return insert


class ClaimedInserts:
    """For one of many workers. Every block has rows of one partition (see `claims`); after each insert it looks whether
    the table's rows of the partition now end where it wanted them to, and raises Overtaken if they do not."""

    def __init__(self, store: Store, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._monotonic_s = monotonic_s
        self._looked_s: dict[str, float] = {}

    async def __call__(self, block: Insert) -> None:
        claim = claim_of(block.after, block.last)
        if self._monotonic_s() - self._looked_s.get(block.table, float("-inf")) > _TRUSTED_S:
            end = max(await self._end(block.table, claim), await self._committed_end(block.table, claim))
            if end != claim.after:
                raise Overtaken(
                    f"{block.table} has rows of partition {claim.part} up to {end}, this worker knows of "
                    f"{claim.after}: another one went on"
                )
        columns = column_names(block.table, block.optional)
        for _ in range(_MOST_ATTEMPTS):
            await self._store.insert(block.table, columns, block.block, block.rows, token=claim.token)
            # In this order: rows are only deleted once they are committed, and then the commit row says that they were
            # there.
            end = await self._end(block.table, claim)
            if end <= claim.last:
                end = max(end, await self._committed_end(block.table, claim))
            match claim.outcome(end):
                case Outcome.WRITTEN:
                    self._looked_s[block.table] = self._monotonic_s()
                    return
                case Outcome.OVERTAKEN:
                    raise Overtaken(
                        f"{block.table} has rows of partition {claim.part} up to {end}, and not up to {claim.last} as "
                        "this worker wanted to write them: another one did"
                    )
                case Outcome.ABSENT:
                    logger.warning(
                        "%s took the block behind %d:%d and does not have it: the engine died in between; trying again",
                        block.table,
                        claim.part,
                        claim.after,
                    )
                    claim = claim.again()
        raise StoreUnavailable(
            f"{block.table} took a block {_MOST_ATTEMPTS} times and has none of it: look into the server's log, "
            "and whether its disk and the table's settings are those of the migrations"
        )

    async def _end(self, table: str, claim: Claim) -> int:
        """The last offset of the partition that has rows in the table; `claim.after` if none is beyond it."""
        beyond = "AND offset > {after:UInt64}" if claim.after >= 0 else ""
        rows = await self._store.query(
            f"SELECT count() AS n, toInt64(max(offset)) AS last FROM {table} WHERE part = {{part:UInt16}} {beyond}",
            {"part": claim.part, "after": claim.after} if beyond else {"part": claim.part},
        )
        row = rows.to_pylist()[0]
        return int(row["last"]) if row["n"] else claim.after

    async def _committed_end(self, table: str, claim: Claim) -> int:
        """Where the newest commit row says that the table ended; `claim.after` if it says no more than that."""
        commit = (await commits(self._store)).get(claim.part, Commit())
        return max(claim.after, commit.tails.get(table, NOTHING))
