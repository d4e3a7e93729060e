"""``python tests/differential``: see ``--help``."""

import faulthandler
import sys
from pathlib import Path

if __name__ == "__main__":
    faulthandler.enable()
    sys.path[0] = str(Path(__file__).resolve().parent.parent)  # for this package and reference.py
    from differential.run import main

    sys.exit(main())
