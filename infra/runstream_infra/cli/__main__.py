"""`python -m runstream_infra.cli`: the command line of this Python, whatever stands first in PATH."""

from runstream_infra.cli.app import main

if __name__ == "__main__":
    main()
