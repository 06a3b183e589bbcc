"""Text to ids and back: by character, by byte, or by byte pairs (BPE) learnt from the text.

Text is `bytes` throughout, ids are int32. `byte` and `bpe` encode any bytes; `char` encodes UTF-8 made of the
characters it was built from, and its error names any other one and its position.

BPE (Sennrich et al., 2016) is learnt and applied by Hugging Face `tokenizers`. Tokens 0 to 255 are the bytes;
each later token joins two earlier ones. The library works on characters, so bytes are passed to it as the 256
characters of Latin-1. Text is split into words here, not by the library.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from .config import MAX_VOCAB_SIZE, TokenizerConfig, TokenizerKind
from .errors import TokenizerError
from .files import refuse_newer

if TYPE_CHECKING:
    import tokenizers  # slow to import, and only bpe needs it

FORMAT = 1
"""The version of tokenizer.json, of every kind."""


class _File(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", forbid_unknown_fields=True):
    """The content of tokenizer.json."""

    format: int = FORMAT


class _ByteFile(_File, frozen=True, kw_only=True, tag="byte"):
    pass


class _CharFile(_File, frozen=True, kw_only=True, tag="char"):
    alphabet: str


class _BpeFile(_File, frozen=True, kw_only=True, tag="bpe"):
    """The merges in order, as pairs of ids. One whose joined bytes are a token already makes no new one."""

    merges: Sequence[tuple[int, int]]


class ByteTokenizer:
    """Tokens are bytes; every byte is its own id."""

    kind: TokenizerKind = "byte"
    vocab_size = 256

    def encode(self, text: bytes) -> NDArray[np.int32]:
        return np.frombuffer(text, np.uint8).astype(np.int32)

    def decode(self, ids: Iterable[int]) -> bytes:
        return checked_ids(ids, self.vocab_size).astype(np.uint8).tobytes()

    def to_json(self) -> str:
        return msgspec.json.encode(_ByteFile()).decode()


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


class CharTokenizer:
    """Tokens are the code points of a text, in ascending order."""

    kind: TokenizerKind = "char"

    def __init__(self, alphabet: str) -> None:
        """`alphabet` must be strictly ascending and not empty."""
        self.vocab_size = len(alphabet)
        self.alphabet = alphabet
        self._code_points_V = _code_points(alphabet)
        # One entry beyond the last known code point, for everything above it.
        self._id_of = np.full(int(self._code_points_V[-1]) + 2, -1, np.int32)
        self._id_of[self._code_points_V] = np.arange(len(alphabet))

    def encode(self, text: bytes) -> NDArray[np.int32]:
        characters = _decode_utf8(text)
        ids = self._id_of[np.minimum(_code_points(characters), len(self._id_of) - 1)]
        if ids.size and ids.min() < 0:
            raise self._unknown(characters, int(np.argmin(ids)))
        return ids

    def decode(self, ids: Iterable[int]) -> bytes:
        code_points = self._code_points_V[checked_ids(ids, self.vocab_size)]
        return code_points.tobytes().decode("utf-32-le").encode()

    def to_json(self) -> str:
        return msgspec.json.encode(_CharFile(alphabet=self.alphabet)).decode()

    def _unknown(self, text: str, index: int) -> TokenizerError:
        line = text.count("\n", 0, index) + 1
        column = index - text.rfind("\n", 0, index)
        character = text[index]
        # repr shows control characters as escapes, so that none reaches a terminal.
        return TokenizerError(
            f"the character {character!r} (U+{ord(character):04X}) at line {line:,}, column {column:,} is "
            f"not among the {self.vocab_size:,} that this char tokenizer knows; byte and bpe take any text"
        )


def _checked_alphabet(alphabet: str) -> str:
    if not 1 <= len(alphabet) <= MAX_VOCAB_SIZE:
        raise TokenizerError(f"an alphabet has 1 to {MAX_VOCAB_SIZE:,} characters, not {len(alphabet):,}")
    if any("\ud800" <= character <= "\udfff" for character in alphabet):
        raise TokenizerError("the alphabet holds half a surrogate pair, which is not a character")
    if any(left >= right for left, right in pairwise(alphabet)):
        raise TokenizerError("the alphabet is not strictly ascending")
    return alphabet


def _code_points(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le"), "<u4")


def _decode_utf8(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise TokenizerError(
            f"a char tokenizer needs UTF-8, and byte {error.start:,} of the text "
            f"(0x{text[error.start]:02x}) is not; use byte or bpe, which take any bytes"
        ) from error


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
        encodings = _library_of(self._merges).encode_batch([word.decode("latin-1") for word in index_of])
        ids_of = [encoding.ids for encoding in encodings]
        if not ids_of:
            return np.empty(0, np.int32)
        order = np.fromiter((index_of[word] for word in words), np.int64, len(words))
        return _concatenate_rows(ids_of, order)

    def decode(self, ids: Iterable[int]) -> bytes:
        return b"".join([self._tokens[i] for i in checked_ids(ids, self.vocab_size).tolist()])

    def to_json(self) -> str:
        return msgspec.json.encode(_BpeFile(merges=self._merges)).decode()


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
            + (
                f"choose {reached:,} or fewer, use byte, or add text"
                if reached > 256
                else "use byte, or add text"
            )
        )
    id_of = library.get_vocab()
    merges = json.loads(library.to_str())["model"]["merges"]
    return [(id_of[left], id_of[right]) for left, right in merges]


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


_AnyFile: TypeAlias = _ByteFile | _CharFile | _BpeFile
Tokenizer: TypeAlias = CharTokenizer | ByteTokenizer | BpeTokenizer
"""`encode` gives the ids of a text, `decode` the text of ids, and `to_json` a text for `load_tokenizer`.

