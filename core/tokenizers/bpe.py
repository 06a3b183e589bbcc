"""Byte-pair encoding over bytes (Sennrich et al., 2016), learnt and applied by Hugging Face `tokenizers`.

Tokens 0 to 255 are the bytes; each later token joins two earlier ones. The library works on characters, so
bytes are passed to it as the 256 characters of Latin-1. Text is split into words here, not by the library.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..config import MAX_VOCAB_SIZE, TokenizerKind
from ..errors import TokenizerError

if TYPE_CHECKING:
    import tokenizers  # slow to import, and only bpe needs it

BYTES = tuple(bytes([value]) for value in range(256))
MAX_TOKEN_BYTES = 32
"""The longest token: longer ones would be memorised lines and headings."""

MIN_COUNT = 2
"""The least number of occurrences of a pair that is merged."""

WORD = re.compile(
    rb" ?[A-Za-z\x80-\xff]{1,64}"  # a word with the space before it; bytes above ASCII count as letters
    rb"|[0-9]{1,3}"
    rb"| ?[^A-Za-z0-9\x80-\xff\s]{1,64}"  # punctuation
    rb"|\s{1,64}(?!\S)"  # white space except the last, which joins the next word if it is a space
    rb"|\s{1,64}"
)
"""No token spans words, and every byte is in exactly one. The limits keep text without spaces from being one
huge word, which takes minutes to learn from.

Source: after GPT-2's pattern (Radford et al., 2019).
"""

FORMAT = 1
"""The version of tokenizer.json, of every kind."""


class TokenizerFile(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", forbid_unknown_fields=True):
    """The content of tokenizer.json."""

    format: int = FORMAT


class BpeFile(TokenizerFile, frozen=True, kw_only=True, tag="bpe"):
    """The merges of a bpe tokenizer in order, as pairs of ids.

    A merge whose joined bytes are a token already makes no new one.
    """

    merges: list[tuple[int, int]]


class BpeTokenizer:
    """Tokens are the 256 bytes and their merges."""

    kind: TokenizerKind = "bpe"

    def __init__(self, merges: Sequence[tuple[int, int]]) -> None:
        """Build the vocabulary from merges (pairs of token ids).

        Raises: TokenizerError if a merge refers to a later token, is repeated, or makes a token or vocabulary
        that is too large.
        """
        self._merges = tuple(merges)
        self._tokens = _tokens_of(self._merges)
        self.vocab_size = len(self._tokens)

    def encode(self, text: bytes) -> NDArray[np.int32]:
        words = WORD.findall(text)
        index_of = {word: index for index, word in enumerate(dict.fromkeys(words))}
        encodings = self._library.encode_batch([word.decode("latin-1") for word in index_of])
        ids_of = [encoding.ids for encoding in encodings]
        if not ids_of:
            return np.empty(0, np.int32)
        order = np.fromiter((index_of[word] for word in words), np.int64, len(words))
        return _concatenate_rows(ids_of, order)

    def decode(self, ids: Iterable[int]) -> bytes:
        tokens = self._tokens
        return b"".join([tokens[i] for i in checked_ids(ids, self.vocab_size).tolist()])

    def to_json(self) -> str:
        return msgspec.json.encode(BpeFile(merges=list(self._merges))).decode()

    @property
    def _library(self) -> tokenizers.Tokenizer:
        return _library_of(self._merges)


@lru_cache(maxsize=4)
def _library_of(merges: tuple[tuple[int, int], ...]) -> tokenizers.Tokenizer:
    """The library's tokenizer. A few are cached, since it never frees the words that they remember."""
    from tokenizers import Tokenizer, models  # noqa: PLC0415

    names = [token.decode("latin-1") for token in _tokens_of(merges)]
    vocabulary = {name: index for index, name in enumerate(names)}
    pairs = [(names[left], names[right]) for left, right in merges]
    return Tokenizer(models.BPE(vocab=vocabulary, merges=pairs))


def learn_merges(text: bytes, vocab_size: int) -> list[tuple[int, int]]:
    """Learn the merges for a vocabulary of exactly `vocab_size` tokens from a text; deterministic.

    Raises: TokenizerError if the text has too few repeated pairs; it says how many tokens are possible.
    """
    from tokenizers import Tokenizer, models, trainers  # noqa: PLC0415

    library = Tokenizer(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=MIN_COUNT,
        initial_alphabet=[token.decode("latin-1") for token in BYTES],
        max_token_length=MAX_TOKEN_BYTES,
        special_tokens=[],
        show_progress=False,
    )
    words = (match[0].decode("latin-1") for match in WORD.finditer(text))
    library.train_from_iterator(words, trainer)
    reached = library.get_vocab_size()
    if reached != vocab_size:
        raise TokenizerError(
            f"a bpe vocabulary of {vocab_size:,} is not possible: this text of {len(text):,} bytes yields "
            f"only {reached:,}, because no other pair of tokens within a word occurs twice; "
            f"choose {reached:,} or fewer, use byte, or add text"
        )
    id_of = library.get_vocab()
    merges = json.loads(library.to_str())["model"]["merges"]
    return [(id_of[left], id_of[right]) for left, right in merges]


def checked_ids(ids: Iterable[int], vocab_size: int) -> NDArray[np.int64]:
    """Ids as an array. Raises: TokenizerError for one outside the vocabulary."""
    try:
        array = ids.astype(np.int64) if isinstance(ids, np.ndarray) else np.fromiter(ids, np.int64)
    except (OverflowError, TypeError, ValueError) as error:
        raise TokenizerError(f"these are not all token ids: {error}") from error
    if array.size and not (array.min() >= 0 and array.max() < vocab_size):
        stray = array[(array < 0) | (array >= vocab_size)][0]
        raise TokenizerError(f"there is no token {stray:,}: the vocabulary has 0 to {vocab_size - 1:,}")
    return array


def _tokens_of(merges: Sequence[tuple[int, int]]) -> tuple[bytes, ...]:
    """The bytes of all tokens; each merge is checked before its token is created."""
    tokens = list(BYTES)
    known = set(tokens)
    if len(set(merges)) < len(merges):
        raise TokenizerError("a merge of this bpe tokenizer is repeated")
    for left, right in merges:
        if not (0 <= left < len(tokens) and 0 <= right < len(tokens)):
            raise TokenizerError(f"the merge {left:,} + {right:,} comes before one of its tokens")
        if len(tokens[left]) + len(tokens[right]) > MAX_TOKEN_BYTES:
            raise TokenizerError(f"a merge makes a token of more than {MAX_TOKEN_BYTES} bytes")
        joined = tokens[left] + tokens[right]
        if joined not in known:
            known.add(joined)
            tokens.append(joined)
    if len(tokens) > MAX_VOCAB_SIZE:
        raise TokenizerError(f"{len(tokens):,} tokens are more than the {MAX_VOCAB_SIZE:,} allowed")
    return tuple(tokens)


def _concatenate_rows(rows: list[list[int]], order: NDArray[np.int64]) -> NDArray[np.int32]:
    """Concatenate rows of a ragged table in the given order, without a loop over them.

    Element j of the result is the flat table's at: the start of its row, plus j, minus the length of the
    result before that row.
    """
    lengths = np.array([len(row) for row in rows])
    flat = np.array([token_id for row in rows for token_id in row], np.int32)
    starts = np.cumsum(lengths) - lengths
    taken = lengths[order]
    before = np.cumsum(taken) - taken
    return flat[np.repeat(starts[order] - before, taken) + np.arange(int(taken.sum()))]
