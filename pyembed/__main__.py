"""``python -m pyembed``: the command `pyembed`."""

import sys

from pyembed.cli import main

if __name__ == "__main__":
    sys.exit(main())
