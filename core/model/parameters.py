"""The parameter table: every tensor of the model by name, shape and offset in ONE flat vector.

The optimizer, the gradient norm, snapshots and checkpoints work on that vector. Tensors of one kind are
contiguous over the layers and can be viewed as a stack (L, in, out). Weights are (in, out).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..config import Initialisation, ModelConfig
from .layers import FloatArray


class Parameter(NamedTuple):
    """One tensor: `name` as in checkpoints, `offset` in elements from the start of the flat vector."""

    name: str
    shape: tuple[int, ...]
    offset: int

    @property
    def size(self) -> int:
        return math.prod(self.shape)


def parameter_table(config: ModelConfig) -> tuple[Parameter, ...]:
    """All tensors in the order of the flat vector."""
    d, v, n = config.width, config.vocab_size, config.n_layers
    shapes: list[tuple[str, tuple[int, ...]]] = [("token_embedding.weight", (v, d))]
    shapes += [(f"layers.{i}.{kind}", shape) for kind, shape in _layer_shapes(d).items() for i in range(n)]
    shapes += [("final_norm.gain", (d,)), ("final_norm.bias", (d,))]
    shapes += [("head.weight", (d, v)), ("head.bias", (v,))]
    table, offset = [], 0
    for name, shape in shapes:
        table.append(Parameter(name, shape, offset))
        offset += math.prod(shape)
    return tuple(table)


def _layer_shapes(d: int) -> dict[str, tuple[int, ...]]:
    """The tensors of each layer, in the order of the flat vector and of LayerTensors."""
    return {
        "attention.qkv.weight": (d, 3 * d),
        "attention.projection.weight": (d, d),
        "feed_forward.up.weight": (d, 4 * d),
        "feed_forward.down.weight": (4 * d, d),
        "attention.projection.bias": (d,),
        "feed_forward.up.bias": (4 * d,),
        "feed_forward.down.bias": (d,),
        "norm1.gain": (d,),
        "norm1.bias": (d,),
        "norm2.gain": (d,),
        "norm2.bias": (d,),
    }


def named_tensors(flat_P: FloatArray, config: ModelConfig) -> dict[str, FloatArray]:
    """Views of a flat vector, by name, in its order."""
    return {p.name: flat_P[p.offset : p.offset + p.size].reshape(p.shape) for p in parameter_table(config)}


def tensor_norms(flat_P: FloatArray, config: ModelConfig) -> list[float]:
    """The norm of every tensor of a flat vector, in the order of the parameter table."""
    return [math.sqrt(float(np.dot(t, t))) for t in map(np.ravel, named_tensors(flat_P, config).values())]


@dataclass(frozen=True)
class LayerTensors:
    """One layer's tensors, as views of the flat vector."""

    qkv_D3D: FloatArray
    projection_DD: FloatArray
    up_DF: FloatArray
    down_FD: FloatArray
    projection_bias_D: FloatArray
    up_bias_F: FloatArray
    down_bias_D: FloatArray
    gain1_D: FloatArray
    bias1_D: FloatArray
    gain2_D: FloatArray
    bias2_D: FloatArray


@dataclass(frozen=True)
class Tensors:
    """Views of a flat vector (parameters, gradients or moments) as the model's tensors."""

    flat_P: FloatArray
    embedding_VD: FloatArray
    layers: tuple[LayerTensors, ...]
    gain_D: FloatArray
    bias_D: FloatArray
    head_DV: FloatArray
    head_bias_V: FloatArray

    @classmethod
    def of(cls, flat_P: FloatArray, config: ModelConfig) -> Tensors:
        named = named_tensors(flat_P, config)
        layers = (
            LayerTensors(*(named[f"layers.{i}.{kind}"] for kind in _layer_shapes(config.width)))
            for i in range(config.n_layers)
        )
        return cls(
            flat_P,
            named["token_embedding.weight"],
            tuple(layers),
            named["final_norm.gain"],
            named["final_norm.bias"],
            named["head.weight"],
            named["head.bias"],
        )


def initial_parameters(config: ModelConfig, init: Initialisation, seed: int) -> FloatArray:
    """A new flat float32 vector; the same seed gives the same bits. See `config.Initialisation`."""
    rng = np.random.Generator(np.random.PCG64([seed, 1]))
    flat_P = np.zeros(config.n_parameters, np.float32)
    matrix_std = init.matrix_std * (math.sqrt(64 / config.width) if init.scale_by_width else 1.0)
    residual_scale = 1 / math.sqrt(2 * config.n_layers) if init.scale_residual else 1.0
    for name, tensor in named_tensors(flat_P, config).items():
        if name == "token_embedding.weight":
            std = init.embedding_std
        elif name.endswith((".projection.weight", ".down.weight")):
            std = matrix_std * residual_scale
        elif name.endswith(".weight") or (name.endswith(".gain") and init.gain == "normal"):
            std = matrix_std
        else:
            tensor.fill(1.0 if name.endswith(".gain") else 0.0)
            continue
        tensor[...] = rng.standard_normal(tensor.shape, np.float32) * np.float32(std)
    return flat_P
