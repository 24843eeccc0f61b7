"""What the sampler of system metrics sees on this machine, for `runstream doctor`."""

from collections.abc import Mapping
from typing import Any

from runstream_infra.cli.values import plain, plain_bytes


def read_machine() -> dict[str, Any]:
    """Take one sample as a run does.

    Returns `metrics` (name to number), `gpus` (facts by name) and `notes` (why GPUs of a maker are not seen).
    """
    from runstream.capture.system import SystemSampler

    sampler = SystemSampler()
    return {"metrics": sampler.sample(), "gpus": sampler.gpus(), "notes": sampler.notes()}


def machine_lines(machine: Mapping[str, Any], every_s: float) -> list[tuple[str, str]]:
    """Return the lines of the doctor's section. Pure."""
    when = f"every {every_s:g} s" if every_s else "none is taken, since system_metrics_s is 0"
    lines = [("system metrics", f"{len(machine['metrics'])} in a sample, {when}")]
    gpus = {name: facts for name, facts in machine["gpus"].items() if name != "driver"}
    for name, facts in gpus.items():
        size = f", {plain_bytes(facts['memory_bytes'])}" if "memory_bytes" in facts else ""
        now = {
            metric.rpartition("/")[2]: value for metric, value in machine["metrics"].items() if f"/{name}/" in metric
        }
        shown = ", ".join(f"{metric} {plain(value)}" for metric, value in now.items())
        lines.append((name, f"{facts.get('name', 'a GPU')}{size}: {shown or 'tells nothing'}"))
    if "driver" in machine["gpus"]:
        lines.append(("driver", str(machine["gpus"]["driver"])))
    if not gpus:
        lines.append(("GPUs", f"none is seen ({'; '.join(machine['notes'])})"))
    return lines
