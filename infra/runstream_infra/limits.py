"""Every bound of a server process, as one frozen tree, and how the environment sets it.

A bound is a field of one of the settings models below. Its variable is RUNSTREAM_, the section, the field, in capitals:
`RUNSTREAM_QUERY_MAX_PAGE=200`. docs/security.md lists them; a test holds that list to the models.
"""

import difflib
from collections.abc import Mapping
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from runstream.errors import InvalidSetting
from runstream_ingest.gateway.settings import GatewaySettings
from runstream_processors.worker.settings import WorkerSettings
from runstream_query.settings import QuerySettings
from runstream_service.connection_settings import ConnectionSettings
from runstream_service.stalls import LoopSettings

#: Decided by the composition root, not by whoever runs the server.
COMPOSED: Final = frozenset({"RUNSTREAM_GATEWAY_IS_ONLY_GATEWAY"})
#: Variables of other settings whose names begin as those of a section do.
_OTHERS: Final = frozenset({"RUNSTREAM_WORKER_GROUP", "RUNSTREAM_WORKER_SESSION_S", "RUNSTREAM_WORKER_STATE_DIR"})


class Limits(BaseModel):
    """The bounds of a process. A process ignores the sections that are not for its kind."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gateway: GatewaySettings = GatewaySettings()
    query: QuerySettings = QuerySettings()
    worker: WorkerSettings = WorkerSettings()
    connections: ConnectionSettings = ConnectionSettings()
    loop: LoopSettings = LoopSettings()

    def from_environment(self, environ: Mapping[str, str]) -> Self:
        """These bounds with those that `environ` sets in their place. Raises InvalidSetting for a variable of a section
        that names no bound, and for a value that a bound cannot have."""
        known = variables()
        changed: dict[str, dict[str, str]] = {}
        for variable in sorted(environ):
            if variable in known:
                section, field = known[variable]
                changed.setdefault(section, {})[field] = environ[variable]
            elif variable.startswith(_PREFIXES) and variable not in _OTHERS:
                near = difflib.get_close_matches(variable, sorted(known), n=1)
                hint = f"did you mean {near[0]}?" if near else "docs/security.md lists them"
                raise InvalidSetting(f"{variable} is no setting of a server: {hint}")
        return self.model_copy(update={section: self._section(section, fields) for section, fields in changed.items()})

    def _section(self, section: str, fields: Mapping[str, str]) -> BaseModel:
        current: BaseModel = getattr(self, section)
        try:
            return type(current).model_validate({**current.model_dump(), **fields})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            variable = variable_of(section, str(first["loc"][0])) if first["loc"] else f"RUNSTREAM_{section.upper()}_*"
            raise InvalidSetting(f"{variable}={first['input']!r} cannot be used: {first['msg']}") from None


_PREFIXES: Final = tuple(f"RUNSTREAM_{section.upper()}_" for section in Limits.model_fields)


def variable_of(section: str, field: str) -> str:
    """The environment variable of a bound."""
    return f"RUNSTREAM_{section}_{field}".upper()


def variables() -> dict[str, tuple[str, str]]:
    """Every variable, with the section and the field that it sets."""
    found = {
        variable_of(section, field): (section, field)
        for section, default in Limits()
        for field in type(default).model_fields
    }
    return {variable: place for variable, place in found.items() if variable not in COMPOSED}
