"""One call of a table that ranks share at a time: backends have threads of their own."""

from __future__ import annotations

import contextlib
from typing import Any

from pyembed._mutex import Mutex
from pyembed.sharding import AnyTable, Communicator, ShardedTable

# A communicator lives about as long as its process. They are kept, so that no other has its id.
_turns: dict[int, tuple[Communicator, Mutex]] = {}


def turn_of(table: AnyTable) -> contextlib.AbstractContextManager[Any]:
    """Return a context that one thread at a time is in, of those with tables of one communicator.

    Whose turn comes in another order than on other ranks is told so by what they exchange first.
    """
    if not isinstance(table, ShardedTable):
        return contextlib.nullcontext()
    _, mutex = _turns.setdefault(id(table.comm), (table.comm, Mutex()))
    return mutex.held
