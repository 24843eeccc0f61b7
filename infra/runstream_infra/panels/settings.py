"""Settings of live panels."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_ENABLED: Final = {"0": "off", "1": "on"}


def _switch(given: object) -> object:
    if isinstance(given, str) and given not in ("0", "1", ""):
        raise ValueError("give 1 or 0")
    return given == "1" if isinstance(given, str) else given


def _parts(given: object) -> object:
    return tuple(part.strip() for part in given.split(",") if part.strip()) if isinstance(given, str) else given


class PanelSettings(BaseModel):
    """What live panels may do and take."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Whether panels run at all: 1, 0, or auto: where the server listens on loopback only. They are code of whoever
    #: may edit a project, and run as the server's user.
    enabled: Annotated[Literal["auto", "on", "off"], BeforeValidator(lambda given: _ENABLED.get(given, given))] = "auto"
    #: Whether a line `%pip install` in a panel installs packages, into an environment of the panel's own.
    install: Annotated[bool, BeforeValidator(_switch)] = False
    #: Whether Linux keeps panels from other files, processes and ports (Landlock): where the kernel can (auto, or 0 for
    #: not at all); 1: a panel does not run without.
    confine: Annotated[Literal["auto", "on", "off"], BeforeValidator(lambda given: _ENABLED.get(given, given))] = "auto"
    #: TCP ports that confined panels may connect to, beside this server's: 443 for what they fetch elsewhere.
    connect_ports: Annotated[tuple[Annotated[int, Field(ge=1, le=65_535)], ...], BeforeValidator(_parts)] = ()
    #: By which address panels reach this server, where it is not that at which it listens (TLS, a proxy).
    server_url: str = ""
    #: Panels that run at a time: a process of 150 to 500 MB each.
    max_panels: int = Field(default=8, ge=1)
    #: Open frames: a page that shows a panel has one.
    max_frames: int = Field(default=200, ge=1)
    #: WebSockets of one frame.
    max_frame_sockets: int = Field(default=4, ge=1)
    #: Address space of each process of a panel, in MiB: a panel with pandas, matplotlib and plotly takes 1,500.
    memory_mb: int = Field(default=4096, ge=512)
    #: Seconds of CPU that a process of a panel may take before it is ended; the next viewer starts another.
    cpu_s: int = Field(default=3600, ge=1)
    #: Seconds without a viewer after which a panel is ended.
    idle_s: float = Field(default=300.0, gt=0)
    #: Seconds after which a panel is ended in any case.
    life_s: float = Field(default=86_400.0, gt=0)
    #: Seconds that a panel may take until it can be shown.
    start_s: float = Field(default=60.0, gt=0)
    #: Bytes of a message between a viewer and a panel, and of a file that a viewer uploads.
    max_message_bytes: int = Field(default=64 << 20, ge=1 << 20)
    #: Bytes of a panel's code.
    max_source_bytes: int = Field(default=500_000, ge=1_000)
