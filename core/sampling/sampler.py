"""Generating text from a model, and scoring text, with statistics of every token."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from typing import TYPE_CHECKING

import numpy as np

from ..config import ModelConfig, Recipe
from ..errors import ConfigError
from ..model.decoder import Decoder
from ..model.inspection import TextInspection, inspect_text
from ..model.layers import FloatArray, IdArray
from ..model.parameters import named_tensors
from .distribution import (
    JOURNAL_SAMPLING,
    Alternative,
    Distribution,
    SampledToken,
    Sampling,
    choose,
    describe,
)

if TYPE_CHECKING:
    from ..tokenizers import Tokenizer

__all__ = [
    "JOURNAL_PROMPT",
    "JOURNAL_SAMPLING",
    "JOURNAL_TOKENS",
    "Alternative",
    "Distribution",
    "SampledToken",
    "Sampler",
    "Sampling",
]

MAX_TOKENS = 1_000_000
BLOCK_TOKENS = 32
"""Tokens whose statistics are computed together; the first blocks are smaller, so that some come at once."""

CHUNK_NUMBERS = 2**21
"""Logits, or attention weights, that are computed at once when scoring: 8 MiB."""

JOURNAL_PROMPT = b"\n"
JOURNAL_TOKENS = 100
"""The journal samples a hundred tokens after a newline."""


class Sampler:
    """Generates and scores text with a copy of one set of parameters.

    When the context is full, the model reads its last half again and continues from there: its logits are
    always those of `gpt` on the text since `window_start`. Nothing cached could be kept, with rotary
    positions neither: from the second layer on, keys and values hold what the dropped tokens said.
    """

    def __init__(self, config: ModelConfig, recipe: Recipe, flat_P: FloatArray, tokenizer: Tokenizer) -> None:
        self.config, self.tokenizer = config, tokenizer
        self._decoder = Decoder(config, recipe, flat_P)
        self._vocabulary = [tokenizer.decode([i]) for i in range(config.vocab_size)]

    def sibling(self) -> Sampler:
        """A sampler of the same model, for another thread."""
        other = copy(self)
        other._decoder = self._decoder.sibling()
        return other

    @property
    def parameters(self) -> dict[str, FloatArray]:
        """The model's tensors by name, to be read."""
        return named_tensors(self._decoder.model.parameters.flat_P, self.config)

    def inspect(self, ids_T: IdArray) -> TextInspection:
        """What happens inside the model when it reads at most `context` ids."""
        return inspect_text(self._decoder.model, ids_T)

    def encode(self, prompt: bytes) -> list[int]:
        """The ids of a prompt; an empty one means a newline, as in the journal. Raises: TokenizerError."""
        ids: list[int] = self.tokenizer.encode(prompt or JOURNAL_PROMPT).tolist()
        return ids

    def generate(self, prompt: bytes, n_tokens: int, sampling: Sampling) -> Iterator[SampledToken]:
        """Continue `prompt` by `n_tokens`. The same seed gives the same tokens.

        Raises: ConfigError for a number of tokens out of range; TokenizerError as `encode`; ModelError.
        """
        return self.continue_from(self.encode(prompt), (), n_tokens, sampling)

    def continue_from(
        self, prompt_ids: Sequence[int], after: Sequence[int], n_tokens: int, sampling: Sampling
    ) -> Iterator[SampledToken]:
        """Continue a prompt and the tokens already generated after it by `n_tokens` more.

        The same seed gives the same continuation, however the tokens before it were drawn.

        Raises: ConfigError for a number of tokens out of range; ModelError.
        """
        if not 1 <= n_tokens <= MAX_TOKENS:
            raise ConfigError(f"must be from 1 to {MAX_TOKENS:,}, not {n_tokens:,}", "tokens")
        return self._blocks([*prompt_ids, *after], len(prompt_ids), n_tokens, sampling)

    def _blocks(
        self, ids: list[int], n_prompt: int, n_tokens: int, sampling: Sampling
    ) -> Iterator[SampledToken]:
        rng = np.random.Generator(np.random.PCG64([sampling.seed, 3]))
        size, left = 1, n_tokens
        while left:
            size = min(size, left)
            yield from self._block(ids, n_prompt, rng.random(size), sampling, is_first=left == n_tokens)
            left -= size
            size = min(2 * size, BLOCK_TOKENS)

    def _block(
        self, ids: list[int], n_prompt: int, uniform_N: FloatArray, sampling: Sampling, *, is_first: bool
    ) -> list[SampledToken]:
        """The next tokens, one for each random number; they are appended to `ids`."""
        n = uniform_N.size
        logits_NV = np.empty((n, self.config.vocab_size), self._decoder.dtype)
        cut_probabilities = []
        for row, uniform in zip(logits_NV, uniform_N.tolist(), strict=True):
            row[:] = self._logits_after(ids, n_prompt, afresh=is_first)
            is_first = False
            choice = choose(row, sampling, uniform)
            ids.append(choice.id)
            cut_probabilities.append(choice.p_cut)
        return describe(logits_NV, ids[-n:], cut_probabilities, sampling, self._vocabulary)

    def _logits_after(self, ids: list[int], n_prompt: int, *, afresh: bool) -> FloatArray:
        """The logits after `ids`; unless `afresh`, the decoder has read all but the last."""
        if afresh or self._decoder.position == self.config.context:
            start = window_start(len(ids), n_prompt, self.config.context)
            return self._decoder.read(np.array(ids[start:], np.int32))
        return self._decoder.feed(ids[-1])

    def score(self, prompt: bytes, text: bytes, sampling: Sampling) -> Iterator[SampledToken]:
        """The statistics of each token of `text` after `prompt`, as if the model had generated it.

        Raises: ConfigError for an empty text; TokenizerError as `encode`; ModelError.
        """
        prompt_ids = self.encode(prompt)
        text_ids: list[int] = self.tokenizer.encode(text).tolist()
        if not text_ids:
            raise ConfigError("there is no text to score")
        return self.score_ids(prompt_ids, text_ids, sampling)

    def score_ids(
        self, prompt_ids: Sequence[int], text_ids: Sequence[int], sampling: Sampling
    ) -> Iterator[SampledToken]:
        """The same as `score`, for ids."""
        ids_M = np.array([*prompt_ids, *text_ids], np.int32)
        for chunk in self._window_chunks(len(prompt_ids), ids_M.size):
            yield from self._score_chunk(ids_M, chunk, sampling)

    def _window_chunks(self, n_prompt: int, n_ids: int) -> Iterator[list[tuple[int, int, int]]]:
        """Windows (start, first token to score, end) in chunks that are small enough to hold in memory."""
        context = self.config.context
        rows = max(1, CHUNK_NUMBERS // (context * max(self.config.vocab_size, self.config.n_heads * context)))
        windows, first = [], n_prompt
        while first < n_ids:
            start = window_start(first, n_prompt, context)
            end = min(start + context + 1, n_ids)
            windows.append((start, first, end))
            first = end
        yield from (windows[i : i + rows] for i in range(0, len(windows), rows))

    def _score_chunk(
        self, ids_M: IdArray, windows: list[tuple[int, int, int]], sampling: Sampling
    ) -> Iterator[SampledToken]:
        longest = max(end - 1 - start for start, _, end in windows)
        inputs_BT = np.zeros((len(windows), longest), np.int32)  # zeros after a window's end have no effect
        for row, (start, _, end) in zip(inputs_BT, windows, strict=True):
            row[: end - 1 - start] = ids_M[start : end - 1]
        logits_BTV = self._decoder.logits(inputs_BT)
        for logits_TV, (start, first, end) in zip(logits_BTV, windows, strict=True):
            logits_NV = logits_TV[first - 1 - start : end - 1 - start].copy()
            yield from describe(logits_NV, ids_M[first:end].tolist(), None, sampling, self._vocabulary)


def window_start(n_before: int, n_prompt: int, context: int) -> int:
    """The start of the window that the model reads when `n_before` tokens precede the next one.

    The first window starts with the last `context` tokens of the prompt; whenever the context is full, the
    window moves so that half of it remains.
    """
    start = max(0, n_prompt - context)
    over = n_before - start - context
    if over <= 0:
        return start
    stride = context + 1 - max(1, context // 2)
    return start + -(-over // stride) * stride
