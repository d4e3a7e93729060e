"""Attributes that are set once."""

from typing import Any, ClassVar


class Fixed:
    """Refuses new values for the attributes in `_fixed`.

    They were checked together when the object was made, and the compiled core may have its own
    copy: a new value would be half heard.
    """

    _fixed: ClassVar[frozenset[str]] = frozenset()

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._fixed and hasattr(self, name):
            raise AttributeError(f"{name} cannot be changed once the {type(self).__name__} is made")
        super().__setattr__(name, value)
