"""What a model read when it predicted the tokens of a text: attention and logit lens, window by window.

A window keeps results, never the model: N x L x H x T weights of two bytes, and the best `N_GUESSES` of N
tokens at K depths. At entry 5 (8 layers of 8 heads, context 64) that is at most 0.6 MiB; with a context of
256 it is 8.3 MiB.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from femtotui.core.errors import ConfigError
from femtotui.core.model.layers import FloatArray, IdArray
from femtotui.core.sampling.sampler import SampledToken, Sampler, window_start

N_GUESSES = 12


@dataclass(frozen=True, eq=False)
class TextWindow:
    """The predictions of N tokens of a text, from its token `first` on, that share one window.

    `ids` are those of the text up to the window's end, the prompt's `n_prompt` first; `start` of them come
    before the window, and the last is predicted only. Row n of `attention_NLHT` is what the token before
    token `first` + n looked at. `guesses_NKC` are the most probable ids after each depth with the
    probabilities `p_NKC`, the chosen token behind them; `ranks_NK` are its ranks, from 1. `names` has the
    bytes of all ids.
    """

    prompt: bytes
    context: int
    n_prompt: int
    start: int
    first: int
    ids: list[int]
    attention_NLHT: NDArray[np.float16]
    guesses_NKC: IdArray
    p_NKC: FloatArray
    ranks_NK: IdArray
    names: dict[int, bytes]

    @property
    def n_bytes(self) -> int:
        return self.attention_NLHT.nbytes + self.guesses_NKC.nbytes + self.p_NKC.nbytes

    def covers(self, prompt: bytes, tokens: Sequence[SampledToken], at: int) -> bool:
        """Whether it holds the prediction of token `at` of a text, which may have grown or branched since."""
        if prompt != self.prompt or not 0 <= at - self.first < len(self.attention_NLHT) or at >= len(tokens):
            return False
        begin = max(self.start, self.n_prompt)
        ids = [token.id for token in tokens[begin - self.n_prompt : at + 1]]
        return ids == self.ids[begin : self.n_prompt + at + 1]


class TokenSight:
    """The prediction of token `at` of a text, from the T tokens in its window before it."""

    def __init__(self, window: TextWindow, at: int) -> None:
        self.window, self.at, self._row = window, at, at - window.first
        end = window.n_prompt + at
        self.n_seen, self.chosen_id = end - window.start, window.ids[end]
        self.pieces = [window.names[i] for i in window.ids[window.start : end]]
        self.chosen = window.names[self.chosen_id]
        _, self.n_layers, self.n_heads, _ = window.attention_NLHT.shape

    def weights(self, layer: int, head: int | None) -> FloatArray:
        """What a head looked at (T), or the mean of a layer's heads."""
        heads_HT = self.window.attention_NLHT[self._row, layer, :, : self.n_seen].astype(np.float32)
        weights_T: FloatArray = heads_HT.mean(axis=0) if head is None else heads_HT[head]
        return weights_T

    def byte_weights(self, layer: int, head: int | None) -> list[float]:
        """The same for each byte of the text, up to the last one that was seen; NaN before the window."""
        n_before = sum(len(self.window.names[i]) for i in self.window.ids[: self.window.start])
        seen: list[float] = np.repeat(self.weights(layer, head), list(map(len, self.pieces))).tolist()
        return [math.nan] * n_before + seen

    def guesses(self, depth: int) -> list[tuple[int, bytes, float]]:
        """Ids, bytes and probabilities of the best tokens at a depth, and of the chosen one at the end."""
        both = zip(
            self.window.guesses_NKC[self._row, depth], self.window.p_NKC[self._row, depth], strict=True
        )
        return [(int(i), self.window.names[int(i)], float(p)) for i, p in both]

    def ranks(self) -> list[int]:
        """The chosen token's rank at each depth."""
        ranks: list[int] = self.window.ranks_NK[self._row].tolist()
        return ranks


def read_window(sampler: Sampler, prompt: bytes, tokens: Sequence[SampledToken], at: int) -> TextWindow:
    """Read the window from which the sampler predicts token `at` of a text.

    Raises: TokenizerError; ConfigError if the model splits text into other tokens.
    """
    decode, context, prompt_ids = sampler.tokenizer.decode, sampler.config.context, sampler.encode(prompt)
    n_prompt, ids = len(prompt_ids), [*prompt_ids, *(token.id for token in tokens)]
    start = window_start(n_prompt + at, n_prompt, context)
    candidates = range(max(n_prompt, start + 1), min(len(ids), start + context + 1))
    predicted = [n for n in candidates if window_start(n, n_prompt, context) == start]
    first, last = predicted[0], predicted[-1]
    read = tokens[max(start - n_prompt, 0) : last + 1 - n_prompt]
    if any(t.id >= sampler.config.vocab_size or decode([t.id]) != t.bytes for t in read):
        raise ConfigError("this model splits text into other tokens: it cannot read this text")
    inspection = sampler.inspect(np.array(ids[start:last], np.int32))
    with np.errstate(all="ignore"):  # a diverged model's numbers are none
        lens = [_lens(inspection.lens(n - 1 - start), ids[n]) for n in predicted]
    guesses_NKC, p_NKC, ranks_NK = (np.stack(arrays) for arrays in zip(*lens, strict=True))
    names = {i: decode([i]) for i in {*ids[: last + 1], *guesses_NKC.ravel().tolist()}}
    attention_NLHT = inspection.attention_LHTT[:, :, first - 1 - start :].transpose(2, 0, 1, 3)
    half, which = attention_NLHT.astype(np.float16), (prompt, context, n_prompt, start, first - n_prompt)
    return TextWindow(*which, ids[: last + 1], half, guesses_NKC, p_NKC, ranks_NK, names)


def _lens(logits_KV: FloatArray, chosen: int) -> tuple[IdArray, FloatArray, IdArray]:
    """Ids and probabilities of the best guesses and of the chosen token (K, C), and its ranks (K)."""
    some_KC = np.argpartition(-logits_KV, min(N_GUESSES, logits_KV.shape[1]) - 1)[:, :N_GUESSES]
    order_KC = np.argsort(-np.take_along_axis(logits_KV, some_KC, axis=1), kind="stable")
    best_KC = np.take_along_axis(some_KC, order_KC, axis=1)
    guesses_KC = np.column_stack([best_KC, np.full(len(best_KC), chosen)]).astype(np.int32)
    p_KV = np.exp(logits_KV - logits_KV.max(axis=1, keepdims=True), dtype=np.float32)
    p_KV /= p_KV.sum(axis=1, keepdims=True)
    ranks_K = 1 + np.count_nonzero(logits_KV > logits_KV[:, [chosen]], axis=1)
    return guesses_KC, np.take_along_axis(p_KV, guesses_KC, axis=1), ranks_K
