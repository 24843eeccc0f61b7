"""Panels as a part of the embedded server: whether they run, and for whom."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aiohttp import web

from runstream_infra.panels.host import PanelHost
from runstream_infra.panels.passes import PanelPasses
from runstream_infra.panels.settings import PanelSettings
from runstream_service.auth import is_loopback

if TYPE_CHECKING:
    from runstream_protocols.protocol import WritingSide

#: The panels of an application.
PANELS: Final = web.AppKey("runstream_panels", PanelHost)


def refusal_of(settings: PanelSettings, host: str) -> str | None:
    """Return why a server that listens on `host` runs no panels; None if it does."""
    if settings.enabled == "off":
        return "whoever runs it turned them off (RUNSTREAM_PANELS_ENABLED=0)."
    if settings.enabled == "auto" and not is_loopback(host):
        return (
            f"it listens on {host}, and panels are code of whoever may edit a project, which runs as the server's "
            "user: whoever runs it can allow that (RUNSTREAM_PANELS_ENABLED=1)."
        )
    if importlib.util.find_spec("streamlit") is None:
        return "Streamlit is not installed beside it: pip install 'runstream[panels]', and start it again."
    return None


def add_hosting(
    app: web.Application,
    side: WritingSide,
    settings: PanelSettings,
    passes: PanelPasses,
    *,
    host: str,
    has_keys: bool,
    packages: Path,
) -> None:
    """Add panels to the application of an embedded server, before it starts. `has_keys`: whether it asks for keys;
    `packages`: where packages of panels are kept."""
    from runstream_infra.panels.routes import add_panels

    app[PANELS] = PanelHost(settings, passes, packages=packages)
    own_user_only = settings.enabled == "auto" and not has_keys
    add_panels(app, side, app[PANELS], passes, refusal=refusal_of(settings, host), own_user_only=own_user_only)


def own_address(url: str, host: str) -> str:
    """Return where programs of this machine reach a server that listens on `host` and is called `url`."""
    return (
        url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:") if host in ("0.0.0.0", "::") else url
    )
