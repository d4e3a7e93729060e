"""Ranks that are threads: whatever ranks come to, without any engine that must be installed."""

import pytest

from sharded_cases import CASES
from threaded import on_ranks


@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.parametrize("name", CASES)
def test_the_bits_of_one_process(name, size):
    on_ranks(size, CASES[name])
