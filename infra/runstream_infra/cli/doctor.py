"""`runstream doctor`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runstream_infra.cli.connecting import api_of, client_settings, explained
from runstream_infra.cli.deletions import written_deleted_runs
from runstream_infra.cli.exits import NOT_EVERYTHING, OK, UNREACHABLE, CommandError
from runstream_infra.cli.machine import machine_lines, read_machine
from runstream_infra.cli.options import example, json_option, server_options
from runstream_infra.cli.output import Output
from runstream_infra.cli.values import plain, plain_bytes, plain_clock

if TYPE_CHECKING:
    from runstream.api import API
    from runstream.settings import Settings
    from runstream_infra.cli.spool_state import SpoolState

#: Longer than any response of a healthy server takes, short enough to wait for.
TIMEOUT_S = 5.0
#: Below this a server should get room soon.
LOW_DISK_BYTES = 1_000_000_000
#: How many runs one finding names.
NAMED_RUNS = 5


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found, and in plain words what is wrong. Empty `problems`: all is well."""

    settings: dict[str, dict[str, Any]]
    server: dict[str, Any]
    spool: dict[str, Any]
    machine: dict[str, Any]
    problems: list[str]

    @property
    def exit_code(self) -> int:
        if not self.problems:
            return OK
        return NOT_EVERYTHING if self.server["reachable"] else UNREACHABLE


@click.command(
    epilog=example("runstream doctor", "runstream doctor --json", "runstream doctor --url http://server:7070")
)
@click.option("--dir", "spool_dir", type=click.Path(path_type=Path), help="The spool to look at.")
@server_options
@json_option
def doctor(spool_dir: Path | None, url: str | None, api_key: str | None, output: Output) -> int:
    """Show what is configured and from where, whether the server answers, what is stuck, and what the
    sampler of system metrics sees.

    Exit code 0 if all is well, 3 if the server cannot be reached, 4 if something else needs a look.
    """
    from runstream_infra.cli.spool_state import read_spool

    settings = client_settings(url=url, api_key=api_key, dir=spool_dir)
    spool = read_spool(settings.values.dir)
    server = look_at_server(api_of(settings, TIMEOUT_S), [writer.run_id for writer in spool.writers])
    found = Diagnosis(
        settings=described_settings(settings),
        server=server,
        spool=described_spool(spool),
        machine=read_machine(),
        problems=[*server_problems(server), *spool_problems(spool)],
    )
    if output.as_json:
        output.json({"ok": not found.problems, "problems": found.problems} | _sections(found))
    else:
        _show(found, output, settings.values.system_metrics_s)
    return found.exit_code


def look_at_server(api: "API", spooled: Sequence[str]) -> dict[str, Any]:
    """Read what the server tells of itself, and of the runs in this spool. Never raises for a server that is away or
    refuses."""
    found: dict[str, Any] = {"url": api.url, "reachable": False, "ready": False, "error": None, "checks": {}}
    try:
        with explained(api.url):
            found |= asdict(api.server.readiness())
            found["reachable"] = True
            found |= asdict(api.server.status())  # also shows whether the key opens the door
            found["odd_clocks"] = api.server.odd_clocks().rows()
            found["settings"] = api.server.settings().rows()
            found["deleted_runs"] = written_deleted_runs(api, spooled)
    except CommandError as error:
        found["error"] = str(error)
    return found


def server_problems(server: dict[str, Any]) -> list[str]:
    """What is wrong with the server, in the order in which one would look at it. Pure."""
    problems = []
    if server["error"]:
        problems.append(str(server["error"]))
    if server["reachable"] and not server["ready"]:
        reasons = "; ".join(f"{name}: {state}" for name, state in server["checks"].items() if state != "ok")
        problems.append(f"the server is not ready ({reasons or 'it gives no reason'}): its log says more")
    if server.get("quarantined_records"):
        problems.append(
            f"{server['quarantined_records']} records are in quarantine: the table `quarantine` holds them and why"
        )
    if (read_models := server.get("read_models")) and (trouble := read_models["obstacle"] or read_models["trouble"]):
        problems.append(f"the read models are not of this server's version: {trouble}")
    if (read_models := server.get("read_models")) and (problem := rebuild_problem(read_models["rebuild"])):
        problems.append(problem)
    free = server.get("disk_free_bytes")
    if free is not None and free < LOW_DISK_BYTES:
        problems.append(f"the server's disk has {plain_bytes(free)} left: make room, or it will stop accepting")
    if odd := server.get("odd_clocks"):
        problems.append(clock_problem(odd))
    if deleted := server.get("deleted_runs"):
        problems.append(deleted_problem(deleted))
    return problems


def deleted_problem(runs: Sequence[str]) -> str:
    """Which deleted runs are written all the same, and what to do. Pure."""
    from runstream.deletion import WAY_BACK

    return (
        f"runs that somebody deleted are written all the same: {_first_of(runs)}. What they log is kept, and no list "
        f"shows it; end their programs, or {WAY_BACK.format(runs[0])}"
    )


def rebuild_problem(rebuild: Mapping[str, Any] | None) -> str | None:
    """What a requested rebuild found that nobody has put right since; None: nothing. Pure."""
    if rebuild is None or rebuild["replace"] or rebuild["outcome"] != "different":
        return None
    return (
        f"rebuilt from the log, the tables differ ({rebuild['detail']}): find out which are right; "
        "`runstream rebuild --replace` puts fresh ones into use"
    )


