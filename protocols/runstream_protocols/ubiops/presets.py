"""What every project has at UbiOps before anybody creates anything, and what experiments are there. Pure."""

import re
from typing import Final

from runstream_protocols.kit.errors import Refused

#: The deployment of which experiments are versions.
DEPLOYMENT: Final = "training-base-deployment"
TEMPLATE_ID: Final = "training"
#: Names of environments and what people read.
ENVIRONMENTS: Final = {
    **{f"python3-{minor}": f"Python 3.{minor}" for minor in range(7, 15)},
    "ubuntu22-04-python3-11": "Ubuntu 22.04 with Python 3.11",
    "ubuntu24-04-python3-12": "Ubuntu 24.04 with Python 3.12",
}
ENVIRONMENT_TAG: Final = "latest"
#: Of an experiment that names none.
INSTANCE_TYPE: Final = "2048mb"
RETENTION_S: Final = 31_536_000
#: Of a run that names none.
DEFAULT_TIMEOUT_S: Final = 14_400
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


def python_of(environment: str) -> str | None:
    """Return the version of Python that an environment names, such as 3.11; None if it names none."""
    found = re.search(r"python(\d{1,2})-(\d{1,2})\Z", environment)
    return f"{found[1]}.{found[2]}" if found else None


def memory_mb_of(instance_type: str) -> int | None:
    """Return the memory that the name of an instance type tells, in MiB: `2048mb`, `2048 MB + 0.5 vCPU`; else None."""
    found = re.match(r"(\d{1,7}) ?mb\b", instance_type, re.IGNORECASE)
    return int(found[1]) if found else None
