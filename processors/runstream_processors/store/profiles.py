"""Engine profiles: the same migrations for one server, for replicas, and for shards of replicas.

Migrations are written for one server (`plain`). The other profiles rewrite each statement; nothing else differs, so
there is one set of files, with one checksum each. docs/design/clickhouse.md says why the tables come out as they do.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

from runstream_service.store import StoreInvalid

Kind = Literal["plain", "replicated", "distributed"]

_CREATE_TABLE: Final = re.compile(r"\ACREATE TABLE IF NOT EXISTS (\w+)")
_CREATE_VIEW: Final = re.compile(r"\ACREATE (?:OR REPLACE VIEW|VIEW IF NOT EXISTS) (\w+)")
_ALTER: Final = re.compile(
    r"\AALTER TABLE (\w+) (MODIFY SETTING|MODIFY COMMENT|ADD COLUMN IF NOT EXISTS|"
    r"ADD PROJECTION IF NOT EXISTS|DROP PROJECTION IF EXISTS|MATERIALIZE PROJECTION)\b"
)
_ENGINE: Final = re.compile(r"\bENGINE = (\w*MergeTree)(?:\(([^()]*)\))?")
_WINDOW: Final = re.compile(r"\bnon_replicated_deduplication_window = (\d+)")
_REMEMBERS: Final = re.compile(rf"\AALTER TABLE \w+ MODIFY SETTING {_WINDOW.pattern}\Z")
_CLUSTER: Final = re.compile(r"[A-Za-z0-9_.{}-]*\Z")
_KEEPER_PATH: Final = re.compile(r"/[A-Za-z0-9_./{}-]*[A-Za-z0-9_}-]\Z")

#: The tables of applied migrations and of generations are one for all shards: they say what every server has.
_SHARED: Final = frozenset({"schema_migrations", "generations"})
#: Rows of one partition of the log lie on one shard: a run is in one partition, and so is a block that is inserted.
SHARDING_KEY: Final = "part"
#: Replicas forget tokens by age too. A week outlasts every repetition, and 10,000 inserts end the window before.
_TOKENS_REMEMBERED_S: Final = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class EngineProfile:
    """What kind of ClickHouse the tables are for.

    kind: `plain` is one server; `replicated` is one shard of replicas; `distributed` is any number of shards of
    replicas. cluster: the name for ON CLUSTER (a macro such as `{cluster}` works); empty leaves ON CLUSTER away, for
    databases that pass DDL on by themselves. keeper_path: where replicated tables keep their state in Keeper.
    remembers_tokens: whether tables remember the tokens of inserts; only stores that several workers share need it.
    Raises StoreInvalid for names that cannot stand in a statement, and for shards without a cluster.
    """

    kind: Kind = "plain"
    cluster: str = "{cluster}"
    keeper_path: str = "/clickhouse/tables"
    remembers_tokens: bool = True

    def __post_init__(self) -> None:
        if not _CLUSTER.match(self.cluster):
            raise StoreInvalid(f"cluster {self.cluster!r} cannot be used: give letters, digits and any of _.-{{}}")
        if not _KEEPER_PATH.match(self.keeper_path):
            raise StoreInvalid(f"the path {self.keeper_path!r} in Keeper cannot be used: give /a/path without an end /")
        if self.kind == "distributed" and not self.cluster:
            raise StoreInvalid("the distributed profile needs the name of a cluster: its tables are spread over it")

    @property
    def on_cluster(self) -> str:
        """` ON CLUSTER '...'`, or nothing."""
        return f" ON CLUSTER '{self.cluster}'" if self.kind != "plain" and self.cluster else ""

    def local(self, table: str) -> str:
        """The table that holds the rows of `table` on each server."""
        return f"{table}_local" if self.kind == "distributed" and table not in _SHARED else table

    def system(self, table: str) -> str:
        """A table of `system` over all servers, to stand behind FROM."""
        if self.kind == "distributed":
            return f"clusterAllReplicas('{self.cluster}', system.{table})"
        return f"system.{table}"

    def statements(self, statement: str) -> list[str]:
        """A migration's statement as this profile runs it. Raises StoreInvalid for a kind that it does not know."""
        if not self.remembers_tokens and _REMEMBERS.match(statement):
            return []
        if self.kind == "plain":
            return [statement]
        if found := _CREATE_TABLE.match(statement):
            return self._create_table(found[1], statement[found.end() :])
        if found := _CREATE_VIEW.match(statement):
            return [f"{found[0]}{self.on_cluster}{statement[found.end() :]}"]
        if found := _ALTER.match(statement):
            return self._alter(found[1], found[2], statement[found.end() :])
        raise StoreInvalid(
            f"the {self.kind} profile cannot rewrite: {' '.join(statement.split())[:100]}; migrations create tables "
            "and views, add columns and projections, drop projections and change settings"
        )

    def _create_table(self, table: str, rest: str) -> list[str]:
        local = self.local(table)
        made = [f"CREATE TABLE IF NOT EXISTS {local}{self.on_cluster}{self._replicated(table, rest)}"]
        if local != table:
            made.append(
                f"CREATE TABLE IF NOT EXISTS {table}{self.on_cluster} AS {local} "
                f"ENGINE = Distributed('{self.cluster}', currentDatabase(), {local}, {SHARDING_KEY})"
            )
        return made

    def _alter(self, table: str, what: str, rest: str) -> list[str]:
        local = self.local(table)
        tables = [local, table] if what.startswith("ADD COLUMN") and local != table else [local]
        rest = _WINDOW.sub(
            rf"replicated_deduplication_window = \1, "
            rf"replicated_deduplication_window_seconds = {_TOKENS_REMEMBERED_S}",
            rest,
        )
        return [f"ALTER TABLE {name}{self.on_cluster} {what}{rest}" for name in tables]

    def _replicated(self, table: str, rest: str) -> str:
        shard, replica = ("all", "{shard}-{replica}") if table in _SHARED else ("{shard}", "{replica}")
        path = f"'{self.keeper_path}/{shard}/{{database}}/{self.local(table)}'"

        def engine(found: re.Match[str]) -> str:
            arguments = ", ".join(filter(None, (path, f"'{replica}'", found[2])))
            return f"ENGINE = Replicated{found[1]}({arguments})"

        made, count = _ENGINE.subn(engine, rest)
        if count != 1:
            raise StoreInvalid(f"table {table} names {count} engines of the MergeTree family: a migration names one")
        # A replica fetches a broken part from another one, instead of refusing to start.
        return made.replace("max_suspicious_broken_parts = 0, ", "")


PLAIN: Final = EngineProfile()
#: The embedded server's store: one worker inserts, without tokens, and a table that remembers them writes a log with
#: every part that comes or goes.
EMBEDDED: Final = EngineProfile(remembers_tokens=False)
