"""Why entry 12 ends at another loss than the journal's: a model that knows nothing but token frequencies
has a loss of their entropy, which depends on how the text is cut into 566 tokens.

    femtotui data english
    python tests/bench/plateaus.py

The journal's "50 epochs, 566 tokens" fits the 65 characters of the text and 500 merges that may reach across
words, ten an epoch. femtotui's own tokenizer begins with all 256 bytes and keeps within words.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from harness import options
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from femtotui.core.config import TokenizerConfig
from femtotui.core.tokenizers import build_tokenizer
from femtotui.presets.english import cache_path

VOCABULARY = 566
PIECE = 2000
"""Characters: the library learns from pieces, and a whole book in one takes it minutes."""


def entropy(ids: Sequence[int]) -> float:
    """Of the tokens' frequencies, nats."""
    _, counts = np.unique(np.asarray(ids), return_counts=True)
    shares = counts / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def across_words(text: str, *, bytes_first: bool) -> list[int]:
    """Tokens that may reach across words, from the text's characters or from all bytes."""
    tokenizer = Tokenizer(models.BPE())
    alphabet = pre_tokenizers.ByteLevel.alphabet() if bytes_first else []
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, initial_alphabet=alphabet, show_progress=False)
    pieces = [text[start : start + PIECE] for start in range(0, len(text), PIECE)]
    tokenizer.train_from_iterator(pieces, trainer)
    return [token for piece in pieces for token in tokenizer.encode(piece).ids]


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--english", type=Path, default=cache_path())
    data = parser.parse_args().english.read_bytes()
    text = data.decode()
    own = build_tokenizer(TokenizerConfig(kind="bpe", vocab_size=VOCABULARY), data).encode(data)
    for name, ids in {
        "femtotui: bytes, within words": own.tolist(),
        "bytes, across words": across_words(text, bytes_first=True),
        "characters, across words": across_words(text, bytes_first=False),
    }.items():
        print(f"{name:32}{len(text) / len(ids):6.2f} characters per token, unigram {entropy(ids):.3f} nats")


if __name__ == "__main__":
    main()
