"""`runstream export`: what belongs to runs as files."""

import csv
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import click

from runstream_infra.cli.columns import row_key
from runstream_infra.cli.connecting import connected
from runstream_infra.cli.exits import BadInput, Failed
from runstream_infra.cli.export_files import download
from runstream_infra.cli.options import example, json_option, place_options, server_options
from runstream_infra.cli.output import Output
from runstream_infra.cli.rows import asset_row, run_row, summary_row
from runstream_infra.cli.values import number_of

if TYPE_CHECKING:
    import pyarrow as pa

    from runstream.api import API

#: What stands in a column of an exported file; times, lists and objects are texts.
Cell: TypeAlias = Literal["text", "integer", "float"]

#: Runs of one export. Beyond it, export project by project.
MAX_RUNS: Final = 100_000
#: Runs that one request for summaries may name, and series that one stream of points may hold (half of the
#: server's own limit).
RUNS_A_REQUEST: Final = 1000
SERIES_A_STREAM: Final = 5000

VALUE_FIELDS: Final = ("run", "name", "value")
OUTPUT_FIELDS: Final = ("run", "stream", "text")
#: Where a downloaded file is, relative to the export's folder.
PATH: Final = "path"
#: Members of a run's row that are no columns of an export.
NOT_EXPORTED: Final = frozenset({"updated_at", "archived", "deleted"})
#: What runs may log while they are exported, besides as much again as they had: a minute of 16,000 points a second.
SPARE_POINTS: Final = 1_000_000


@click.command(
    epilog=example(
        "runstream export --project digits --out digits",
        "runstream export --filter 'tag = \"paper\"' --format csv --out paper",
        "runstream export --runs 8f3c0a52,91b2c7aa --with-files --out two-runs",
    )
)
@click.option("--runs", "run_ids", metavar="IDS", help="These runs, separated by commas.")
@click.option("--filter", "filter_text", metavar="EXPR", default="", help="Runs that the expression lets through.")
@place_options
@click.option("--format", "form", type=click.Choice(["parquet", "csv"]), default="parquet", show_default=True)
@click.option("--epochs", is_flag=True, help="Also the epoch that each point was logged in, if it has one.")
@click.option(
    "--with-files", is_flag=True, help="Also download the files of the runs, into a folder a run below `assets`."
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="PATH", help="A folder, made by this command."
)
@server_options
@json_option
def export(
    run_ids: str | None,
    filter_text: str,
    project: str | None,
    workspace: str | None,
    form: str,
    epochs: bool,
    with_files: bool,
    out: Path,
    url: str | None,
    api_key: str | None,
    output: Output,
) -> None:
    """Write points, summaries, runs with their notes, parameters, other values, the list of files and what was printed
    as Parquet or CSV, one file each, into a new folder.

    Every point with all its digits; NaN and the infinities too. The folder appears when it is complete.
    """
    if out.exists():
        raise BadInput(f"{out} is already there: give another --out, or remove it")
    if bool(run_ids) + bool(filter_text or project or workspace) != 1:
        raise BadInput("say which runs: --runs, or --filter, --project and --workspace in any combination")
    try:
        import pyarrow  # noqa: F401 - asked for here, before anything is read
    except ModuleNotFoundError as error:
        raise Failed("an export needs pyarrow: pip install 'runstream[data]'") from error
    with connected(url, api_key) as api:
        runs = chosen_runs(api, run_ids, filter_text, project, workspace)
        written = write_folder(api, runs, out, Form(form, epochs, with_files), output)
    if output.as_json:
        output.json({"out": str(out), "format": form, "rows": written})
    else:
        counts = ", ".join(f"{rows:,} {name}" for name, rows in written.items())
        output.line(f"{out}: {counts}")


@dataclass(frozen=True, slots=True)
class Form:
    """What an export consists of: the ending of its files (`parquet` or `csv`), and whether points have their epochs
    and the files of the runs are downloaded."""

    ending: str
    epochs: bool = False
    with_files: bool = False


