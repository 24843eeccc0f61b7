"""A process of the pool: `child run STRETCHES MARK MODULE` or `child shrink TARGET INPUT RESULT KIND`."""

import json
import sys

from fuzzing.pool import Stretch, child, shrink_in_child

if __name__ == "__main__":
    if sys.argv[1] == "shrink":
        shrink_in_child(*sys.argv[2:])
    else:
        child([Stretch(*one) for one in json.loads(sys.argv[2])], *sys.argv[3:])
