"""Putting the classes of `pyembed.torch` in the place of torch's, under code that names torch's."""

from __future__ import annotations

from types import ModuleType, TracebackType
from typing import Any, NamedTuple

import torch
from torch.nn.modules import sparse
from torch.optim.sparse_adam import SparseAdam as TorchsSparseAdam

from pyembed.torch.embedding import Embedding
from pyembed.torch.embedding_bag import EmbeddingBag
from pyembed.torch.sparse_adam import SparseAdam


class _Place(NamedTuple):
    module: ModuleType
    name: str
    own: Any  # what torch has there
    ours: Any


# Not where torch defines them: objects of its classes would not pickle any more.
_PLACES = [
    _Place(module, cls.__name__, own, cls)
    for own, cls, modules in (
        (sparse.Embedding, Embedding, (torch.nn, torch.nn.modules)),
        (sparse.EmbeddingBag, EmbeddingBag, (torch.nn, torch.nn.modules)),
        (TorchsSparseAdam, SparseAdam, (torch.optim,)),
    )
    for module in modules
]


class Patch:
    """What `patch` did; at the end of a ``with`` block it is undone."""

    def __init__(self, changed: list[tuple[_Place, Any]]) -> None:
        self._changed = changed

    def __enter__(self) -> Patch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for place, before in self._changed:
            if getattr(place.module, place.name) is place.ours:
                setattr(place.module, place.name, before)


def patch() -> Patch:
    """Have ``torch.nn.Embedding``, ``EmbeddingBag`` and ``torch.optim.SparseAdam`` be ours.

    For libraries that make these and cannot be edited: call it before they do. What has torch's
    classes already, by ``from torch.nn import Embedding`` say, keeps them; so do models that are
    made. While it lasts, ``isinstance(module, torch.nn.Embedding)`` is False of torch's own.

    Returns
    -------
    Patch
        A context manager, at whose end the names are what they were.

    See Also
    --------
    unpatch : Undo it.

    Examples
    --------
    >>> import pyembed.torch
    >>> import torch
    >>> with pyembed.torch.patch():
    ...     type(torch.nn.Embedding(4, 3)).__module__
    'pyembed.torch.embedding'
    """
    changed = []
    for place in _PLACES:
        before = getattr(place.module, place.name)
        if before is not place.ours:
            changed.append((place, before))
            setattr(place.module, place.name, place.ours)
    return Patch(changed)


def unpatch() -> None:
    """Have torch's names be torch's own classes again, wherever they are ours."""
    for place in _PLACES:
        if getattr(place.module, place.name) is place.ours:
            setattr(place.module, place.name, place.own)
