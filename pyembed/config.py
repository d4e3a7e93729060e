"""Threads, instruction set and build of the compiled core."""

from typing import Any, Literal

from pyembed import _checks, _core


def set_num_threads(n: int) -> None:
    """Set the most threads that a call uses.

    Results are the same bits at any number. A child process made by ``os.fork`` works in its
    calling thread alone, whatever is set.

    Parameters
    ----------
    n : int
        From 1 to 4096. Without a call, OpenMP's settings count (``OMP_NUM_THREADS`` …); or those
        of PyTorch, once `pyembed.torch` is in use.

    Raises
    ------
    ValueError
        If `n` is no integer in that range.
    """
    _core.set_num_threads(_checks.integer(n, "n", 1, 4096))


def get_num_threads() -> int:
    """Return the most threads that a call uses; 1 in a serial build and in a forked child."""
    return _core.get_num_threads()


def release_memory() -> None:
    """Give memory that is kept for the next call back to the system.

    Working memory, and that of large results which are no longer in use, is kept for the calls to
    come: at most 256 MiB in all, since fresh pages cost more than a lookup itself.
    """
    _core.release_memory()


def show_config(mode: Literal["stdout", "dicts"] = "stdout") -> dict[str, Any] | None:
    """Show how this build works: version, threads, OpenMP, instruction set, compiler.

    Parameters
    ----------
    mode : {'stdout', 'dicts'}
        Print, or return a dictionary, as `numpy.show_config` does.

    Returns
    -------
    dict or None
        With ``mode='dicts'``: ``version``, ``threads``, ``openmp`` (whether threads are compiled
        in), ``forked``, ``isa`` (the instruction set in use; the environment variable
        ``PYEMBED_ISA`` picks one at import), ``isa_available`` and ``compiler``.
    """
    config = {"version": _core.__version__, **_core.config()}
    if mode == "dicts":
        return config
    if mode != "stdout":
        raise ValueError(f"mode={mode!r} is neither 'stdout' nor 'dicts'")
    openmp = "yes" if config["openmp"] else "no: a serial build, one thread for every call"
    print(f"pyembed {config['version']}")
    print(
        f"  threads          {config['threads']}" + (" (forked child)" if config["forked"] else "")
    )
    print(f"  OpenMP           {openmp}")
    print(f"  instruction set  {config['isa']} (available: {', '.join(config['isa_available'])})")
    print(f"  compiler         {config['compiler']}")
    return None
