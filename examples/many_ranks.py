"""Several processes train one recommender: each has a share of the tables, and of every batch.

    pip install '.[examples,mpi]' mpich
    mpiexec -n 2 python examples/many_ranks.py

The model and the data are those of recommender.py, one fold of MovieLens 100K, with exact Adam. The
errors printed are the same, to the last digit, for any number of ranks, one included. With
``--checkpoint FILE`` it saves after every epoch, and goes on from there the next time, with as many
ranks as there are then.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from mpi4py import MPI

import datasets
import pyembed as pe
from arguments import example_parser, whole_number
from recommender_study.factorization import Factorization
from recommender_study.folds import folds
from recommender_study.optimizers import ADAM_RATE
from recommender_study.training import BATCH_SIZE

COMM = MPI.COMM_WORLD
EPOCHS = 6
NAMES = ("user_vectors", "film_vectors", "user_biases", "film_biases")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, and tell after every epoch how good the model is."""
    options = parse_arguments(arguments)
    pe.set_num_threads(options.threads)
    ratings = load()
    split, *_ = folds(ratings, options.seed)
    model = Factorization(split.training, seed=options.seed, comm=COMM)
    steps = -(-len(split.training) // BATCH_SIZE)  # in an epoch
    rate = pe.schedules.CosineDecay(ADAM_RATE, EPOCHS * steps)
    optimizer = pe.SparseAdam(model.tables, rate, update="exact")
    objects = {**dict(zip(NAMES, model.tables, strict=True)), "optimizer": optimizer}
    if options.checkpoint is not None and options.checkpoint.exists():
        pe.load(options.checkpoint, **objects)
    done = optimizer.state_dict()["tables"][0]["t"] // steps
    tell(f"{len(split.training):,} ratings, {COMM.size} ranks; RMSE of held-out ratings")
    if done == 0:
        tell(f"  at the start     {model.rmse(split.test):.6f}")
    for epoch in range(done, options.epochs):
        for batch in batches(split.training, np.random.default_rng([options.seed, epoch])):
            share = batch.take(np.array_split(np.arange(len(batch)), COMM.size)[COMM.rank])
            optimizer.step(*model.gradients(share, len(batch)))
        tell(f"  after epoch {epoch + 1:>2}   {model.rmse(split.test):.6f}")
        if options.checkpoint is not None:
            pe.save(options.checkpoint, **objects)


def load() -> datasets.Ratings:
    """Load the data: rank 0 first, which may have to download them."""
    try:
        if COMM.rank == 0:
            datasets.movielens_100k()
        COMM.Barrier()
        return datasets.movielens_100k()
    except datasets.DataUnavailableError as error:
        print(f"many_ranks.py: {error}", file=sys.stderr, flush=True)
        COMM.Abort(1)  # sys.exit would leave the others waiting
        raise


def batches(ratings: datasets.Ratings, rng: np.random.Generator) -> Iterator[datasets.Ratings]:
    """Go through all ratings once, in random order, which is that of all ranks."""
    order = rng.permutation(len(ratings))
    for start in range(0, len(order), BATCH_SIZE):
        yield ratings.take(order[start : start + BATCH_SIZE])


def tell(line: str) -> None:
    """Print a line once."""
    if COMM.rank == 0:
        print(line, flush=True)


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = example_parser(str(__doc__))
    parser.add_argument(
        "--epochs",
        type=whole_number(1, EPOCHS),
        default=EPOCHS,
        metavar="N",
        help=f"how many of the {EPOCHS} epochs to come to (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=whole_number(0, 2**32),
        default=0,
        metavar="N",
        help="of the fold, the first vectors and the batches (default: %(default)s)",
    )
    parser.add_argument(
        "--threads",
        type=whole_number(1, 1024),
        default=1,
        metavar="N",
        help="of each rank (default: %(default)s)",
    )
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="where to save, and to go on from"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
