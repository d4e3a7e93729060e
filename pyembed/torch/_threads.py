"""How many threads kernels use in a PyTorch program."""

import torch

from pyembed import _core


def follow_torch() -> None:
    """Let calls use as many threads as torch does, unless `pyembed.set_num_threads` was called.

    Asked anew for each call: `torch.set_num_threads` counts whenever it is called, and the workers
    of a ``DataLoader`` have one thread.
    """
    _core.follow_num_threads(torch.get_num_threads())
