"""A process of the pool. Its first argument is `run`, `shrink` or `replay`; pool.py has what follows."""

import json
import sys

from fuzzing.pool import Stretch, child, replay, shrink_in_child

if __name__ == "__main__":
    if sys.argv[1] == "shrink":
        shrink_in_child(*sys.argv[2:])
    elif sys.argv[1] == "replay":
        replay(sys.argv[2:])
    else:
        child([Stretch(*one) for one in json.loads(sys.argv[2])], *sys.argv[3:])
