"""Which runs and metrics a live stream tells of."""

from dataclasses import dataclass

from runstream_query.repositories.statements.globs import chosen_condition
from runstream_query.repositories.statements.parameters import Parameters


@dataclass(frozen=True, slots=True)
class Selection:
    """Runs by id, workspace and project, and metrics by name or glob; None and nothing mean all."""

    runs: tuple[str, ...] = ()
    workspace: str | None = None
    project: str | None = None
    metrics: tuple[str, ...] = ()

    def run_condition(self, parameters: Parameters) -> str:
        """Return the condition on columns run, workspace and project."""
        conditions = ["1"]
        if self.runs:
            conditions.append(f"run IN {parameters.texts(self.runs)}")
        if self.workspace is not None:
            conditions.append(f"workspace = {parameters.text(self.workspace)}")
        if self.project is not None:
            conditions.append(f"project = {parameters.text(self.project)}")
        return " AND ".join(conditions)

    def series_condition(self, parameters: Parameters) -> str:
        """Return the condition on columns run and metric."""
        conditions = ["1"]
        if self.runs:
            conditions.append(f"run IN {parameters.texts(self.runs)}")
        if self.workspace is not None or self.project is not None:
            conditions.append(f"run IN (SELECT run FROM runs WHERE {self.run_condition(parameters)})")
        if self.metrics:
            conditions.append(chosen_condition(self.metrics, parameters))
        return " AND ".join(conditions)
