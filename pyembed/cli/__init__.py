"""The command `pyembed`, a file for each of its commands."""

from pyembed.cli._main import main

__all__ = ["main"]
