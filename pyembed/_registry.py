"""Names of initializers, regularizers, constraints, schedules: their `get` and `serialize`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Generic, TypeGuard, TypeVar

_Made = TypeVar("_Made", bound="Configured")


class Configured:
    """Base of what is made from arguments that it can tell."""

    _arguments: ClassVar[tuple[str, ...]] = ()  # the names of those, which its attributes have too

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this object again."""
        return {name: getattr(self, name) for name in self._arguments}

    @classmethod
    def from_config(cls: type[_Made], config: Mapping[str, Any]) -> _Made:
        """Return an object made from what `get_config` returned, ours or Keras's.

        Parameters
        ----------
        config : mapping of str to object
            Arguments by name.

        Raises
        ------
        TypeError
            If one is none of the class's.
        ValueError
            If its value is not allowed.
        """
        return cls(**config)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


_Base = TypeVar("_Base", bound=Configured)


def make(cls: Callable[..., Any], config: Mapping[str, Any]) -> Callable[..., Any]:
    """Return an object of a class, ours or the user's own, made from its arguments."""
    made: Any
    if isinstance(cls, type) and issubclass(cls, Configured):
        made = cls.from_config(config)
    else:
        made = cls(**config)
    return made  # type: ignore[no-any-return]


class Registry(Generic[_Base]):
    """The classes of one kind, by name.

    Parameters
    ----------
    classes : iterable of type
        Known by their names and by these in snake case, as in Keras: ``"MaxNorm"``, ``"max_norm"``.
    name : str
        The argument that they are given as, which errors name where nothing else is said.
    aliases : mapping of str to type, optional
        Further names.
    """

    def __init__(
        self,
        classes: Iterable[type[_Base]],
        name: str,
        aliases: Mapping[str, type[_Base]] | None = None,
    ) -> None:
        self._name = name
        self._classes = frozenset(classes)
        self._named: dict[str, type[_Base]] = dict(aliases or {})
        for cls in self._classes:
            self._named[cls.__name__] = self._named[_snake_case(cls.__name__)] = cls

    def get(self, identifier: Any, name: str | None = None) -> Callable[..., Any] | None:
        """Return what `identifier` stands for.

        Parameters
        ----------
        identifier : str, dict, type, callable or None
            A name, in Keras's spelling or in snake case (``"MaxNorm"``, ``"max_norm"``), what
            `serialize` or Keras's returned, a class, or an object or None, which are returned as
            they are.
        name : str, optional
            The argument that errors name.

        Raises
        ------
        ValueError
            If it is none of these.
        """
        return None if identifier is None else self.made(identifier, name)

    def made(
        self,
        identifier: Any,
        name: str | None = None,
        make: Callable[[Callable[..., Any], Mapping[str, Any]], Callable[..., Any]] = make,
    ) -> Callable[..., Any]:
        """Return what `identifier` stands for, as `get`, where there must be something.

        Parameters
        ----------
        identifier : str, dict, type or callable
        name : str, optional
        make : callable
            Makes an object from a class and its arguments.

        Raises
        ------
        ValueError
            If it is none of these.
        """
        name = name or self._name
        if isinstance(identifier, str):
            if identifier not in self._named:
                names = ", ".join(sorted(self._named))
                raise ValueError(f"{name}={identifier!r} is none of {names}")
            return make(self._named[identifier], {})
        if isinstance(identifier, dict):
            return make(*self._parsed(identifier, name))
        found: Callable[..., Any] = identifier
        if isinstance(identifier, type):
            found = make(identifier, {})
        if not callable(found):
            raise ValueError(f"{name}={identifier!r} must be a name, a configuration or a callable")
        return found

    def _parsed(self, config: dict[str, Any], name: str) -> tuple[type[_Base], dict[str, Any]]:
        cls = self._named.get(str(config.get("class_name")))
        if cls is None:
            raise ValueError(f"{name}={config!r} has no known 'class_name'")
        arguments = config.get("config", {})
        if not isinstance(arguments, dict):
            raise ValueError(f"{name}={config!r} has a 'config' that is no dict")
        return cls, arguments

    def is_builtin(self, found: object) -> TypeGuard[_Base]:
        """Return whether this is of one of the classes known, and not of one made from them."""
        return type(found) in self._classes

    def serialize(self, found: Any) -> Any:
        """Return what `get` makes the same from: a dict; a callable of the user's own, or None."""
        if self.is_builtin(found):
            return {"class_name": type(found).__name__, "config": found.get_config()}
        return found


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
