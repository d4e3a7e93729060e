"""For ``pytest benchmarks``: the modules here import each other by name, as a script's do."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
