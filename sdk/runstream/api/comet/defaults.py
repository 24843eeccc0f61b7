"""What is meant where a workspace or project is not given."""

from __future__ import annotations

from runstream.api.session import Session


class Defaults:
    """The workspace and project of the API, or of the panel that it is used in; without either, all are meant."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def of(self, workspace: str | None, project: str | None) -> tuple[str | None, str | None]:
        """Return the workspace and project that are meant. A project of the panel is only meant in its own
        workspace."""
        here = self._session.panel
        own = self._session.workspace or (here.workspace if here else None)
        if workspace not in (None, own):
            return workspace, project
        return own, project or self._session.project or (here.project if here else None)