def write_folder(api: "API", runs: Sequence[dict[str, Any]], out: Path, form: Form, output: Output) -> dict[str, int]:
    """Write the files of the export into `out`, which appears when it is complete, and return how many rows each has.
    Raises BadInput without runs, Failed where the disk refuses."""
    if not runs:
        raise BadInput("no run matches: nothing was written")
    partial = out.with_name(f"{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        with output.err.status(f"exporting {len(runs)} runs"):
            written = write_all(api, runs, partial, form)
        partial.rename(out)
    except OSError as error:
        raise Failed(f"{out} cannot be written: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return written


def chosen_runs(
    api: "API", run_ids: str | None, filter_text: str, project: str | None, workspace: str | None
) -> list[dict[str, Any]]:
    """The rows of the chosen runs with their parameters and other values. Raises BadInput for an unknown id, and for
    too many."""
    if run_ids:
        wanted = list(dict.fromkeys(part.strip() for part in run_ids.split(",") if part.strip()))
        quoted = ", ".join('"' + one.replace("\\", "\\\\").replace('"', '\\"') + '"' for one in wanted)
        filter_text = f"id in ({quoted}) and (archived = false or archived = true)"
    found = api.runs(
        filter_text or None, limit=MAX_RUNS, columns=["param.*", "other.*"], project=project, workspace=workspace
    )
    if found.more:
        raise BadInput(f"more than {MAX_RUNS:,} runs match: export them project by project")
    if run_ids:
        missing = set(wanted) - {run.run for run in found}
        if missing:
            raise BadInput(f"no run has the id {min(missing)!r}: `runstream runs` lists them")
    return [run_row(run) for run in found]


def write_all(api: "API", runs: Sequence[dict[str, Any]], folder: Path, form: Form) -> dict[str, int]:
    """Write the files and return how many rows each has. With epochs points have a last column `epoch`, with downloaded
    files the list of files has a last column `path`."""
    ids = [str(run["id"]) for run in runs]
    summaries = [
        summary_row(summary)
        for begin in range(0, len(ids), RUNS_A_REQUEST)
        for summary in api.summaries(ids[begin : begin + RUNS_A_REQUEST])
    ]
    assets = [asset for run in ids for asset in api.assets(run)]
    places = download(api, assets, folder) if form.with_files else [None] * len(assets)
    files = [asset_row(asset) | {PATH: place} for asset, place in zip(assets, places, strict=True)]
    file_cells: dict[str, Cell] = file_columns() | ({PATH: "text"} if form.with_files else {})
    ending = form.ending
    texts: dict[str, Cell] = dict.fromkeys(VALUE_FIELDS, "text")
    return {
        "runs": write_rows(runs, run_columns(), folder / f"runs.{ending}"),
        "parameters": write_rows(values_of(runs, "param"), texts, folder / f"parameters.{ending}"),
        "others": write_rows(values_of(runs, "other"), texts, folder / f"others.{ending}"),
        "files": write_rows(files, file_cells, folder / f"files.{ending}"),
        "output": write_rows(printed_by(api, ids), dict.fromkeys(OUTPUT_FIELDS, "text"), folder / f"output.{ending}"),
        "summaries": write_rows(summaries, summary_columns(), folder / f"summaries.{ending}"),
        "points": write_points(api, summaries, folder / f"points.{ending}", form.epochs),
    }


def values_of(runs: Sequence[Mapping[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Return the parameters or other values that came with the rows of runs, under the names that they were logged
    under."""
    from runstream_query.filters import parse_field

    return [
        {"run": run["id"], "name": parse_field(key).name, "value": value}
        for run in runs
        for key, value in sorted(run.items())
        if key.startswith(f"{kind}.")
    ]


def printed_by(api: "API", runs: Iterable[str]) -> list[dict[str, Any]]:
    """Return what each run printed on each of its streams, if it did."""
    printed = [
        {"run": run, "stream": stream, "text": api.output(run, stream)}
        for run in runs
        for stream in ("stdout", "stderr")
    ]
    return [row for row in printed if row["text"]]


def file_columns() -> dict[str, Cell]:
    """Return the columns of the list of files, and what stands in each."""
    from runstream.api import Asset
    from runstream.api.views.table import column_names

    numbers: dict[str, Cell] = {"size_bytes": "integer", "step": "integer"}
    return {name: numbers.get(name, "text") for name in column_names(Asset)}


def run_columns() -> dict[str, Cell]:
    """Return the columns of exported runs, and what stands in each."""
    from runstream_model.run_state import RUN_STATES

    exported = [column for column in RUN_STATES.visible if column.name not in NOT_EXPORTED]
    return {row_key(column.name): _cell(column.kind) for column in exported}


def summary_columns() -> dict[str, Cell]:
    """Return the columns of exported summaries, and what stands in each: the server's, then what is worked out here."""
    from runstream_model.statistics import STATISTICS, SUMMARY_STATES

    stored = {column.name: _cell(column.kind) for column in SUMMARY_STATES.visible}
    return stored | {one.name: _cell(one.type) for one in STATISTICS if one.expression is not None}


def _cell(kind: str) -> Cell:
    from runstream_model.projection import COUNT, INTEGER, NUMBER

    return "integer" if kind in (COUNT, INTEGER) else "float" if kind == NUMBER else "text"


def write_rows(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, Cell], path: Path) -> int:
    """Write rows of the API as one file."""
    typed = [{name: typed_value(cell, row.get(name)) for name, cell in columns.items()} for row in rows]
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(typed)
        return len(typed)
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"integer": pa.int64(), "float": pa.float64(), "text": pa.string()}
    schema = pa.schema([(name, types[cell]) for name, cell in columns.items()])
    pq.write_table(pa.Table.from_pylist(typed, schema=schema), path, compression="zstd")
    return len(typed)


def typed_value(cell: Cell, value: Any) -> Any:
    """A value of the API as what stands in a cell: a number, or a text (lists and objects as JSON)."""
    import json

    if value is None:
        return None
    if cell == "integer":
        return int(value)
    if cell == "float":
        return number_of(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def streams_of(summaries: Sequence[Mapping[str, Any]]) -> Iterator[tuple[list[str], list[str]]]:
    """Runs and metrics that are read in one stream, so that none holds more than SERIES_A_STREAM series. Pure."""
    from runstream.api import exact

    by_run: dict[str, list[str]] = {}
    for summary in summaries:
        by_run.setdefault(str(summary["run"]), []).append(str(summary["metric"]))
    runs: list[str] = []
    size = 0
    for run, metrics in by_run.items():
        if runs and (size + len(metrics) > SERIES_A_STREAM or len(runs) == RUNS_A_REQUEST):
            yield runs, ["*"]
            runs, size = [], 0
        if len(metrics) > SERIES_A_STREAM:
            for begin in range(0, len(metrics), RUNS_A_REQUEST):
                yield [run], [exact(metric) for metric in metrics[begin : begin + RUNS_A_REQUEST]]
            continue
        runs.append(run)
        size += len(metrics)
    if runs:
        yield runs, ["*"]


def points_schema(epochs: bool) -> "pa.Schema":
    """Return the columns of exported points; `epoch` is one of them if it is wanted."""
    import pyarrow as pa

    return pa.schema(
        [
            ("run", pa.string()),
            ("metric", pa.string()),
            ("step", pa.int64()),
            ("at", pa.timestamp("us", tz="UTC")),
            ("value", pa.float64()),
            ("writer", pa.uint64()),
            *([("epoch", pa.int64())] if epochs else []),
        ]
    )


def write_points(api: "API", summaries: Sequence[Mapping[str, Any]], path: Path, epochs: bool = False) -> int:
    """Every point, batch by batch: memory does not grow with their number. Returns how many."""
    import pyarrow.csv as pa_csv
    import pyarrow.parquet as pq

    schema = points_schema(epochs)
    make = pq.ParquetWriter if path.suffix == ".parquet" else pa_csv.CSVWriter
    # Runs may go on meanwhile; a stream that never ends fills no disk.
    most = 2 * sum(int(summary["count"]) for summary in summaries) + SPARE_POINTS
    rows = 0
    shape = _with_plain_times if path.suffix == ".csv" else _as_it_is
    with make(path, shape(schema.empty_table()).schema) as writer:
        for runs, metrics in streams_of(summaries):
            for batch in api.series.batches(runs, metrics, epochs=epochs):
                rows += batch.num_rows
                if rows > most:
                    raise Failed(f"{api.url} sends more points than its summaries count: is this a Runstream server?")
                writer.write_table(shape(_typed(batch, schema)))
    return rows


def _as_it_is(table: "pa.Table") -> "pa.Table":
    return table


def _with_plain_times(table: "pa.Table") -> "pa.Table":
    """The table with times as the other files have them: ISO 8601 in UTC with microseconds."""
    import pyarrow.compute as pc

    # `%S` has the fraction of the column's unit.
    return table.set_column(3, "at", pc.strftime(table.column("at"), format="%Y-%m-%dT%H:%M:%SZ"))


def _typed(batch: "pa.RecordBatch", schema: "pa.Schema") -> "pa.Table":
    """Return a batch as a table of this schema. Raises Failed where it has other columns."""
    import pyarrow as pa

    try:
        return pa.Table.from_batches([batch]).cast(schema)
    except (pa.ArrowException, MemoryError) as error:
        raise Failed(f"the server's points cannot be used ({error}): is this a Runstream server?") from error
