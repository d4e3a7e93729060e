"""``python benchmarks``: pyembed beside its peers. See ``python benchmarks --help``."""

from __future__ import annotations

import sys

import options as command_line


def main() -> int:
    """Run the jobs asked for; 1 if two contestants computed different things."""
    options = command_line.parse()
    command_line.set_environment(options)
    try:
        import pyembed  # noqa: F401
    except ImportError as error:
        print(f"python benchmarks: {error}. First: pip install .", file=sys.stderr)
        return 2
    from run import run  # only now: it loads the libraries

    return run(options)


if __name__ == "__main__":
    sys.exit(main())
