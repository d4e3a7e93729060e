"""Texts' vectors from those of their tokens."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from pyembed import _checks
from pyembed.io._errors import naming
from pyembed.layers import EmbeddingBag
from pyembed.vectors import _model2vec
from pyembed.vectors._words import by_pieces
from pyembed.vectors.word_vectors import WordVectors

if TYPE_CHECKING:
    import tokenizers

_EPSILON = 1e-32  # added to a norm, as Model2Vec does: zeros stay zeros


class SentenceVectors(WordVectors):
    """Tokens with a vector each, and a tokenizer: a text has the weighted mean of its tokens'.

    With x the row of a token and w its weight, the vector of a text of n tokens is ``Σ w x / n``,
    and zeros for a text without any. Tokens that the tokenizer does not know do not count.

    Parameters
    ----------
    matrix : ndarray of float32 or float64, shape (tokens, dim)
        Row i belongs to the token with id i. Shared, not copied.
    tokenizer : tokenizers.Tokenizer or str
        Of the `tokenizers` library, or its JSON.
    weights : array_like of float, shape (tokens,), optional
        The weight of each token; 1 without.
    normalize : bool
        Whether vectors are divided by their length.
    max_length : int or None
        Tokens of a text that count at the most, from the first on; None for all. Before that, of a
        text as many characters are taken as so many tokens of the median length would have.

    Attributes
    ----------
    words : sequence of str
        The tokens.
    matrix : ndarray, shape (tokens, dim)
    weights : ndarray of the matrix's dtype, shape (tokens,), or None
    bag : EmbeddingBag
        The layer, ``mode='sum'``, on the matrix itself: what it learns, `encode` returns.
    normalize : bool
    max_length : int or None

    Raises
    ------
    ImportError
        If there is no `tokenizers` library.
    TypeError
        If an argument is of another type, or the matrix of another dtype.
    ValueError
        If the tokenizer has another number of tokens than the matrix of rows, or ids that are not
        those of rows, or its JSON cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> import pyembed as pe
    >>> model = pe.vectors.load("potion-base-8M")  # doctest: +SKIP
    >>> vectors = model.encode(["It's dangerous to go alone!", "Take this."])  # doctest: +SKIP
    >>> opt = pe.SparseAdam(model.bag)  # doctest: +SKIP
    >>> bags = model.tokenize(["It's dangerous to go alone!"])  # doctest: +SKIP
    >>> means = model.bag(*bags)  # doctest: +SKIP
    >>> opt.step(model.bag.backward(bags[0], np.ones_like(means), *bags[1:]))  # doctest: +SKIP
    """

    def __init__(
        self,
        matrix: NDArray[Any],
        tokenizer: tokenizers.Tokenizer | str,
        *,
        weights: Any = None,
        normalize: bool = False,
        max_length: int | None = 512,
    ) -> None:
        self._json = tokenizer if isinstance(tokenizer, str) else str(tokenizer.to_str())
        self._tokenizer = _tokenizer_of(self._json)
        tokens = _tokens_of(self._tokenizer)
        if isinstance(matrix, np.ndarray) and matrix.ndim == 2 and len(matrix) != len(tokens):
            raise ValueError(
                f"matrix has {len(matrix)} rows, but the tokenizer has {len(tokens)} tokens"
            )
        super().__init__(tokens, matrix)
        self.weights = None if weights is None else _weights(weights, matrix)
        self.normalize = bool(normalize)
        self.max_length = _max_length(max_length)
        self._unknown = _unknown_of(self._tokenizer)
        self._median = int(np.median([len(token) for token in tokens])) if tokens else 0
        self.bag = EmbeddingBag.from_pretrained(
            matrix, mode="sum", trainable=matrix.flags.writeable
        )

    def encode(
        self,
        texts: str | Iterable[str],
        *,
        normalize: bool | None = None,
        max_length: int | Literal["auto"] | None = "auto",
    ) -> NDArray[Any]:
        """Return the vector of a text, or those of many.

        Parameters
        ----------
        texts : str, or iterable of str
        normalize : bool, optional
            In the place of the attribute.
        max_length : int, None or 'auto'
            In the place of the attribute, which is taken for ``'auto'``.

        Returns
        -------
        ndarray, shape (dim,) or (texts, dim)
            Of the matrix's dtype.

        Raises
        ------
        TypeError
            If a text is no str.
        ValueError
            If `max_length` is none of these.
        """
        if isinstance(texts, str):
            vector: NDArray[Any] = self.encode([texts], normalize=normalize, max_length=max_length)[
                0
            ]
            return vector
        pieces = [self._means(piece, max_length) for piece in by_pieces(texts)]
        vectors = np.concatenate(pieces or [np.empty((0, self.dim), self.matrix.dtype)])
        if self.normalize if normalize is None else normalize:
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True) + vectors.dtype.type(_EPSILON)
        return vectors

    def tokenize(
        self, texts: Iterable[str], *, max_length: int | Literal["auto"] | None = "auto"
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any]]:
        """Return what `bag` takes, and `bag.backward`: the tokens of texts, end to end.

        Parameters
        ----------
        texts : iterable of str
        max_length : int, None or 'auto'
            As in `encode`.

        Returns
        -------
        ids : ndarray of int64, shape (n,)
            Of all texts' tokens that are known.
        offsets : ndarray of int64, shape (texts,)
            Where each text begins.
        weights : ndarray, shape (n,)
            Of each token, divided by the number of its text's, so that the sum is the mean. (It is
            rounded more often than in `encode`, which divides the sum.)

        Raises
        ------
        TypeError, ValueError
            As `encode`.
        """
        ids, counts = self._tokens(texts, max_length)
        weights = np.repeat((1 / np.maximum(counts, 1)).astype(self.matrix.dtype), counts)
        if self.weights is not None:
            weights *= self.weights[ids]
        return ids, _starts(counts), weights

    def _means(
        self, texts: Iterable[str], max_length: int | Literal["auto"] | None
    ) -> NDArray[Any]:
        """Return the vectors of texts, which are divided at last: that rounds the least."""
        ids, counts = self._tokens(texts, max_length)
        weights = None if self.weights is None else self.weights[ids]
        sums = self.bag(ids, _starts(counts), weights)
        sums /= np.maximum(counts, 1).astype(sums.dtype)[:, None]
        return sums

    def _tokens(
        self, texts: Iterable[str], max_length: int | Literal["auto"] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the ids of texts' known tokens, end to end, and how many each text has."""
        most = self.max_length if max_length == "auto" else _max_length(max_length)
        batch = _checked(texts)
        if most is not None:
            batch = [text[: most * self._median] for text in batch]
        encoded = self._tokenizer.encode_batch_fast(batch, add_special_tokens=False)
        tokens = [one.ids[:most] for one in encoded]
        counts = np.fromiter(map(len, tokens), np.int64, len(tokens))
        ids = np.fromiter(chain.from_iterable(tokens), np.int64, int(counts.sum()))
        if self._unknown is not None:
            known = ids != self._unknown
            of_text = np.repeat(np.arange(len(counts)), counts)
            ids, counts = ids[known], np.bincount(of_text[known], minlength=len(counts))
        return ids, counts

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write a folder that `pyembed.vectors.load` and Model2Vec load.

        Parameters
        ----------
        folder : path-like
            Made where it is not there. Its files are replaced, each as a whole or not at all, the
            table at last.

        Raises
        ------
        OSError
            If the system refuses something.
        """
        model = _model2vec.Model(
            self.matrix, self.weights, None, self._json, self.normalize, self.max_length
        )
        _model2vec.write(os.fsdecode(folder), model)

    def __getstate__(self) -> dict[str, Any]:
        names = ("_json", "weights", "normalize", "max_length")
        return {"matrix": np.array(self.matrix), **{name: getattr(self, name) for name in names}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        arguments = dict(state)
        self.__init__(tokenizer=arguments.pop("_json"), **arguments)  # type: ignore[misc]

    def __repr__(self) -> str:
        return (
            f"<SentenceVectors of {len(self):,} tokens, dim {self.dim}, {self.matrix.dtype}, "
            f"max_length {self.max_length}{', normalised' if self.normalize else ''}>"
        )


def load_folder(folder: str, dtype: str, mmap: bool) -> SentenceVectors:
    """Return the model of a folder of Model2Vec's.

    Raises
    ------
    ImportError, OSError, TypeError, ValueError
        As `load` says.
    """
    model = _model2vec.read(folder, dtype, mmap)
    matrix = model.matrix if model.mapping is None else model.matrix[model.mapping]
    with naming(folder):
        return SentenceVectors(
            matrix,
            model.tokenizer,
            weights=model.weights,
            normalize=model.normalize,
            max_length=model.max_length,
        )


def _tokenizer_of(text: str) -> tokenizers.Tokenizer:
    """Return the tokenizer of its JSON, which cuts nothing and pads nothing."""
    try:
        import tokenizers
    except ModuleNotFoundError as error:
        raise ImportError("texts need the 'tokenizers' library: pip install tokenizers") from error
    try:
        made = tokenizers.Tokenizer.from_str(text)
    except Exception as error:  # the library raises Exception itself
        raise ValueError(f"the tokenizer's JSON cannot be read: {str(error)[:200]}") from None
    made.no_truncation()
    made.no_padding()
    return made


def _tokens_of(tokenizer: tokenizers.Tokenizer) -> list[str]:
    """Return the tokens in the order of their ids, which are 0, 1, … without a gap."""
    ids = tokenizer.get_vocab()
    tokens = sorted(ids, key=ids.__getitem__)
    for row, token in enumerate(tokens):
        if ids[token] != row:
            raise ValueError(
                f"token {token!r} has id {ids[token]}, but is number {row} of the tokenizer: ids "
                "must have no gap"
            )
    return tokens


def _unknown_of(tokenizer: tokenizers.Tokenizer) -> int | None:
    """Return the id that stands for what a tokenizer does not know, or None."""
    model = tokenizer.model
    if not hasattr(model, "unk_token"):  # of the models, Unigram alone has an id instead
        unknown: int | None = json.loads(tokenizer.to_str())["model"].get("unk_id")
        return unknown
    return None if model.unk_token is None else tokenizer.token_to_id(model.unk_token)


def _weights(weights: Any, matrix: NDArray[Any]) -> NDArray[Any]:
    array = np.asarray(weights)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"weights must be numbers, not {array.dtype}")
    if array.shape != (len(matrix),):
        raise ValueError(
            f"weights must have shape ({len(matrix)},), one for each token, not {array.shape}"
        )
    return array.astype(matrix.dtype)


def _starts(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.cumsum(counts) - counts


def _max_length(value: Any) -> int | None:
    return None if value is None else _checks.integer(value, "max_length", 0)


def _checked(texts: Iterable[str]) -> list[str]:
    if isinstance(texts, str):
        raise TypeError(f"texts must be an iterable of strings, not one: {texts[:80]!r}")
    batch = list(texts)
    for place, text in enumerate(batch):
        if not isinstance(text, str):
            raise TypeError(f"texts must be strings, but number {place} is {type(text).__name__}")
    return batch
