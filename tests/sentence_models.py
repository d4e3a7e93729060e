"""Small tokenizers of each kind that the `tokenizers` library has, and a model's parts for them."""

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

WORDS = ("the", "film", "is", "good", "great", "bad", "dull", "not", "a", "naïve", "東京", "!", ",")
TEXTS = [
    "The film is good , not dull !",
    "",
    "zzz qqq",
    "a naïve film",
    "東京 is   great\n",
    "great " * 40,
    "unheardof film zzz",
    "x" * 300,
    ",",
]


def word_level():
    ids = {word: place for place, word in enumerate(("[PAD]", "[UNK]", *WORDS))}
    made = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.normalizer = normalizers.Lowercase()
    made.enable_padding(pad_token="[PAD]", pad_id=0)
    made.enable_truncation(3)  # of the tokenizer's own, which models do not follow
    return made


def word_piece():
    pieces = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS, "un", "##heard", "##of", "x", "##x")
    made = Tokenizer(
        models.WordPiece({word: place for place, word in enumerate(pieces)}, unk_token="[UNK]")
    )
    made.normalizer = normalizers.BertNormalizer(strip_accents=False)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return made


def byte_pairs():
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("f", "i"), ("fi", "l"), ("fil", "m"), ("o", "o"), ("g", "oo"), ("goo", "d")]
    pieces = [*alphabet, *("".join(pair) for pair in merges)]
    made = Tokenizer(models.BPE({piece: place for place, piece in enumerate(pieces)}, merges))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return made


def unigram():
    pieces = [("<unk>", 0.0), *((f"▁{word}", -2.0 - 0.1 * n) for n, word in enumerate(WORDS))]
    made = Tokenizer(models.Unigram([*pieces, ("▁", -6.0), ("x", -7.0)], unk_id=0))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    return made


TOKENIZERS = {
    "WordLevel": word_level,
    "WordPiece": word_piece,
    "BPE": byte_pairs,
    "Unigram": unigram,
}


def parts(kind, rng, dim=9):
    """A tokenizer, and a matrix and weights for its tokens."""
    tokenizer = TOKENIZERS[kind]()
    count = tokenizer.get_vocab_size()
    matrix = rng.standard_normal((count, dim)).astype(np.float32)
    return tokenizer, matrix, rng.uniform(0.1, 2, count).astype(np.float32)
