"""How the model knows the order of tokens: a sinusoid, rotary positions, keys shifted by one token.

    sinusoid       added to the token embedding once, at the bottom of the model
    rotary         the first columns of each head's queries and keys, taken as complex numbers in pairs of
                   adjacent columns, are multiplied by exp(i t theta) at position t: their products depend on
                   the distance of two tokens, not on where they stand
    shifted keys   the last columns of each head's keys are those of the token before (the first token keeps
    its
                   own): one layer can look for 'the token after an earlier x', which takes two without

The two that concern queries and keys are linear, so their backward is the transpose: multiplication by the
conjugate, and a shift back. Attention itself is the same with and without.

Sources: Vaswani et al. (2017), 3.5; Su et al., "RoFormer" (2021), equation 34, with a share of the columns
as in Black et al., "GPT-NeoX-20B" (2022); the shift is K. Jordan and others' "partial key offset" in the
speedruns of modded-nanogpt (2025).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import AttentionConfig, ModelConfig
from .layers import FloatArray

ComplexArray = NDArray[np.complexfloating[Any, Any]]


def sinusoid(config: ModelConfig, amplitude: float) -> FloatArray:
    """The table (T, D), float64: column c is sin (c even) or cos (c odd) of t / 10000^(2i/D), i = c // 2.

    The exponent is femtoGPT's.
    """
    t_T1 = np.arange(config.context)[:, None]
    columns_D = np.arange(config.width)
    angles_TD = t_T1 / 10000.0 ** (2 * (columns_D // 2) / config.width)
    return amplitude * np.where(columns_D % 2 == 0, np.sin(angles_TD), np.cos(angles_TD))


@dataclass(frozen=True)
class KeyOrder:
    """Rotation and shift of queries and keys, for sequences of `context` tokens.

    `rotation_TD` holds a factor for every pair of columns of the queries and then of the keys, 1 where
    nothing is rotated, and `conjugate_TD` their conjugates; None rotates nothing. `n_shifted` is the number
    of each head's key columns that are shifted.
    """

    context: int
    n_heads: int
    rotation_TD: ComplexArray | None
    conjugate_TD: ComplexArray | None
    n_shifted: int

    @classmethod
    def of(
        cls, config: ModelConfig, attention: AttentionConfig, dtype: np.dtype[np.floating[Any]]
    ) -> KeyOrder:
        n_rotated = attention.rotated_columns(config.head_size)
        rotation_TD = None
        if n_rotated:
            rotation_TD = _rotation(config, n_rotated, attention.rotary_base)
            rotation_TD = rotation_TD.astype(np.result_type(dtype, "F"))
        conjugate_TD = None if rotation_TD is None else rotation_TD.conj()
        n_shifted = attention.shifted_columns(config.head_size)
        return cls(config.context, config.n_heads, rotation_TD, conjugate_TD, n_shifted)

    def forward(self, qkv_N3D: FloatArray, work_ND: FloatArray) -> None:
        """Shift and rotate queries and keys in place."""
        if self.n_shifted:
            keys_BTH, work_BTH = map(_items, (self._shifted_keys(qkv_N3D), self._work(work_ND)))
            np.copyto(work_BTH[:, :-1], keys_BTH[:, :-1])
            np.copyto(keys_BTH[:, 1:], work_BTH[:, :-1])
        if self.rotation_TD is not None:
            qk_BTD = self._pairs(qkv_N3D)
            np.multiply(qk_BTD, self.rotation_TD, out=qk_BTD)

    def backward(self, dqkv_N3D: FloatArray, work_ND: FloatArray) -> None:
        """Turn the gradient of the result into that of the argument, in place."""
        if self.conjugate_TD is not None:
            dqk_BTD = self._pairs(dqkv_N3D)
            np.multiply(dqk_BTD, self.conjugate_TD, out=dqk_BTD)
        if self.n_shifted:
            dkeys_BTHK, work_BTHK = self._shifted_keys(dqkv_N3D), self._work(work_ND)
            dkeys_BTH, work_BTH = map(_items, (dkeys_BTHK, work_BTHK))
            np.copyto(work_BTH, dkeys_BTH)
            np.copyto(dkeys_BTH[:, :-1], work_BTH[:, 1:])
            dkeys_BTHK[:, -1] = 0
            dkeys_BTHK[:, 0] += work_BTHK[:, 0]

    def step(self, qkv_3D: FloatArray, t: int, unshifted_2HK: FloatArray) -> None:
        """Shift and rotate the queries and keys of the token at position `t` in place.

        `unshifted_2HK` keeps the columns that are shifted of this token and the one before, as they were:
        those of position t in row t % 2. Doing a position again changes nothing.
        """
        if self.n_shifted:
            keys_HK = qkv_3D.reshape(3, self.n_heads, -1)[1, :, -self.n_shifted :]
            np.copyto(unshifted_2HK[t % 2], keys_HK)
            if t:
                np.copyto(keys_HK, unshifted_2HK[(t - 1) % 2])
        if self.rotation_TD is not None:
            qk_D = qkv_3D[: 2 * qkv_3D.size // 3].view(self.rotation_TD.dtype)
            np.multiply(qk_D, self.rotation_TD[t], out=qk_D)

    def _pairs(self, qkv_N3D: FloatArray) -> ComplexArray:
        """Queries and keys as complex numbers, a view (B, T, D)."""
        d = qkv_N3D.shape[1] // 3
        qk_ND = qkv_N3D[:, : 2 * d].view(np.result_type(qkv_N3D.dtype, "F"))
        return qk_ND.reshape(-1, self.context, d, copy=False)

    def _shifted_keys(self, qkv_N3D: FloatArray) -> FloatArray:
        """A view (B, T, H, K) of the key columns that are shifted."""
        d = qkv_N3D.shape[1] // 3
        keys_BTHS = qkv_N3D[:, d : 2 * d].reshape(
            -1, self.context, self.n_heads, d // self.n_heads, copy=False
        )
        return keys_BTHS[..., -self.n_shifted :]

    def _work(self, work_ND: FloatArray) -> FloatArray:
        """Room for the shifted keys: an array (B, T, H, K) in the memory of `work_ND`."""
        n = work_ND.shape[0] * self.n_heads * self.n_shifted
        return work_ND.reshape(-1)[:n].reshape(-1, self.context, self.n_heads, self.n_shifted)


def _items(x_BTHK: FloatArray) -> NDArray[np.void]:
    """A view (B, T, H) of items as large as the last axis: copying rows of 8 takes half as long again."""
    return x_BTHK.view(f"V{x_BTHK.shape[-1] * x_BTHK.itemsize}")[..., 0]


def _rotation(config: ModelConfig, n_rotated: int, base: float) -> ComplexArray:
    """exp(i t theta) for each position and pair of query and key columns, (T, D), complex128.

    Pair j of the rotated ones has theta = base^(-j / pairs).
    """
    pairs, all_pairs = n_rotated // 2, config.head_size // 2
    theta_S = np.zeros(all_pairs)
    theta_S[:pairs] = base ** -(np.arange(pairs) / max(1, pairs))
    angles_TD = np.arange(config.context)[:, None] * np.tile(theta_S, 2 * config.n_heads)
    rotation_TD: ComplexArray = np.exp(1j * angles_TD)
    return rotation_TD
