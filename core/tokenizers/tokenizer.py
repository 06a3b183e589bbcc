"""Text to ids and back: by character, by byte, or by byte pairs (BPE) learnt from the text.

Text is `bytes` throughout, ids are int32. `byte` and `bpe` encode any bytes; `char` encodes UTF-8 made of the
characters it was built from, and its error names any other one and its position.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..config import MAX_VOCAB_SIZE, TokenizerConfig, TokenizerKind
from ..errors import TokenizerError
from ..files import refuse_newer
from .bpe import FORMAT, BpeFile, BpeTokenizer, TokenizerFile, checked_ids, learn_merges

N_BYTES = 256


class Tokenizer(Protocol):
    """The interface of the three tokenizers."""

    @property
    def kind(self) -> TokenizerKind: ...

    @property
    def vocab_size(self) -> int: ...

    def encode(self, text: bytes) -> NDArray[np.int32]:
        """The ids of a text. Raises: TokenizerError if the vocabulary lacks a character."""
        ...

    def decode(self, ids: Iterable[int]) -> bytes:
        """The text of ids. Raises: TokenizerError for an id outside the vocabulary."""
        ...

    def to_json(self) -> str:
        """The tokenizer as JSON, for `load_tokenizer`."""
        ...


class ByteTokenizer:
    """Tokens are bytes; every byte is its own id."""

    kind: TokenizerKind = "byte"
    vocab_size = N_BYTES

    def encode(self, text: bytes) -> NDArray[np.int32]:
        return np.frombuffer(text, np.uint8).astype(np.int32)

    def decode(self, ids: Iterable[int]) -> bytes:
        return checked_ids(ids, N_BYTES).astype(np.uint8).tobytes()

    def to_json(self) -> str:
        return _to_json(_ByteFile())


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
        return _to_json(_CharFile(alphabet=self.alphabet))

    def _unknown(self, text: str, index: int) -> TokenizerError:
        line = text.count("\n", 0, index) + 1
        column = index - text.rfind("\n", 0, index)
        character = text[index]
        # repr shows control characters as escapes, so that none reaches a terminal.
        return TokenizerError(
            f"the character {character!r} (U+{ord(character):04X}) at line {line:,}, column {column:,} is "
            f"not among the {self.vocab_size:,} that this char tokenizer knows; byte and bpe take any text"
        )


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
        file: _ByteFile | _CharFile | BpeFile = msgspec.json.decode(
            json_text, type=_ByteFile | _CharFile | BpeFile
        )
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise TokenizerError(f"this is not a femtotui tokenizer: {error}") from error
    match file:
        case _ByteFile():
            return ByteTokenizer()
        case _CharFile(alphabet=alphabet):
            return CharTokenizer(_checked_alphabet(alphabet))
        case BpeFile(merges=merges):
            return BpeTokenizer(merges)


class _ByteFile(TokenizerFile, frozen=True, kw_only=True, tag="byte"):
    """A byte tokenizer has no parameters."""


class _CharFile(TokenizerFile, frozen=True, kw_only=True, tag="char"):
    """The characters of a char tokenizer in ascending order."""

    alphabet: str


def _to_json(file: _ByteFile | _CharFile) -> str:
    return msgspec.json.encode(file).decode()


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
