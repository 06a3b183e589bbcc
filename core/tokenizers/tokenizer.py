"""Text to ids and back: by character, by byte, or by byte pairs (BPE) learnt from the text.

Text is `bytes` throughout, ids are int32. `byte` and `bpe` take any bytes at all; `char` takes UTF-8 made of
the characters it was built from, and says which other one it met, and where.
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
from .bpe import FORMAT, BpeFile, BpeTokenizer, checked_ids, learn_merges

N_BYTES = 256


class Tokenizer(Protocol):
    """What a model needs of any tokenizer."""

    @property
    def kind(self) -> TokenizerKind: ...

    @property
    def vocab_size(self) -> int: ...

    def encode(self, text: bytes) -> NDArray[np.int32]:
        """Ids of a text. Raises TokenizerError if it cannot be written in this vocabulary."""
        ...

    def decode(self, ids: Iterable[int]) -> bytes:
        """The text of ids. Raises TokenizerError for an id outside the vocabulary."""
        ...

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes of one token. Raises TokenizerError for an id outside the vocabulary."""
        ...

    def to_json(self) -> str:
        """All of it, for `load_tokenizer`."""
        ...


class ByteTokenizer:
    """Every byte is its own id."""

    kind: TokenizerKind = "byte"
    vocab_size = N_BYTES

    def encode(self, text: bytes) -> NDArray[np.int32]:
        return np.frombuffer(text, np.uint8).astype(np.int32)

    def decode(self, ids: Iterable[int]) -> bytes:
        return checked_ids(ids, N_BYTES).astype(np.uint8).tobytes()

    def token_bytes(self, token_id: int) -> bytes:
        return self.decode([token_id])

    def to_json(self) -> str:
        return _to_json(_ByteFile())


class CharTokenizer:
    """Every code point of a text gets an id, in the order of the code points."""

    kind: TokenizerKind = "char"

    def __init__(self, alphabet: str) -> None:
        """`alphabet` must be strictly ascending and not empty."""
        self.vocab_size = len(alphabet)
        self._alphabet = alphabet
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

    def token_bytes(self, token_id: int) -> bytes:
        return self.decode([token_id])

    def to_json(self) -> str:
        return _to_json(_CharFile(alphabet=self._alphabet))

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
    """Make the tokenizer of a kind; `char` and `bpe` learn their vocabulary from `text`.

    The vocabulary of `char` is whatever the text holds; that of `bpe` has exactly the size asked for.

    Raises:
        TokenizerError: the text is empty, is not UTF-8 (char), has too many different characters (char) or
            yields fewer tokens than asked for (bpe).
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
    """Read what `to_json` wrote.

    Raises:
        TokenizerError: it is anything else. Sizes are checked before anything is built.
    """
    try:
        refuse_newer(json_text, FORMAT, "the tokenizer", TokenizerError)
        file: _ByteFile | _CharFile | BpeFile = msgspec.json.decode(
            json_text, type=_ByteFile | _CharFile | BpeFile
        )
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise TokenizerError(f"this is no tokenizer of femtotui's: {error}") from error
    match file:
        case _ByteFile():
            return ByteTokenizer()
        case _CharFile(alphabet=alphabet):
            return CharTokenizer(_checked_alphabet(alphabet))
        case BpeFile(merges=merges):
            return BpeTokenizer(merges)


class _ByteFile(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="byte", forbid_unknown_fields=True
):
    """tokenizer.json of a byte tokenizer."""

    format: int = FORMAT


class _CharFile(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="char", forbid_unknown_fields=True
):
    """tokenizer.json of a char tokenizer: its characters in ascending order."""

    format: int = FORMAT
    alphabet: str


def _to_json(file: _ByteFile | _CharFile) -> str:
    return msgspec.json.encode(file).decode()


def _checked_alphabet(alphabet: str) -> str:
    if not 1 <= len(alphabet) <= MAX_VOCAB_SIZE:
        raise TokenizerError(f"an alphabet has 1 to {MAX_VOCAB_SIZE:,} characters, not {len(alphabet):,}")
    if any("\ud800" <= character <= "\udfff" for character in alphabet):
        raise TokenizerError("the alphabet holds half a surrogate pair, which is no character")
    if any(left >= right for left, right in pairwise(alphabet)):
        raise TokenizerError("the alphabet is not in ascending order, each character once")
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

    A byte that is not UTF-8 counts as the character that Python stands it for (`surrogateescape`).
    """
    return tuple(c for c in dict.fromkeys(_characters(text)) if not _can_encode(tokenizer, c))


def without(text: bytes, characters: tuple[str, ...]) -> bytes:
    """`text` with those characters left out."""
    kept = "".join(c for c in _characters(text) if c not in characters)
    return kept.encode("utf-8", "surrogateescape")


def lacking_words(characters: tuple[str, ...], most: int = 8) -> str:
    """Which characters those are, harmless to print: at most so many of them by name."""
    named = ", ".join(_named(c) for c in characters[:most])
    more = f" and {len(characters) - most:,} more" if len(characters) > most else ""
    return f"this model's tokenizer has no {named}{more}"


def _named(character: str) -> str:
    if "\udc80" <= character <= "\udcff":
        return f"byte 0x{ord(character) - 0xDC00:02x}"
    return f"{character!r} (U+{ord(character):04X})"


def _characters(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")


def _can_encode(tokenizer: Tokenizer, character: str) -> bool:
    if tokenizer.kind != "char":
        return True  # bytes, and BPE which starts from them, take anything
    try:
        tokenizer.encode(character.encode("utf-8", "surrogateescape"))
    except TokenizerError:
        return False
    return True
