"""`api.views`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from runstream.api.errors import NameTaken, Refused, ViewChanged
from runstream.api.guarding import reads_responses
from runstream.api.session import Session
from runstream.api.transport import segment
from runstream.api.values import Logged
from runstream.api.views.saved_views import SavedView
from runstream.api.views.table import Table
from runstream.errors import Invalid

_VIEWS: Final = "/api/v1/views"
_PAGE: Final = 500
_CONFLICT: Final = 409


@reads_responses
class ViewsApi:
    """Saved views of projects: `api.views(project)`. `project` and `workspace` None are the API's; a workspace that
    this has not is `default`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __call__(
        self, project: str | None = None, workspace: str | None = None, *, type: str | None = None
    ) -> Table[SavedView]:
        """Read the list of a project's views by name, without their content; of one `type` or all."""
        within = {"project": self._project(project), "workspace": self._workspace(workspace), "type": type}
        found: list[SavedView] = []
        after: str | None = None
        while True:
            page = self._session.get(_VIEWS, **within, after=after, limit=_PAGE)
            found += [SavedView.of(row) for row in page["views"]]
            before, after = after, page["next"]
            if after is None or (before is not None and after <= before):
                return Table(found)

    def get(self, name: str, project: str | None = None, workspace: str | None = None) -> SavedView:
        """Read a view. Raises NotFound."""
        return SavedView.of(self._session.get(self._path(name, project, workspace)))

    def save(
        self,
        name: str,
        view: Mapping[str, Logged],
        project: str | None = None,
        workspace: str | None = None,
        *,
        replaces: SavedView | int | None = None,
        author: str | None = None,
        type: str = "view",
    ) -> SavedView:
        """Create a view, or replace the one that was read before (`replaces`: it, or its revision). Returns it once
        every read shows it. Raises NameTaken where one is to be created and its name is not free, ViewChanged where
        somebody else saved it meanwhile, and NotFound where it was deleted."""
        body = {"view": dict(view), "author": author, "type": type, "revision": _revision(replaces)}
        return self._write("PUT", self._path(name, project, workspace), body)

    def delete(
        self,
        view: SavedView | str,
        project: str | None = None,
        workspace: str | None = None,
    ) -> SavedView:
        """Delete a view, and return it as it was: one that was read only if it is still so (ViewChanged otherwise), one
        that is given by its name as it is now. Raises NotFound."""
        if isinstance(view, SavedView):
            path = self._path(view.name, view.project, view.workspace)
            return self._write("DELETE", path, {"revision": view.revision})
        return self._write("DELETE", self._path(view, project, workspace), {})

    def _write(self, method: str, path: str, body: Mapping[str, Any]) -> SavedView:
        sent = {name: value for name, value in body.items() if value is not None}
        try:
            with self._session.open(method, path, sent) as response:
                return SavedView.of(self._session.json_of(response))
        except Refused as error:
            if error.problem.get("status") != _CONFLICT:
                raise
            kind = NameTaken if error.problem.get("reason") == "view-exists" else ViewChanged
            raise kind(str(error), error.problem) from None

    def _path(self, name: str, project: str | None, workspace: str | None) -> str:
        parts = (self._workspace(workspace), self._project(project), name)
        return "/".join((_VIEWS, *map(segment, parts)))

    def _workspace(self, given: str | None) -> str:
        return given or self._session.workspace or "default"

    def _project(self, given: str | None) -> str:
        found = given or self._session.project
        if found is None:
            raise Invalid("which project's views is not said: give project, or API(project=...)")
        return found


def _revision(replaces: SavedView | int | None) -> int | None:
    return replaces.revision if isinstance(replaces, SavedView) else replaces
