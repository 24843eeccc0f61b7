"""What the store needs now and then, beside what it does by itself."""

from typing import Final

from runstream_processors.store.profiles import PLAIN, EngineProfile
from runstream_service.store import Store

#: The projection of `points` that curves are read from.
ROLL_UP: Final = "buckets"
#: None while the engine still works through an earlier request.
_LEFT_OVER: Final = """
SELECT count() AS parts FROM {parts}
WHERE active AND database = currentDatabase() AND table = '{table}' AND NOT has(projections, '{roll_up}')
  AND modification_time < now() - {{age_s:UInt32}}
  AND (
    SELECT count() FROM {mutations}
    WHERE database = currentDatabase() AND table = '{table}' AND NOT is_done
      AND command LIKE '%MATERIALIZE PROJECTION {roll_up}%'
  ) = 0
"""


async def complete_roll_up(store: Store, older_than_s: int = 60, profile: EngineProfile = PLAIN) -> int:
    """Make the roll-up of points in parts that no merge reached, and return how many there are.

    Merges make it, but join only parts that both have it or both lack it. So a fresh part between two rolled-up ones
    stays as it is for ever, is scanned by every panel and keeps its neighbours apart. About one in a thousand inserts
    ends so: call this every few minutes. So do all parts of a table that had an earlier roll-up. It returns at once,
    the engine works in the background; parts that have their roll-up are only linked anew. Raises StoreUnavailable,
    StoreInvalid.
    """
    left_over = _LEFT_OVER.format(
        parts=profile.system("parts"),
        mutations=profile.system("mutations"),
        table=profile.local("points"),
        roll_up=ROLL_UP,
    )
    rows = await store.query(left_over, {"age_s": older_than_s})
    parts = int(rows["parts"][0].as_py())
    if parts:
        for statement in profile.statements(f"ALTER TABLE points MATERIALIZE PROJECTION {ROLL_UP}"):
            await store.command(statement)
    return parts
