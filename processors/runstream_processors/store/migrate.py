"""Numbered SQL files, applied once each and in order, and remembered in the table `schema_migrations`.

An applied file is never edited: its checksum is compared at every start. A crash in the middle of a file leaves it
unremembered and it is run again from its first statement, so every statement must bear being run twice. That is also
why several processes may start at once and migrate the same database: each statement says IF NOT EXISTS or sets what
the other one sets, and a file that two of them remember is still one.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final

from runstream.clock import SYSTEM_CLOCK
from runstream_processors.store.native import block
from runstream_processors.store.profiles import PLAIN, EngineProfile, Kind
from runstream_service.store import Store, StoreInvalid

_REMEMBERED: Final = (("name", "String"), ("sha256", "String"), ("applied_at", "DateTime64(6, 'UTC')"))
_CREATE: Final = (
    "CREATE TABLE IF NOT EXISTS schema_migrations "
    f"({', '.join(f'{name} {kind}' for name, kind in _REMEMBERED)}) ENGINE = MergeTree ORDER BY name"
)


#: The engine of `points` (a table of the first migration) says for which profile the tables were made.
_MADE_FOR: Final = "SELECT engine FROM system.tables WHERE database = currentDatabase() AND name = 'points'"
_KINDS: Final[dict[str, Kind]] = {
    "MergeTree": "plain",
    "ReplicatedMergeTree": "replicated",
    "Distributed": "distributed",
}


class SchemaMismatch(StoreInvalid):
    """The database was made by other migrations than this build has; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its name and what it says."""

    name: str
    sql: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()

    def statements(self) -> list[str]:
        """The file's statements, without comments."""
        return [text for text in map(str.strip, _split(self.sql)) if text]


def shipped(folder: Traversable | None = None) -> list[Migration]:
    """The migrations of this build (or those in `folder`), in order."""
    folder = folder or files("runstream_processors.store") / "migrations"
    found = [Migration(file.name, file.read_text("utf-8")) for file in folder.iterdir() if file.name.endswith(".sql")]
    return sorted(found, key=lambda migration: migration.name)


def pending(migrations: Sequence[Migration], applied: Sequence[tuple[str, str]]) -> list[Migration]:
    """Those that follow the applied (name, sha256) pairs, which must be the first of `migrations`, unchanged.

    Raises SchemaMismatch.
    """
    known = {migration.name: migration for migration in migrations}
    for name, sha256 in sorted(applied):
        if name not in known:
            raise SchemaMismatch(
                f"the database has migration {name}, this build ends with {max(known, default='none')}: "
                "it was made by a newer runstream, upgrade this one (or give another data directory)"
            )
        if known[name].sha256 != sha256:
            raise SchemaMismatch(
                f"migration {name} was applied with sha256 {sha256[:12]}, this build has {known[name].sha256[:12]}: an "
                "applied file is never edited; restore it and put the change into a new one, or rebuild the database"
            )
    names = sorted(name for name, _ in applied)
    if names != [migration.name for migration in migrations[: len(names)]]:
        missed = next(migration.name for migration in migrations if migration.name not in names)
        raise SchemaMismatch(
            f"the database skipped migration {missed} but has {names[-1]}: give new migrations the next number"
        )
    return list(migrations[len(names) :])


async def migrate(
    store: Store,
    migrations: Sequence[Migration] | None = None,
    clock_us: Callable[[], int] = SYSTEM_CLOCK.at_us,
    profile: EngineProfile = PLAIN,
    repeat: bool = False,
) -> list[str]:
    """Apply what is pending, as `profile` has it, and return its names. Several processes may do so at once.

    repeat: run the statements of applied migrations too, for a server that has joined the cluster since and has none
    of the tables; on the others they change nothing.
    Raises SchemaMismatch (also for tables of another profile), StoreInvalid, StoreUnavailable.
    """
    for engine in (await store.query(_MADE_FOR))["engine"].to_pylist():
        if _KINDS.get(engine, profile.kind) != profile.kind:
            raise SchemaMismatch(
                f"the tables were made for the profile {_KINDS[engine]}, this process has {profile.kind}: give that "
                "one, or an empty database and rebuild it from the log"
            )
    for statement in profile.statements(_CREATE):
        await store.command(statement)
    rows = await store.query("SELECT DISTINCT name, sha256 FROM schema_migrations ORDER BY name")
    applied = [(row["name"], row["sha256"]) for row in rows.to_pylist()]
    migrations = shipped() if migrations is None else migrations
    new = {migration.name for migration in pending(migrations, applied)}
    names = []
    for migration in migrations:
        if migration.name not in new and not repeat:
            continue
        for written in migration.statements():
            for statement in profile.statements(written):
                await store.command(statement)
        if migration.name not in new:
            continue
        values: tuple[list[Any], ...] = ([migration.name], [migration.sha256], [clock_us()])
        remembered = [(name, kind, value) for (name, kind), value in zip(_REMEMBERED, values, strict=True)]
        await store.insert("schema_migrations", [name for name, _ in _REMEMBERED], block(remembered), 1)
        names.append(migration.name)
    return names


def _split(sql: str) -> Iterator[str]:
    """Statements between semicolons; neither in '...' nor in a comment (`--` to the end of its line) do they count."""
    statement: list[str] = []
    at, end = 0, len(sql)
    while at < end:
        if sql.startswith("--", at):
            at = (sql.find("\n", at) + 1 or end + 1) - 1
        elif sql[at] == ";":
            yield "".join(statement)
            statement = []
            at += 1
        else:
            stop = at + 1
            if sql[at] == "'":
                while stop < end and sql[stop] != "'":
                    stop += 2 if sql[stop] == "\\" else 1
                stop += 1
            statement.append(sql[at:stop])
            at = stop
    yield "".join(statement)
