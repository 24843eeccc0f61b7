"""Files of runs: what is known of each, not their bytes."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final

from runstream_query.repositories.reader import Reader
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.scoping import narrowed, of_runs
from runstream_service.access import Scope


@dataclass(frozen=True, slots=True)
class AssetRecord:
    """A row of the view `assets`. `metadata` is JSON or empty; texts from `context` on are empty where there is
    none."""

    run: str
    asset: str
    name: str
    kind: str
    sha256: str
    size_bytes: int
    content_type: str
    step: int | None
    metadata: str
    at: datetime
    context: str
    role: str
    location: str
    model: str


@dataclass(frozen=True, slots=True)
class AssetName:
    """A name under which a run has a file, and the model that the file says it is of (empty: none)."""

    run: str
    name: str
    model: str


_ASSET: Final = ", ".join(field.name for field in fields(AssetRecord))


class AssetRepository:
    """Reads files that are not deleted. All methods raise what the store raises."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def of_run(self, scope: Scope, run: str, kind: str | None = None) -> list[AssetRecord]:
        """Return the files of a run, or those of one kind, in no order."""
        parameters = Parameters()
        only = "" if kind is None else f" AND kind = {parameters.text(kind)}"
        sql = (
            f"SELECT {_ASSET} FROM assets WHERE run = {parameters.text(run)}{only} AND NOT deleted"
            f"{narrowed(of_runs(scope, parameters))}"
        )
        return await self._reader.records(lambda row: AssetRecord(**row), sql, parameters)

    async def find(self, scope: Scope, run: str, asset: str) -> AssetRecord | None:
        """Return the file of a run with this id; None if it has none."""
        parameters = Parameters()
        sql = (
            f"SELECT {_ASSET} FROM assets WHERE run = {parameters.text(run)} AND asset = {parameters.text(asset)} "
            f"AND NOT deleted{narrowed(of_runs(scope, parameters))}"
        )
        return next(iter(await self._reader.records(lambda row: AssetRecord(**row), sql, parameters)), None)

    async def among(self, scope: Scope, files: Sequence[tuple[str, str]]) -> list[AssetRecord]:
        """Return those of the files, each given as a run and the id of its asset, that there are; in no order."""
        parameters = Parameters()
        runs, assets = (parameters.texts(ids) for ids in zip(*files, strict=True))
        sql = (
            f"SELECT {_ASSET} FROM assets WHERE run IN {runs} AND has(arrayZip({runs}, {assets}), (run, asset)) "
            f"AND NOT deleted{narrowed(of_runs(scope, parameters))}"
        )
        return await self._reader.records(lambda row: AssetRecord(**row), sql, parameters)

    async def ids_named(self, scope: Scope, run: str, name: str) -> list[str]:
        """Return the ids of a run's files with this name, in order."""
        parameters = Parameters()
        sql = (
            f"SELECT asset FROM assets WHERE run = {parameters.text(run)} AND name = {parameters.text(name)} "
            f"AND NOT deleted{narrowed(of_runs(scope, parameters))} ORDER BY asset"
        )
        return [row["asset"] for row in await self._reader.rows(sql, parameters)]

    async def names_of_kind(self, scope: Scope, kind: str) -> Sequence[AssetName]:
        """Return the names of all files of a kind, of all runs, each once, by run and name."""
        parameters = Parameters()
        sql = (
            f"SELECT DISTINCT run, name, model FROM assets WHERE kind = {parameters.text(kind)} AND NOT deleted"
            f"{narrowed(of_runs(scope, parameters))} ORDER BY run, name"
        )
        return await self._reader.records(lambda row: AssetName(**row), sql, parameters)
