"""A server that ML Aide's client is pointed at, and what the client's steps say of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from kit.foreign import ForeignServer

HERE = ("everything", "failing", "unnamed", "elsewhere", "many_at_once", "in_one_that_is_there")
REFUSED = (
    "without_experiment",
    "in_a_bad_project",
    "in_a_bad_experiment",
    "without_key",
    "with_a_wrong_key",
)
KEPT = ("making", "getting", "loading", "empty", "large", "modelling", "using", "at_once")


@dataclass(frozen=True)
class Server(ForeignServer):
    """A server, the client's Python, and a key that may do all."""

    steps: ClassVar[Path] = Path(__file__).with_name("steps.py")

    def aide(self, path: str, method: str = "GET", body: Any = None, key: str | None = None) -> tuple[int, Any]:
        """Return the status and the JSON of a request to ML Aide's interface, with the client's header."""
        return self.requested(f"mlaide/api/v1/{path}", {"x-api-key": key or self.key}, method, body)


@dataclass(frozen=True)
class ArtifactServer(Server):
    """The same with the steps that keep artifacts and models."""

    steps: ClassVar[Path] = Path(__file__).with_name("artifact_steps.py")

    def environment(self, home: Path | None = None) -> dict[str, str]:
        """Return the environment, in which the steps find those that they go on from."""
        return super().environment(home) | {"PYTHONPATH": str(Path(__file__).parents[2])}
