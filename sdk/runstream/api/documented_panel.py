"""What a panel asks about itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from runstream.api.documented import Documented
from runstream.api.panel_context import PanelContext
from runstream.api.views import Runs
from runstream.errors import Invalid
from runstream.events.names import project_id

if TYPE_CHECKING:
    from runstream.api.views import Summaries

#: How Comet's client and our SDK name metrics of the machine.
_SYSTEM: Final = ("sys.", "system/")
#: Experiments whose summaries come in one answer.
_SUMMARISED: Final = 500


class DocumentedPanel(Documented):
    """A part of `API`. Inside of a panel these methods say what it is about; outside, the workspace and project that
    the API was made for. Raises Invalid where there is neither."""

    if TYPE_CHECKING:

        def summaries(self, runs: Sequence[str], metrics: Sequence[str] | None = None) -> Summaries: ...

    @property
    def _context(self) -> PanelContext:
        if self._panel is not None:
            return self._panel
        if self._workspace is None or self._project is None:
            raise Invalid("this is no panel: run it with `runstream panel run`, or give API() a workspace and project")
        return PanelContext(self._workspace, self._project)

    def get_panel_workspace(self) -> str:
        return self._context.workspace

    def get_panel_project_name(self) -> str:
        return self._context.project

    def get_panel_project_id(self) -> str:
        return project_id(self._context.workspace, self._context.project)

    def get_panel_options(self) -> dict[str, Any]:
        return dict(self._context.options)

    def get_panel_experiments(self) -> Runs:
        """The experiments that are to be shown: those that were chosen, else those that pass the panel's filter, else
        all of its project, the oldest first."""
        context = self._context
        if context.experiments is not None:
            return self._by_keys(context.experiments)
        return self._found(context.filter, workspace=context.workspace, project=context.project)

    def get_panel_experiment_keys(self) -> list[str]:
        """The keys of `get_panel_experiments`."""
        return [one.run for one in self.get_panel_experiments()]

    def get_panel_metrics_names(self, include_sys: bool = False) -> list[str]:
        """The metrics that these experiments have, by name; those of the machine only with `include_sys`."""
        context = self._context
        if context.experiments is None and not context.filter:
            columns = self.get_project_columns(context.workspace, context.project)["columns"]
            names = {one["name"] for one in columns if one["source"] == "metrics"}
        else:
            keys = self.get_panel_experiment_keys()
            pages = [self.summaries(keys[at : at + _SUMMARISED]) for at in range(0, len(keys), _SUMMARISED)]
            names = {one.metric for page in pages for one in page}
        return sorted(name for name in names if include_sys or not name.startswith(_SYSTEM))

    def get_panel_request_count(self) -> int:
        """Requests that this API has made so far."""
        return self._transport.requests

    def get_panel_report(self) -> str:
        """The same in a sentence."""
        count = self.get_panel_request_count()
        return f"{count} request{'' if count == 1 else 's'} to {self._transport.url}"
