"""What a file of word vectors is, by its first bytes."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from pyembed.io._errors import shown
from pyembed.vectors import _fasttext
from pyembed.vectors._source import Source

FORMATS = ("glove", "word2vec", "word2vec-binary", "fasttext", "npy", "safetensors")

_BOM = b"\xef\xbb\xbf"
_HEADER = re.compile(rb"(\d+)[ \t]+(\d+)[ \t\r]*\n")
_NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")  # not in a text
_LINES = 100  # of the beginning, that the number of columns is told by
_LARGEST = 2**31 - 1


@dataclass(frozen=True)
class Rows:
    """Rows of words and numbers, as the beginning of a file tells.

    Attributes
    ----------
    dim : int
        Numbers of a row.
    count : int or None
        Rows that a header claims.
    begin : int
        Where the first row begins.
    line : int
        The number of its line, from 1.
    is_text : bool
    """

    dim: int
    count: int | None
    begin: int
    line: int
    is_text: bool


def format_of(source: Source) -> str:
    """Return the format of a file.

    Raises
    ------
    ValueError
        If it is empty, or of a format that is known and not read.
    """
    head = source.head
    _refuse_others(head)
    if head.startswith(b"\x93NUMPY"):
        return "npy"
    if head.startswith(_fasttext.MAGIC) or _fasttext.is_old(head):
        return "fasttext"
    if head[8:9] == b"{" and source.is_plain and int.from_bytes(head[:8], "little") < source.size:
        return "safetensors"
    header = _header(head)
    if header is None:
        return "glove"
    count, dim, begin = header
    return "word2vec" if _is_text(head[begin:], count, dim) else "word2vec-binary"


def _refuse_others(head: bytes) -> None:
    if not head.strip(b"\xef\xbb\xbf \t\r\n"):
        raise ValueError("it is empty")
    if re.match(rb"\x80[\x02-\x05]|\((dp|lp|i)\d*\n|ccopy_reg\n", head):
        raise ValueError(
            "it is a pickle, as gensim's save() writes: to load one could run any code. Load it "
            "with gensim, and write it with save_word2vec_format(path, binary=True)"
        )
    if head.startswith(b"\x89HDF"):
        raise ValueError("it is an HDF5 file, which is not read")
    if head.startswith((b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"\x28\xb5\x2f\xfd")):
        raise ValueError("it is compressed in a way that is not read: gzip and zip are")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError("it is a text in UTF-16: convert it to UTF-8")


def rows_of(source: Source, format: str) -> Rows:
    """Return what the beginning of a text or of word2vec's binary rows says.

    Raises
    ------
    ValueError
        If there is no row, or a header that cannot be true.
    """
    head = source.head
    if format == "glove":
        begin = len(_BOM) if head.startswith(_BOM) else 0
        lines = _lines(head[begin:], source)
        if not lines:
            raise ValueError("it has no rows")
        return Rows(_dim(lines), None, begin, 1, True)
    header = _header(head)
    if header is None:
        first = head.split(b"\n", 1)[0][:80].decode("utf-8", "replace")
        raise ValueError(f"line 1 is no header of two numbers, of rows and columns: {shown(first)}")
    count, dim, begin = header
    if not 1 <= dim <= _LARGEST:
        raise ValueError(f"line 1: the header claims {dim} columns")
    is_text = format == "word2vec"
    if is_text:
        _check_columns(_lines(head[begin:], source), dim)
    _check_count(count, dim, source, begin, 2 if is_text else 4)
    return Rows(dim, count, begin, 2, is_text)


def _header(head: bytes) -> tuple[int, int, int] | None:
    """Return the rows and columns that a first line claims, and where the next begins."""
    begin = len(_BOM) if head.startswith(_BOM) else 0
    found = _HEADER.match(head, begin)
    if found is None or max(map(len, found.groups())) > 20:
        return None
    return int(found[1]), int(found[2]), found.end()


def _lines(text: bytes, source: Source) -> list[list[bytes]]:
    """Return the fields of the first lines that are whole and not blank."""
    lines = text.split(b"\n", _LINES)
    if len(lines) > _LINES or len(source.head) < (source.size or len(source.head) + 1):
        lines = lines[:-1] if len(lines) > 1 else lines
    fields = (re.split(rb"[ \t\r]+", line.rstrip(b" \t\r")) for line in lines)
    return [line for line in fields if line != [b""]]


def _dim(lines: list[list[bytes]]) -> int:
    """Return the number of columns that most lines have: some may have words with blanks."""
    counts = Counter(map(len, lines))
    dim = min(counts, key=lambda fields: (-counts[fields], fields)) - 1
    if dim < 1:
        place = next(place for place, line in enumerate(lines) if len(line) == 1)
        word = lines[place][0][:80].decode("utf-8", "replace")
        raise ValueError(f"line {place + 1} is a word without numbers: {shown(word)}")
    return dim


def _check_columns(lines: list[list[bytes]], dim: int) -> None:
    """Refuse a header with fewer columns than there are: the words would swallow numbers."""
    if swallow_numbers([line[: max(len(line) - dim, 1)] for line in lines]):
        columns = min(map(len, lines)) - 1
        raise ValueError(f"line 1: the header claims {dim} columns, but the rows have {columns}")


def swallow_numbers(words: list[list[bytes]]) -> bool:
    """Return whether all words have several parts, and a number for the last one."""
    return bool(words) and all(len(word) > 1 and _NUMBER.fullmatch(word[-1]) for word in words)


def _check_count(count: int, dim: int, source: Source, begin: int, bytes_of_one: int) -> None:
    """Refuse, before anything is allocated, rows that the file has no bytes for."""
    if source.size and count * (dim * bytes_of_one + 1) > source.size - begin + 1:
        raise ValueError(
            f"line 1: the header claims {count} rows of {dim} numbers, for which "
            f"{source.size - begin} bytes are too few"
        )


def _is_text(rows: bytes, count: int, dim: int) -> bool:
    """Return whether what follows a header is text, and not the bytes of floats."""
    line, end, _ = rows.partition(b"\n")
    fields = re.split(rb"[ \t]+", line.rstrip(b" \t\r"))
    if (
        len(fields) > dim
        and (end or count < 2)
        and all(map(_NUMBER.fullmatch, fields[len(fields) - dim :]))
    ):
        return True
    return not _CONTROL.search(rows, 0, 4096) and not _is_binary(rows, count, dim)


def _is_binary(rows: bytes, count: int, dim: int) -> bool:
    """Return whether these are so many rows of a word, a blank and floats, and nothing else."""
    at = 0
    for _ in range(count):
        blank = rows.find(b" ", at)
        at = blank + 1 + 4 * dim
        if blank < 0 or at > len(rows):
            return False
        at += rows[at : at + 1] == b"\n"
    return at == len(rows)
