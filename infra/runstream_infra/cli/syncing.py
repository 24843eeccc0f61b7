"""`runstream sync`."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runstream_infra.cli.connecting import client_settings, secret_of
from runstream_infra.cli.exits import NOT_EVERYTHING, OK, BadInput, Failed
from runstream_infra.cli.options import example, json_option
from runstream_infra.cli.output import Output

if TYPE_CHECKING:
    from runstream.sender.sync import SyncProgress, SyncResult


@click.command(
    epilog=example(
        "runstream sync",
        "runstream sync --url http://tracker:7070",
        "runstream sync --moved-from http://old:7070 --url http://tracker:7070",
        "runstream sync --dir /scratch/spool --json",
        "runstream sync --discard 8f3c0a52 --yes",
    )
)
@click.option(
    "--dir",
    "spool_dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="The spool. Default: RUNSTREAM_DIR, the settings file, or ~/.runstream/spool.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0),
    default=300.0,
    show_default=True,
    help="Give up after so many seconds. Nothing is lost: what is left waits for the next time.",
)
@click.option("--url", help="The server for offline runs. Default: RUNSTREAM_URL, the settings file, or their own.")
@click.option("--api-key", help="The key for it. Better: RUNSTREAM_API_KEY, which other users cannot see.")
@click.option(
    "--moved-from",
    metavar="URL",
    help="The server at this address was promoted to the one of --url: what was on its way there goes to the new one, "
    "online runs too.",
)
@click.option(
    "--discard",
    metavar="ID",
    help="Give up what the spool still has of this run or writer, whose process has ended; asks first. What the server "
    "has stays there.",
)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_option
def sync(
    spool_dir: Path | None,
    timeout_s: float,
    url: str | None,
    api_key: str | None,
    moved_from: str | None,
    discard: str | None,
    yes: bool,
    output: Output,
) -> int:
    """Send what is left in the spool, that of offline runs too, and wait until the server has it durably.

    Offline runs go to the server that is set now, or to the one of their start if none is; online runs to the one of
    their start, unless --moved-from says that it moved. What belongs to a deleted run is sent and kept as well, and
    named. Exit code 0 only when everything is acknowledged, 4 if something is left.
    """
    from runstream.sender.retarget import retarget_moved, retarget_offline
    from runstream.sender.sync import sync as send_what_is_left

    settings = client_settings(dir=spool_dir, url=url, api_key=api_key)
    spool = settings.values.dir
    url, secret, ingest = settings.values.url, secret_of(settings), settings.values.ingest or ""
    if spool_dir is not None and not spool.exists():
        raise BadInput(
            f"--dir {spool} does not exist, so nothing was ever logged there: check the path; `runstream doctor` shows "
            "which spool this user's runs write to"
        )
    if discard is not None:
        return give_up(spool, discard, yes, output)
    if moved_from is not None and settings.origin("url") == "default":
        raise BadInput("--moved-from needs the new address: give --url or RUNSTREAM_URL")
    try:
        if moved_from is not None:
            moved = retarget_moved(spool, moved_from, url, secret, ingest)
            output.note(f"{moved} writers were on their way to {moved_from} and go to {url} now")
        if settings.origin("url") != "default" or ingest:
            retarget_offline(spool, url, secret, ingest)
            tell_elsewhere(spool, url, output)
        with showing_progress(output) as show:
            result = send_what_is_left(spool, timeout_s=timeout_s, include_offline=True, progress=show)
    except OSError as error:
        raise Failed(f"the spool {spool} cannot be used: {error}") from error
    if output.as_json:
        output.json(asdict(result) | {"complete": result.complete, "spool": str(spool)})
    else:
        say(result, spool, output)
    return OK if result.complete else NOT_EVERYTHING


def give_up(spool: Path, wanted: str, yes: bool, output: Output) -> int:
    """Discard the writers of a run, or one writer, after a question. Raises BadInput, Failed, Abort."""
    from runstream.errors import Invalid
    from runstream.sender.discarding import discardable

    try:
        found = discardable(spool, wanted)
        records = sum(one.records for one in found)
        what = f"discard {records:,} records of {len(found)} writers that were not sent"
        if not yes:
            if not sys.stdin.isatty():
                raise BadInput(f"{what}? Nobody can be asked here: give --yes")
            click.confirm(f"{what}?", abort=True, err=True)
        for one in found:
            one.discard()
    except Invalid as error:
        raise BadInput(str(error)) from error
    except OSError as error:
        raise Failed(f"the spool {spool} cannot be used: {error}") from error
    if output.as_json:
        output.json({"discarded": [one.folder.name for one in found], "records": records})
    else:
        output.line(f"Discarded {records:,} records of {len(found)} writers; what the server has of them stays there.")
    return OK


def tell_elsewhere(spool: Path, url: str, output: Output) -> None:
    """Name the servers that online runs of the spool are on their way to, where that is not `url`."""
    from runstream.sender.retarget import online_elsewhere

    for other, writers in online_elsewhere(spool, url).items():
        output.note(
            f"{writers} writers of online runs go on to {other}, the server of their start; if that moved to {url}: "
            f"runstream sync --moved-from {other} --url {url}"
        )


@contextmanager
def showing_progress(output: Output) -> "Iterator[Callable[[SyncProgress], None]]":
    """A line on a terminal that says how far it is; elsewhere nothing but troubles, each once."""
    told: set[str] = set()
    with output.err.status("looking at the spool") as status:

        def show(now: "SyncProgress") -> None:
            trouble = f"; {now.trouble}" if now.trouble else ""
            waiting = f"{now.records_waiting:,} of {now.writers_waiting} writers wait"
            status.update(output.text(f"{now.records_sent:,} records sent, {waiting}{trouble}"))
            if now.trouble and now.trouble not in told and not output.err.is_terminal:
                told.add(now.trouble)
                output.note(now.trouble)

        yield show


def say(result: "SyncResult", spool: Path, output: Output) -> None:
    """The result for people."""
    from runstream.deletion import kept_unseen

    for run_id in result.deleted:
        output.note(kept_unseen(run_id))
    if result.complete:
        nothing = "nothing waited" if not result.records_sent else f"{result.records_sent:,} records sent"
        output.line(f"Everything in {spool} is acknowledged ({nothing}).", "green")
        return
    output.line(f"{result.records_sent:,} records sent; not everything is acknowledged:")
    for left in result.left:
        of = f"run {left.run_id}" if left.run_id else f"writer {left.writer_id}"
        output.line(f"  {of}: {left.records:,} records left: {left.reason}")
    output.note("nothing is lost: it stays in the spool; `runstream doctor` shows what is in the way")
