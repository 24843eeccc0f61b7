"""A program that an agent starts for each trial: python -m kit.sweeping_program SPOOL X NAME."""

import sys

import runstream
from kit.sweeping import QUIET


def main(spool: str, x: str, name: str) -> None:
    trial = runstream.current_trial()
    assert trial is not None
    assert trial.params == {"x": int(x), "name": name}
    with trial.run(dir=spool, **QUIET) as run:
        run.log({"loss": float(x)}, step=0)
        if x == "3":
            sys.exit(3)


if __name__ == "__main__":
    main(*sys.argv[1:])
