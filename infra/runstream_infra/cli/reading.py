"""`runstream runs`, `query`, `show` and `series`: looking at runs."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click

from runstream_infra.cli.columns import (
    DEFAULT_COLUMNS,
    chosen_columns,
    expanded_columns,
    filter_columns,
    row_members,
    text_columns,
)
from runstream_infra.cli.connecting import connected
from runstream_infra.cli.deletions import deletion_of
from runstream_infra.cli.exits import BadInput
from runstream_infra.cli.finding import find_run, read_run, short_ids
from runstream_infra.cli.options import example, json_option, place_options, server_options
from runstream_infra.cli.output import Output
from runstream_infra.cli.rows import DrawnCurve, asset_row, run_row, summary_row, writer_row
from runstream_infra.cli.sparkline import sparkline
from runstream_infra.cli.tables import Column
from runstream_infra.cli.values import (
    number_of,
    plain,
    plain_bytes,
    plain_clock,
    plain_duration,
    plain_number,
    plain_time,
    shorter_times,
)

if TYPE_CHECKING:
    from runstream.api import API, RunDetails, Writer

_TIMES: Final = ("created", "started", "ended", "updated")
_SHORTER: Final = dict.fromkeys(_TIMES, shorter_times)
#: What `runstream show` says of a run first, in this order; then all other texts of it.
_DETAILS: Final = ("id", "in", "status", "message", "tags", "links", "started", "ended", "duration")
#: What it says elsewhere: in its first line, and as `in`.
_IN_HEADING: Final = ("name", "workspace", "project", "experiment")

limit_option = click.option(
    "--limit", "-n", type=click.IntRange(1, 100_000), default=50, show_default=True, help="At most so many runs."
)
sort_option = click.option(
    "--sort",
    "-s",
    metavar="KEY",
    help="What to sort by: created, name, param.lr, metric.loss.min, ...; a minus before it for the largest first. "
    "Default: the newest first.",
)
columns_option = click.option(
    "--columns",
    "-c",
    metavar="KEYS",
    help="What to show, separated by commas, in the words of --sort, or all of a kind (param.*, metric.val/*). "
    f"Default: {','.join(DEFAULT_COLUMNS)} and what the filter and --sort mention.",
)


@click.command(
    epilog=example(
        "runstream runs",
        "runstream runs 'status = \"failed\" and started > now-2d'",
        "runstream runs -p digits --sort -metric.val/accuracy.max --columns name,param.lr,metric.val/accuracy.max",
    )
)
@click.argument("filter_text", metavar="[FILTER]", default="")
@place_options
@sort_option
@limit_option
@columns_option
@server_options
@json_option
def runs(
    filter_text: str,
    project: str | None,
    workspace: str | None,
    sort: str | None,
    limit: int,
    columns: str | None,
    url: str | None,
    api_key: str | None,
    output: Output,
) -> None:
    """List runs, newest first or by --sort, all or those that FILTER lets through."""
    with connected(url, api_key) as api:
        show_runs(api, filter_text, project, workspace, sort, limit, columns, output)


@click.command(
    epilog=example(
        "runstream query 'metric.val/loss.min < 0.1 and tag = \"sweep\"'",
        "runstream query 'param.width in (16, 64) and not status = \"failed\"' --json",
        "runstream query 'metric.loss.last = nan'",
    )
)
@click.argument("expression", metavar="EXPR")
@place_options
@sort_option
@limit_option
@columns_option
@server_options
@json_option
def query(
    expression: str,
    project: str | None,
    workspace: str | None,
    sort: str | None,
    limit: int,
    columns: str | None,
    url: str | None,
    api_key: str | None,
    output: Output,
) -> None:
    """Find runs by an expression over metrics, parameters, tags, status and times.

    A mistake in it is pointed at, with exit code 2.
    """
    with connected(url, api_key) as api:
        show_runs(api, expression, project, workspace, sort, limit, columns, output)


def show_runs(
    api: "API",
    filter_text: str,
    project: str | None,
    workspace: str | None,
    sort: str | None,
    limit: int,
    columns: str | None,
    output: Output,
) -> None:
    """Read runs and show them as a table or as JSON."""
    keys = chosen_columns(columns) or [*DEFAULT_COLUMNS, *filter_columns(filter_text, sort)]
    read = [key for key in keys if key not in row_members()]
    found = api.runs(filter_text or None, sort, limit, columns=read, project=project, workspace=workspace)
    rows = [run_row(run) for run in found]
    keys = expanded_columns(keys, rows) or ["id"]
    if output.as_json:
        output.json({"runs": rows, "more": found.more})
        return
    shown = [
        Column(
            key,
            key,
            _is_number(rows, key),
            _keep(key, keys),
            partial(short_ids, api) if key == "id" else _SHORTER.get(key),
        )
        for key in keys
    ]
    output.table(shown, [readable(row) | {"name": run.display_name} for run, row in zip(found, rows, strict=True)])
    if not rows:
        output.note("no run matches" if filter_text else "there are no runs here yet")
    elif found.more:
        output.note(f"there are more than these {len(rows)}: --limit shows more")


@click.command(epilog=example("runstream show 8f3c0a52", "runstream show 8f3c0a52 --json"))
@click.argument("run_id", metavar="RUN")
@click.option("--system", is_flag=True, help="Show each metric of the system, too.")
@server_options
@json_option
def show(run_id: str, system: bool, url: str | None, api_key: str | None, output: Output) -> None:
    """Show one run: what it is, its writers, parameters, the summaries and curves of its metrics, its files.

    RUN is its id, its name, the beginning of either, or `latest`.
    """
    with connected(url, api_key) as api:
        show_run(api, read_run(api, run_id, api.runs.details), output, system)


def show_run(api: "API", details: "RunDetails", output: Output, system: bool = False) -> None:
    """Read the rest of one run and show it as tables or as JSON. `system`: with each metric of the system."""
    run_id = details.run.run
    deletion = deletion_of(api, details)
    run = run_row(details.run) | {"clock_ahead_s": details.clock_ahead_s}
    attributes = {"parameters": api.parameters(run_id), "others": api.others(run_id)}
    summaries = [summary_row(summary) for summary in api.summaries(run_id)]
    assets = [asset_row(asset) for asset in api.assets(run_id)]
    if output.as_json:
        writers = [writer_row(writer) for writer in details.writers]
        output.json({"run": run, "writers": writers, **attributes, "summaries": summaries, "assets": assets})
        return
    output.line(details.run.display_name, "bold")
    output.pairs(_details(run))
    if run.get("clock_ahead_s"):
        output.line(f"! {clock_warning(run)}", "yellow")
    if deletion is not None:
        output.line(f"! {deletion.warning(run_id)}", "yellow")
    if len(details.writers) > 1:
        output.heading("Writers")
        show_writers(details.writers, output)
    for title, key in (("Parameters", "parameters"), ("Other values", "others")):
        if attributes[key]:
            output.heading(title)
            output.pairs([(name, plain(value)) for name, value in sorted(attributes[key].items())])
    if summaries:
        output.heading("Metrics")
        show_summaries(api, run_id, summaries, output, system)
    if assets:
        output.heading("Files")
        sized = [asset | {"size": plain_bytes(asset["size_bytes"])} for asset in assets]
        facts = [Column(key, key, keep=2) for key in ("role", "location") if any(asset[key] for asset in assets)]
        columns = [Column("name", "name", keep=3), Column("kind", "kind", keep=2), *facts]
        output.table([*columns, Column("size", "size", right=True), Column("asset", "id", keep=1)], sized)


#: Ranks of a run that are shown: the first and the last ones.
MAX_RANKS = 16
#: Curves of more metrics than this are left to `runstream series`: each costs the server some work.
MAX_CURVES = 60
CURVE_CHARS = 24


def show_writers(writers: "Sequence[Writer]", output: Output) -> None:
    """A line for each rank: how many writers had it (a resumed run has new ones), how many have not ended, and when one
    of them was heard of last."""
    ranks = sorted({writer.rank for writer in writers}, key=lambda rank: (rank is None, rank or 0))
    rows = []
    for rank in ranks:
        own = [writer for writer in writers if writer.rank == rank]
        seen = [writer.last_seen_at for writer in own if writer.last_seen_at is not None]
        rows.append(
            {
                "rank": "none" if rank is None else rank,
                "writers": len(own),
                "open": sum(not writer.ended for writer in own),
                "seen": max(seen, default=None),
            }
        )
    shown = rows if len(rows) <= MAX_RANKS else [*rows[: MAX_RANKS // 2], *rows[-MAX_RANKS // 2 :]]
    numbers = [Column(key, key, right=True, keep=3) for key in ("rank", "writers", "open")]
    output.table([*numbers, Column("seen", "last seen")], shown)
    if len(rows) > len(shown):
        output.note(f"{len(rows) - len(shown)} more ranks are not shown (--json has all)")


def show_summaries(
    api: "API", run_id: str, summaries: Sequence[dict[str, Any]], output: Output, system: bool = False
) -> None:
    """A line for each metric: its summary, and its curve where there is room for it. Those of the system are one line
    in all, unless `system`."""
    from runstream.api import exact
    from runstream.events.names import SYSTEM_METRICS

    others = [one for one in summaries if system or not one["metric"].startswith(SYSTEM_METRICS)]
    folded = len(summaries) - len(others) if others else 0
    summaries = others or summaries
    named = [exact(summary["metric"]) for summary in summaries[:MAX_CURVES]]
    curves = {curve.metric: curve for curve in api.series(run_id, named, CURVE_CHARS)} if named else {}
    rows = [dict(summary) for summary in summaries]
    for row in rows:
        if (curve := curves.get(row["metric"])) is not None:
            row["curve"] = sparkline(DrawnCurve.of_buckets(curve).extremes, CURVE_CHARS, output.marks)
    numbers = [
        Column(key, title, right=True, keep=keep)
        for key, title, keep in (
            ("count", "points", 2),
            ("minimum", "min", 6),
            ("maximum", "max", 6),
            ("mean", "mean", 1),
            ("std", "std", 1),
            ("last", "last", 7),
        )
    ]
    drawn = [Column("curve", "curve", keep=5)] if curves else []
    output.table([Column("metric", "metric", keep=9), *numbers, *drawn], rows)
    if folded:
        output.note(f"and {folded} metrics of the system: --system shows them")


@click.command(
    epilog=example(
        "runstream series 8f3c0a52 train/loss",
        "runstream series 8f3c0a52 train/loss --max-points 1000 --json",
    )
)
@click.argument("run_id", metavar="RUN")
@click.argument("metric", metavar="METRIC")
@click.option(
    "--max-points",
    type=click.IntRange(1, 100_000),
    help="At most so many stretches, each with its lowest and highest value. Default: every point in --json and in "
    "a pipe, as many as the terminal is wide otherwise.",
)
@server_options
@json_option
def series(
    run_id: str, metric: str, max_points: int | None, url: str | None, api_key: str | None, output: Output
) -> None:
    """Show the curve of one metric: drawn on a terminal, as `step<TAB>value` lines in a pipe, or as JSON.

    RUN is its id, its name, the beginning of either, or `latest`.
    """
    drawn = output.out.is_terminal and not output.as_json
    with connected(url, api_key) as api:
        run_id = find_run(api, run_id).run
        points = curve_of(api, run_id, metric, max_points or (output.out.width if drawn else None))
    if output.as_json:
        # `run_id` is the name that this had first; `run` is what all other JSON calls it.
        output.json({"run": run_id, "run_id": run_id, "metric": metric, **points.as_json()})
        return
    if not drawn:
        for line in points.lines():
            click.echo(line)
        return
    output.line(sparkline(points.extremes, output.out.width, output.marks))
    output.line(
        f"{metric}: steps {points.steps[0]} to {points.steps[-1]}, from {plain_number(points.values[0])} "
        f"to {plain_number(points.values[-1])}",
        "dim",
    )


def curve_of(api: "API", run_id: str, metric: str, max_points: int | None) -> DrawnCurve:
    """Read one curve: every point, or at most `max_points` buckets. Raises BadInput if the run does not have it."""
    from runstream.api import exact

    if max_points is None:
        points = api.series(run_id, exact(metric)).get(run_id, metric)
        if points is not None:
            return DrawnCurve.of_points(points)
    else:
        buckets = api.series(run_id, exact(metric), max_points).get(run_id, metric)
        if buckets is not None:
            return DrawnCurve.of_buckets(buckets)
    raise BadInput(f"run {run_id} has no metric {metric!r}: `runstream show {run_id}` lists what it has")


def readable(row: dict[str, Any]) -> dict[str, Any]:
    """A row of runs with times and durations as people read them."""
    shown = dict(row)
    for key in _TIMES:
        if row.get(key):
            shown[key] = plain_time(str(row[key]))
    if row.get("duration") is not None:
        shown["duration"] = plain_duration(number_of(row["duration"]))
    return shown


def clock_warning(run: dict[str, Any]) -> str:
    """What it means that the run's clock is off, and what to do. Pure."""
    where = run.get("host") or "its machine"
    return (
        f"its clock runs {plain_clock(run['clock_ahead_s'])} of the server's: times shown are its own, the order of "
        f"what it logged is not affected; set the clock of {where} (NTP) before the next run"
    )


def _further_texts() -> list[str]:
    """Return the keys of all other texts that a run has, such as its user and its notes."""
    return [key for key in text_columns() if key not in _DETAILS and key not in _IN_HEADING]


def _details(run: dict[str, Any]) -> list[tuple[str, str]]:
    shown = readable(run)
    shown["in"] = "/".join(str(run[key]) for key in ("workspace", "project", "experiment") if run.get(key))
    pairs = [(name, plain(shown[name])) for name in (*_DETAILS, *_further_texts()) if shown.get(name)]
    if run.get("points_dropped"):
        pairs.append(("points lost", f"{run['points_dropped']} (the disk of the training node was full)"))
    return pairs


def _is_number(rows: Sequence[dict[str, Any]], key: str) -> bool:
    values = [row[key] for row in rows if row.get(key) not in (None, "NaN", "Infinity", "-Infinity")]
    return bool(values) and all(isinstance(value, int | float) for value in values)


def _keep(key: str, keys: Sequence[str]) -> int:
    """What somebody asked for stays longer than what is shown anyway; the id and the name stay longest."""
    return {"id": 9, "name": 8, "status": 7}.get(key, 5 if key not in DEFAULT_COLUMNS else keys.index(key) % 3)
