"""Tables that several processes share: an engine that they have carries the bytes.

`Embedding(comm=)` and `EmbeddingBag(comm=)` take a communicator of mpi4py, a process group of
`torch.distributed`, or an object of the protocol `Communicator`.
"""

from pyembed.sharding.communicator import Communicator
from pyembed.sharding.exchange import Calls
from pyembed.sharding.lookup import AnyLookup, lookup_of
from pyembed.sharding.ranks import Ask, Ranks, Together, ranks_of, ranks_of_tables
from pyembed.sharding.table import AnyTable, ShardedTable

__all__ = [
    "AnyLookup",
    "AnyTable",
    "Ask",
    "Calls",
    "Communicator",
    "Ranks",
    "ShardedTable",
    "Together",
    "lookup_of",
    "ranks_of",
    "ranks_of_tables",
]
