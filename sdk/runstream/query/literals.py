"""Values and names as the filter language writes them. Pure."""

import math
import numbers
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from runstream.errors import Invalid

#: What a field may be compared with: numbers, texts, times, or (`any`) whatever was logged.
FieldType = str

_PLAIN: Final = re.compile(r"[\w/\-]+(?:\.[\w/\-]+)*\Z")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
#: Words that the filter language takes for a summary where they end a metric's name.
SUMMARIES: Final = ("min", "max", "last", "first", "count", "mean", "sum", "std")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def quoted(text: str) -> str:
    """A text in double quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return '"' + _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", escaped) + '"'


def named_field(kind: str, name: str, summary: str | None = None) -> str:
    """`metric.loss.min`, `param."top 1"`."""
    ends_in_summary = kind == "metric" and "." in name and name.rpartition(".")[2] in SUMMARIES
    shown = name if _PLAIN.match(name) and not ends_in_summary else quoted(name)
    return f"{kind}.{shown}" + (f".{summary}" if summary not in (None, "last") else "")


def number_of(value: Any) -> float | None:
    """The value as a number, also where it is a text that says one; None if it is none."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, str) and ("_" in value or value != value.strip()):
        return None  # Python would read these as numbers
    if not isinstance(value, str | numbers.Real):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf  # type: ignore[operator]
    except ValueError:
        return None


def text_of(value: Any) -> str:
    """The value as a text that was logged would read."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.isoformat(" ") if isinstance(value, datetime) else str(value)


def number(value: float) -> str:
    return repr(float(value))


def instant(value: Any) -> str:
    """A moment: a datetime (UTC, where it has no zone), its text, or milliseconds since 1970. Raises Invalid."""
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return aware.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, numbers.Real) and math.isfinite(value):
        return instant(_EPOCH + timedelta(milliseconds=float(value)))
    raise Invalid(f"{value!r} is no moment: give a datetime, in UTC if it has no zone")


def checked(value: Any) -> Any:
    """The value, if runs can be compared with it: booleans are the numbers 1 and 0.
    Raises Invalid."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, bytes):
        return value.decode()
    if value is None or isinstance(value, str | numbers.Real | datetime | timedelta):
        return value
    raise Invalid(
        f"a query compares with texts, numbers, truth values, datetimes and None, not with {type(value).__name__} "
        f"({str(value)[:60]!r})"
    )


#: Names of what every run has, as the page on Python Panels has them: our field and its type.
METADATA_FIELDS: Final[Mapping[str, tuple[str, FieldType]]] = {
    "duration": ("duration", "number"),
    "end_server_timestamp": ("ended", "time"),
    "experiment_key": ("id", "text"),
    "experiment_name": ("name", "text"),
    "start_server_timestamp": ("started", "time"),
    "status": ("status", "text"),
    "user_name": ("user", "text"),
}
#: That page's names of what a run ran on, which work as well: ours. Of several the first one that a run has counts:
#: Comet's client says some facts in more detail than the SDK captures them.
ENVIRONMENT_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "command": ("command.program", "command.argv"),
    "env": ("comet.env",),
    "executable": ("python.executable",),
    "gpu_static_info_list": ("comet.gpuStaticInfoList",),
    "hostname": ("host.hostname",),
    "ip": ("comet.ip",),
    "machine": ("host.machine",),
    "max_total_memory": ("comet.maxTotalMemory", "host.memory_bytes"),
    "network_interface_ips": ("comet.networkInterfaceIps",),
    "os": ("comet.os", "host.system"),
    "os_packages": ("comet.osPackages",),
    "os_release": ("host.release",),
    "os_type": ("host.system",),
    "pid": ("comet.pid",),
    "processor": ("host.processor",),
    "python_version": ("python.version",),
    "python_version_verbose": ("comet.pythonVersionVerbose", "python.version"),
    "total_ram": ("host.memory_bytes",),
    "user": ("host.user",),
}
