"""What every project has at UbiOps before anybody creates anything, and what experiments are there. Pure."""

from typing import Final

from runstream_protocols.kit.errors import Refused

#: The deployment of which experiments are versions.
DEPLOYMENT: Final = "training-base-deployment"
TEMPLATE_ID: Final = "training"
#: Names of environments and what people read. The runs of this server are not executed, so that any will do.
ENVIRONMENTS: Final = {
    **{f"python3-{minor}": f"Python 3.{minor}" for minor in range(7, 15)},
    "ubuntu22-04-python3-11": "Ubuntu 22.04 with Python 3.11",
    "ubuntu24-04-python3-12": "Ubuntu 24.04 with Python 3.12",
}
ENVIRONMENT_TAG: Final = "latest"
#: Of an experiment that names none.
INSTANCE_TYPE: Final = "2048mb"
RETENTION_S: Final = 31_536_000
DEFAULT_BUCKET: Final = "default"


def require_deployment(name: str) -> None:
    """Refuse another deployment than that of trainings. Raises Refused (404)."""
    if name != DEPLOYMENT:
        raise Refused(f"there is no deployment {name[:100]!r}: this server has {DEPLOYMENT} alone", status=404)


def require_environment(name: str) -> str:
    """Return the name of an environment. Raises Refused (404)."""
    if name not in ENVIRONMENTS:
        raise Refused(f"there is no environment {name[:100]!r}: give one of {', '.join(ENVIRONMENTS)}", status=404)
    return name