def clock_problem(odd: Sequence[Mapping[str, Any]]) -> str:
    """Which running runs have a clock that is off, and what to do. Pure."""
    named = [f"{one['name']} ({one['run']}) {plain_clock(one['clock_ahead_s'])}" for one in odd]
    return (
        f"clocks of running runs are far from the server's: {_first_of(named)}. Set the clocks of their machines "
        "(NTP); until then their times are off, the order of what they log is not"
    )


def _first_of(runs: Sequence[str]) -> str:
    more = len(runs) - NAMED_RUNS
    return ", ".join(runs[:NAMED_RUNS]) + (f" and {more} more" if more > 0 else "")


def spool_problems(spool: "SpoolState") -> list[str]:
    """What is wrong with the spool. Waiting is no problem as long as something is being done about it. Pure."""
    problems = [f"stuck: {reason}" for reason in spool.stuck]
    if spool.rows and spool.sender_pid is None:
        problems.append(f"{spool.rows} records wait and nothing sends them: run `runstream sync`")
    if spool.rejected:
        first = spool.rejected[0]
        problems.append(
            f"{len(spool.rejected)} pieces were refused and set aside under {first.path.parent} ({first.reason})"
        )
    return problems


def described_settings(settings: "Settings") -> dict[str, dict[str, Any]]:
    """Every setting with its origin. A key is never shown."""
    values = settings.values.model_dump()
    values["api_key"] = "set (not shown)" if settings.values.api_key else None
    return {name: {"value": value, "from": settings.origin(name)} for name, value in values.items()}


def described_spool(spool: "SpoolState") -> dict[str, Any]:
    """The spool as JSON has it."""
    offline = [writer for writer in spool.writers if writer.mode == "offline"]
    return {
        "dir": str(spool.path),
        "sender_pid": spool.sender_pid,
        "writers": len(spool.writers),
        "offline_writers": len(offline),
        "waiting_records": spool.rows,
        "waiting_bytes": spool.size_bytes,
        "stuck": spool.stuck,
        "rejected": [{"path": str(one.path), "run": one.run_id, "reason": one.reason} for one in spool.rejected],
    }


def _sections(found: Diagnosis) -> dict[str, Any]:
    return {"settings": found.settings, "server": found.server, "spool": found.spool, "machine": found.machine}


def _show(found: Diagnosis, output: Output, system_metrics_s: float) -> None:
    output.line("Settings", "bold")
    output.pairs([(name, f"{plain(one['value'])}  ({one['from']})") for name, one in found.settings.items()])
    output.heading("Server")
    output.pairs(_server_lines(found.server))
    output.heading("Spool")
    output.pairs(_spool_lines(found.spool))
    output.heading("This machine")
    output.pairs(machine_lines(found.machine, system_metrics_s))
    output.line()
    for problem in found.problems:
        output.line(f"! {problem}", "red")
    if not found.problems:
        output.line("All is well.", "green")


def _server_lines(server: dict[str, Any]) -> list[tuple[str, str]]:
    state = "ready" if server["ready"] else "reachable, not ready" if server["reachable"] else "not reachable"
    lines = [("url", server["url"]), ("state", state)]
    if "lag_records" in server:
        lines += [
            ("version", server["version"]),
            ("lag", f"{server['lag_records']} records accepted and not yet visible"),
            ("quarantine", f"{server['quarantined_records']} records"),
        ]
    if read_models := server.get("read_models"):
        lines.append(("read models", read_models_line(read_models)))
    changed = [one for one in server.get("settings", ()) if one["origin"] != "default"]
    lines += [(one["name"], f"{plain(one['value'])}  ({one['origin']})") for one in changed]
    if server.get("disk_free_bytes") is not None:
        free, total = plain_bytes(server["disk_free_bytes"]), plain_bytes(server["disk_total_bytes"])
        lines.append(("disk", f"{free} free of {total}"))
    return lines


def read_models_line(read_models: Mapping[str, Any]) -> str:
    """Which generation serves, and how far the next one is. Pure."""
    serving = f"generation {read_models['serving']} serves"
    if read_models["building"] is None:
        return serving
    requested = read_models["rebuild"] is not None and read_models["rebuild"]["outcome"] == "building"
    reason = "a rebuild was requested" if requested else "a newer build is at work"
    differences = ", ".join(read_models["differences"]) or reason
    return (
        f"{serving}; {differences}: generation {read_models['building']} is being built "
        f"({read_models['doing']}, {read_models['folded']} of {read_models['records']} records)"
    )


def _spool_lines(spool: dict[str, Any]) -> list[tuple[str, str]]:
    sender = "none is running" if spool["sender_pid"] is None else f"process {spool['sender_pid']}"
    offline = f", {spool['offline_writers']} of them offline" if spool["offline_writers"] else ""
    return [
        ("dir", spool["dir"]),
        ("sender", sender),
        ("writers", f"{spool['writers']}{offline}"),
        ("waiting", f"{spool['waiting_records']} records, {plain_bytes(spool['waiting_bytes'])}"),
        ("set aside", str(len(spool["rejected"]))),
    ]
