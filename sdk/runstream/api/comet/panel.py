"""What a panel is about, as Comet's page on Python Panels reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from runstream.api.comet.projects import ProjectReads
from runstream.api.comet.search import ExperimentSearch
from runstream.api.guarding import reads_responses
from runstream.api.parts.summaries import SummariesApi
from runstream.api.session import Session
from runstream.api.values import Logged
from runstream.api.views.runs import Runs
from runstream.errors import Invalid
from runstream.events.names import project_id
from runstream.panel_context import PanelContext

#: How Comet's client and our SDK name metrics of the machine.
_SYSTEM: Final = ("sys.", "system/")
#: Experiments whose summaries come in one response.
_SUMMARISED: Final = 500


@reads_responses
class PanelReads:
    """A part of `CometApi`. Inside of a panel these methods tell what it is about; outside, the workspace and project
    that the API was made for. Raises Invalid where there is neither."""

    def __init__(
        self, session: Session, search: ExperimentSearch, projects: ProjectReads, summaries: SummariesApi
    ) -> None:
        self._session = session
        self._search = search
        self._projects = projects
        self._summaries = summaries

    @property
    def _context(self) -> PanelContext:
        if self._session.panel is not None:
            return self._session.panel
        if self._session.workspace is None or self._session.project is None:
            raise Invalid("this is no panel: run it with `runstream panel run`, or give API() a workspace and project")
        return PanelContext(self._session.workspace, self._session.project)

    def get_panel_workspace(self) -> str:
        """Return the workspace of the panel."""
        return self._context.workspace

    def get_panel_project_name(self) -> str:
        """Return the project of the panel."""
        return self._context.project

    def get_panel_project_id(self) -> str:
        """Return the id of the panel's project."""
        return project_id(self._context.workspace, self._context.project)

    def get_panel_options(self) -> dict[str, Logged]:
        """Return what was chosen for the panel, by label."""
        return dict(self._context.options)

    def get_panel_experiment_colors(self) -> dict[str, dict[str, str]]:
        """Return the colours of experiments by their keys, as the page around the panel has them: each the same as
        `primary` and as `light`."""
        return _shades(self._context.experiment_colors)

    def get_panel_metric_colors(self) -> dict[str, dict[str, str]]:
        """Return the colours of metrics by their names, likewise."""
        return _shades(self._context.metric_colors)

    def get_panel_width(self) -> int:
        """Return the width of the panel in pixels; 0 where it is not known."""
        return self._context.width

    def get_panel_height(self) -> int:
        """Return the height of the panel in pixels; 0 where it is not known."""
        return self._context.height

    def get_panel_size(self) -> tuple[int, int]:
        """Return the width and the height of the panel in pixels."""
        return self.get_panel_width(), self.get_panel_height()

    def get_panel_experiments(self) -> Runs:
        """Read the experiments that are to be shown: those that were chosen, else those that pass the panel's filter,
        else all of its project, the oldest first."""
        context = self._context
        if context.experiments is not None:
            return self._search.by_keys(context.experiments)
        return self._search.matching(context.filter, workspace=context.workspace, project=context.project)

    def get_panel_experiment_keys(self) -> list[str]:
        """Read the keys of `get_panel_experiments`."""
        return [one.run for one in self.get_panel_experiments()]

    def get_panel_metrics_names(self, include_sys: bool = False) -> list[str]:
        """Read the metrics that these experiments have, by name; those of the machine only with `include_sys`."""
        context = self._context
        if context.experiments is None and not context.filter:
            columns = self._projects.get_project_columns(context.workspace, context.project)["columns"]
            names = {one["name"] for one in columns if one["source"] == "metrics"}
        else:
            keys = self.get_panel_experiment_keys()
            pages = [self._summaries(keys[at : at + _SUMMARISED]) for at in range(0, len(keys), _SUMMARISED)]
            names = {one.metric for page in pages for one in page}
        return sorted(name for name in names if include_sys or not name.startswith(_SYSTEM))

    def get_panel_request_count(self) -> int:
        """Count the requests that this API has made so far."""
        return self._session.requests

    def get_panel_report(self) -> str:
        """Return the same as a sentence."""
        count = self.get_panel_request_count()
        return f"{count} request{'' if count == 1 else 's'} to {self._session.url}"


def _shades(colors: Mapping[str, str]) -> dict[str, dict[str, str]]:
    return {name: {"primary": color, "light": color} for name, color in colors.items()}
