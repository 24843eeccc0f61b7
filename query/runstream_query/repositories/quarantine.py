"""What could not be read of the log."""

from runstream_query.repositories.reader import Reader
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.scoping import of_keys
from runstream_service.access import Scope


class QuarantineRepository:
    """Reads about quarantined records. All methods raise what the store raises."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def counts_by_cause(self, scope: Scope) -> dict[str, int]:
        """Return cause -> how many records, by cause. Records with keys that nothing is known of are outside of every
        scope but that of everything."""
        parameters = Parameters()
        where = "".join(f" WHERE {condition}" for condition in of_keys(scope, parameters))
        sql = f"SELECT cause, count() AS n FROM quarantine{where} GROUP BY cause ORDER BY cause"
        return {row["cause"]: row["n"] for row in await self._reader.rows(sql, parameters)}
