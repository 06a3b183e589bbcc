"""Prompts that a tokenizer cannot take: what is in their way, and what is left without it."""

from __future__ import annotations

from .errors import TokenizerError
from .tokenizer import Tokenizer


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
