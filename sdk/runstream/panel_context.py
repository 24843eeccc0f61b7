"""What a panel is about. The panel's process is told in a file that RUNSTREAM_PANEL names."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from runstream.errors import Invalid

VARIABLE: Final = "RUNSTREAM_PANEL"


@dataclass(frozen=True, slots=True)
class PanelContext:
    """The project of a panel and the experiments that it is to show: `experiments` (ids) if they are given, else those
    that pass `filter` (docs/query-language.md), else all that are not archived. `options` are what was chosen for the
    panel: by its dropdowns' labels, and whatever else it asks for."""

    workspace: str
    project: str
    filter: str = ""
    experiments: Sequence[str] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def of_json(cls, text: str) -> PanelContext:
        return cls(**json.loads(text))

    @classmethod
    def here(cls) -> PanelContext | None:
        """That of this process; None if it is no panel's. Raises Invalid where the file cannot be read."""
        path = os.environ.get(VARIABLE)
        if not path:
            return None
        try:
            return cls.of_json(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError) as error:
            raise Invalid(f"{VARIABLE}={path} cannot be read as the context of a panel ({error}): unset it") from None
