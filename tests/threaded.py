"""Ranks that are threads of one process, with the protocol of `pyembed.sharding.Communicator`."""

import threading

import numpy as np


class Group:
    """What the ranks of one job share."""

    def __init__(self, size):
        self.size = size
        self.barrier = threading.Barrier(size, timeout=60)
        self.boxes = [None] * size


class ThreadCommunicator:
    """One rank of a group."""

    def __init__(self, group, rank):
        self.group = group
        self.rank = rank
        self.size = group.size

    def _swapped(self, value):
        """Return what each rank gave."""
        self.group.boxes[self.rank] = value
        self.group.barrier.wait()
        found = list(self.group.boxes)
        self.group.barrier.wait()
        return found

    def counts(self, sent):
        assert sent.dtype == np.int64
        assert sent.shape == (self.size,)
        return np.array([numbers[self.rank] for numbers in self._swapped(sent.copy())])

    def alltoallv(self, rows, counts, out, received):
        assert rows.flags.c_contiguous
        assert out.flags.c_contiguous
        assert rows.dtype == out.dtype
        assert counts.sum() == len(rows)
        assert received.sum() == len(out)
        ends = np.cumsum(counts)
        parts = [rows[end - n : end] for end, n in zip(ends, counts, strict=True)]
        came = [parts[self.rank] for parts in self._swapped(parts)]
        assert [len(part) for part in came] == received.tolist()
        if came:
            np.concatenate(came, out=out)
        self.group.barrier.wait()  # their memory may change from here on


def on_ranks(size, body):
    """Return ``body(comm)`` of each rank; raises what the first rank that failed did."""
    group = Group(size)
    results, errors = [None] * size, [None] * size

    def run(rank):
        try:
            results[rank] = body(ThreadCommunicator(group, rank))
        except BaseException as error:
            errors[rank] = error
            group.barrier.abort()

    threads = [threading.Thread(target=run, args=(rank,), daemon=True) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    own = [e for e in errors if e is not None and not isinstance(e, threading.BrokenBarrierError)]
    if own:
        raise own[0]
    assert not any(errors), errors
    return results
