"""A process of a cluster that is of another build: it knows other versions of the read models.

Arguments: ROLE, and the versions that differ from this build's as JSON. The environment is that of the role. Prints its
address once the port is open, and ends with 1 and the reason where it refuses to start.
"""

import json
import sys
from typing import Literal, cast

from runstream_infra.cluster.roles import run_role
from runstream_infra.cluster.settings import RoleSettings
from runstream_infra.listening import StartFailed
from runstream_processors.generations import CURRENT


def main(role: Literal["worker", "query-server"], differing: dict[str, int]) -> int:
    try:
        return run_role(
            role, RoleSettings.from_environment(), lambda url: print(url, flush=True), versions={**CURRENT, **differing}
        )
    except StartFailed as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    given = sys.argv[1]
    assert given in ("worker", "query-server")
    sys.exit(main(cast(Literal["worker", "query-server"], given), json.loads(sys.argv[2])))
