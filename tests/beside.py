"""Modules that are no part of the package, as those of benchmarks and examples."""

import importlib
import sys


def modules_of(folder, monkeypatch):
    """For a fixture: yield what imports a module of the folder; none is left behind."""
    monkeypatch.syspath_prepend(folder)
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if str(folder) in (getattr(sys.modules[name], "__file__", None) or ""):
            del sys.modules[name]