Raises: TokenizerError, for a character that the vocabulary lacks and for an id outside it.
"""


def build_tokenizer(config: TokenizerConfig, text: bytes) -> Tokenizer:
    """A tokenizer of the configured kind; `char` and `bpe` learn their vocabulary from `text`.

    The vocabulary of `char` is the characters of the text; that of `bpe` has exactly the configured size.

    Raises: TokenizerError if the text is empty, is not UTF-8 (char), has too many different characters (char)
    or too few repeated pairs (bpe).
    """
    if config.kind == "byte":
        return ByteTokenizer()
    if not text:
        raise TokenizerError(
            f"a {config.kind} tokenizer learns its vocabulary from the text, and there is none"
        )
    if config.kind == "bpe":
        return BpeTokenizer(learn_merges(text, config.vocab_size))
    alphabet = "".join(sorted(set(_decode_utf8(text))))
    if len(alphabet) > MAX_VOCAB_SIZE:
        raise TokenizerError(
            f"the text has {len(alphabet):,} different characters, more than the {MAX_VOCAB_SIZE:,} that a "
            "vocabulary may have; use byte or bpe"
        )
    return CharTokenizer(alphabet)


def load_tokenizer(json_text: str) -> Tokenizer:
    """Read the output of `to_json`. Raises: TokenizerError for anything else, before memory is allocated."""
    try:
        refuse_newer(json_text, FORMAT, "the tokenizer", TokenizerError)
        file: _AnyFile = msgspec.json.decode(json_text, type=_AnyFile)
    except (ValueError, RecursionError) as error:
        raise TokenizerError(f"this is not a femtotui tokenizer: {error}") from error
    match file:
        case _ByteFile():
            return ByteTokenizer()
        case _CharFile(alphabet=alphabet):
            return CharTokenizer(_checked_alphabet(alphabet))
        case _BpeFile(merges=merges):
            return BpeTokenizer(merges)


def characters_lacking(tokenizer: Tokenizer, text: bytes) -> tuple[str, ...]:
    """The characters of `text` that the tokenizer has no token for, each once, in order.

    A byte that is not UTF-8 counts as its `surrogateescape` character.
    """
    if not isinstance(tokenizer, CharTokenizer):
        return ()
    return tuple(c for c in dict.fromkeys(_characters(text)) if c not in tokenizer.alphabet)


def without(text: bytes, characters: tuple[str, ...]) -> bytes:
    """`text` without those characters."""
    kept = "".join(c for c in _characters(text) if c not in characters)
    return kept.encode("utf-8", "surrogateescape")


def lacking_words(characters: tuple[str, ...], most: int = 8) -> str:
    """A message that names at most `most` of those characters, safe to print."""
    named = ", ".join(_named(c) for c in characters[:most])
    more = f" and {len(characters) - most:,} more" if len(characters) > most else ""
    return f"this model's tokenizer has no {named}{more}"


def _named(character: str) -> str:
    if "\udc80" <= character <= "\udcff":
        return f"byte 0x{ord(character) - 0xDC00:02x}"
    return f"{character!r} (U+{ord(character):04X})"


def _characters(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")
