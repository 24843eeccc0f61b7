"""What a panel is about. The panel's process is told in a file that RUNSTREAM_PANEL names."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from runstream.errors import Invalid

VARIABLE: Final = "RUNSTREAM_PANEL"
#: In a process that serves a panel to several viewers: finds the context of the one whose view runs in this thread.
_finders: Final[list[Callable[[], Path | None]]] = []


def find_contexts_by(finder: Callable[[], Path | None]) -> None:
    """Have `PanelContext.here` read the file that `finder` names, where it names one."""
    _finders[:] = [finder]


@dataclass(frozen=True, slots=True)
class PanelContext:
    """The project of a panel and the experiments that it is to show: `experiments` (ids) if they are given, else those
    that pass `filter` (docs/query-language.md), else all that are not archived. `options` are what was chosen for the
    panel: by its dropdowns' labels, and whatever else it asks for. `width` and `height` (pixels, 0: unknown), colours
    (CSS, of experiments by id and of metrics by name) and `theme` (light, dark, or empty: the viewer's) are those of
    the page around it; `instance` tells its place on that page from others with the same panel. `refresh_s`: it runs
    again when its project has new data, at most once in so many seconds (0: only if it asks for it)."""

    workspace: str
    project: str
    filter: str = ""
    experiments: Sequence[str] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    width: int = 0
    height: int = 0
    experiment_colors: Mapping[str, str] = field(default_factory=dict)
    metric_colors: Mapping[str, str] = field(default_factory=dict)
    instance: str = ""
    theme: str = ""
    refresh_s: float = 0.0

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def of_json(cls, text: str) -> PanelContext:
        return cls(**json.loads(text))

    @classmethod
    def here(cls) -> PanelContext | None:
        """That of this process; None if it is no panel's. Raises Invalid where the file cannot be read."""
        found = next((one for one in (finder() for finder in _finders) if one is not None), None)
        path = os.environ.get(VARIABLE) if found is None else str(found)
        if not path:
            return None
        try:
            return cls.of_json(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError) as error:
            raise Invalid(f"{VARIABLE}={path} cannot be read as the context of a panel ({error}): unset it") from None
