"""What the worker remembers between batches: a copy of the newest states of the keys that are active.

Everything here can be thrown away at any moment and loaded again from the store.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from runstream_model.artifact_state import ArtifactState
from runstream_model.catalog import Catalog
from runstream_model.entities import ProjectEntities
from runstream_model.run_state import RunState
from runstream_model.summaries import SummaryFold
from runstream_model.writer_marks import WriterMark


@dataclass(slots=True)
class KeyMemory:
    """A key (a run, or a project) in memory: its writers, the run's state if it is a run that has one, and the
    artifacts, by id, and entities whose events have this key."""

    writers: dict[str, WriterMark] = field(default_factory=dict)
    run: RunState | None = None
    artifacts: dict[str, ArtifactState] = field(default_factory=dict)
    entities: ProjectEntities = field(default_factory=ProjectEntities)


class Memory:
    """Keys in the order of their last use. Not thread-safe; holds no open resources."""

    def __init__(self) -> None:
        self.keys: OrderedDict[str, KeyMemory] = OrderedDict()
        self.summaries = SummaryFold()
        self.catalog = Catalog()

    def unknown(self, keys: Iterable[str]) -> set[str]:
        """Which of these have to be loaded first."""
        return {key for key in keys if key not in self.keys}

    def use(self, key: str) -> KeyMemory:
        """The key's memory, now the most recently used."""
        self.keys.move_to_end(key)
        return self.keys[key]

    def shrink(self, max_keys: int, keep: set[str]) -> None:
        """Forget the least recently used keys beyond `max_keys`, but none of `keep`. Only after a commit."""
        surplus = len(self.keys) - max_keys
        if surplus <= 0:
            return
        old = [key for key in self.keys if key not in keep][:surplus]
        for key in old:
            del self.keys[key]
        self.summaries.forget(set(old))
