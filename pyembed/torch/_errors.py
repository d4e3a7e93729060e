"""Errors that are the core's, and those that torch raises in its place too."""

from __future__ import annotations


class RefusedIndexError(IndexError, RuntimeError):
    """An id is outside the table."""


class RefusedTypeError(TypeError, RuntimeError):
    """An argument's dtype is none that it may have."""


class RefusedValueError(ValueError, RuntimeError):
    """An argument's value is not allowed."""


_KINDS = RefusedIndexError, RefusedTypeError, RefusedValueError


def as_torchs(error: Exception) -> Exception:
    """Return the error as one that ``except RuntimeError``, as around torch's, catches as well."""
    if isinstance(error, RuntimeError):
        return error
    for kind in _KINDS:
        if isinstance(error, kind.__bases__[0]):
            return kind(*error.args)
    return error
