"""The specified model in float64, made of PyTorch's own functions: it shares nothing with femtotui's."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name that PyTorch's own documentation gives it

WIRINGS = ("journal", "prenorm")

Array = np.ndarray[Any, Any]
Arrays = dict[str, Array]


@dataclass(frozen=True)
class Size:
    """A model's size, the batch it is fed, and how it knows the order of tokens.

    Of each head's query and key columns the first `rotary_columns` are rotated; of its key columns the last
    `shifted_columns` are those of the token before. After the first layer, `value_residual` of the values
    are the first layer's.
    """

    name: str
    n_layers: int
    width: int
    n_heads: int
    context: int
    vocab_size: int
    batch: int
    position_amplitude: float
    rotary_columns: int = 0
    rotary_base: float = 1.0
    shifted_columns: int = 0
    value_residual: float = 0.0


def parameter_shapes(size: Size) -> dict[str, tuple[int, ...]]:
    """Every tensor's shape, in the order of the flat vector: tensors of one kind lie together."""
    d, v, layers = size.width, size.vocab_size, range(size.n_layers)
    layer_kinds = {
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
    return {
        "token_embedding.weight": (v, d),
        **{f"layers.{layer}.{kind}": shape for kind, shape in layer_kinds.items() for layer in layers},
        "final_norm.gain": (d,),
        "final_norm.bias": (d,),
        "head.weight": (d, v),
        "head.bias": (v,),
    }


def position_table(context: int, width: int) -> Array:
    """The sinusoid of Vaswani et al. (2017), section 3.5, number by number."""
    table_TD = np.empty((context, width))
    for position in range(context):
        for column in range(width):
            angle = position / 10_000 ** (2 * (column // 2) / width)
            table_TD[position, column] = math.cos(angle) if column % 2 else math.sin(angle)
    return table_TD


def rotated(x_BHTS: torch.Tensor, columns: int, base: float) -> torch.Tensor:
    """Each pair of adjacent columns turned by an angle, as a 2 x 2 matrix: RoFormer (2021), equation 15."""
    parts = list(x_BHTS.unbind(-1))
    positions_T = torch.arange(x_BHTS.shape[2], dtype=x_BHTS.dtype)
    for pair in range(columns // 2):
        angle_T = positions_T * base ** (-2 * pair / columns)
        first, second = parts[2 * pair], parts[2 * pair + 1]
        parts[2 * pair] = torch.cos(angle_T) * first - torch.sin(angle_T) * second
        parts[2 * pair + 1] = torch.sin(angle_T) * first + torch.cos(angle_T) * second
    return torch.stack(parts, dim=-1)


def shifted(k_BHTS: torch.Tensor, columns: int) -> torch.Tensor:
    """Keys whose last columns come from the token before; the first token keeps its own."""
    kept_BHTS, moved_BHTS = k_BHTS.split([k_BHTS.shape[-1] - columns, columns], dim=-1)
    earlier_BHTS = torch.cat([moved_BHTS[:, :, :1], moved_BHTS[:, :, :-1]], dim=2)
    return torch.cat([kept_BHTS, earlier_BHTS], dim=-1)


class Model:
    """A GPT over a dictionary of tensors, in either wiring.

    `masks` are those of dropout, by what they are multiplied with: `token_embedding`, and in each layer
    `attention` (the weights after softmax), `projection` and `down`; where there is none, nothing is dropped.
    """

    def __init__(self, size: Size, wiring: str, parameters: Arrays, masks: Arrays | None = None) -> None:
        self.size, self.wiring = size, wiring
        self.first_values = torch.zeros(())
        self.attention: list[torch.Tensor] = []
        self.streams: list[torch.Tensor] = []
        self.masks = {name: torch.tensor(mask) for name, mask in (masks or {}).items()}
        self.parameters: dict[str, torch.Tensor] = {
            name: torch.tensor(values, requires_grad=True) for name, values in parameters.items()
        }
        table = position_table(size.context, size.width)
        self.positions_TD = torch.tensor(table) * size.position_amplitude

    def logits(self, ids_BT: torch.Tensor) -> torch.Tensor:
        x_BTD = self.parameters["token_embedding.weight"][ids_BT] + self.positions_TD
        x_BTD = self._dropped("token_embedding", x_BTD)
        layer_of = {"journal": self._journal_layer, "prenorm": self._prenorm_layer}[self.wiring]
        self.attention, self.streams = [], [x_BTD]
        for layer in range(self.size.n_layers):
            x_BTD = layer_of(f"layers.{layer}.", x_BTD)
            self.streams.append(x_BTD)
        return self._read_out(x_BTD)

    def _read_out(self, x_BTD: torch.Tensor) -> torch.Tensor:
        return self._linear("head", self._norm("final_norm", x_BTD))

    def inside(self, ids_BT: torch.Tensor, targets_BT: torch.Tensor) -> Arrays:
        """Attention weights, residual streams, their gradients of the summed loss, and the logit lens."""
        loss = F.cross_entropy(self.logits(ids_BT).flatten(0, 1), targets_BT.flatten(), reduction="sum")
        gradients = torch.autograd.grad(loss, self.streams)
        inside = {
            "attention": self.attention,
            "streams": self.streams,
            "stream_gradients": gradients,
            "lens": [self._read_out(x_BTD) for x_BTD in self.streams],
        }
        return {name: numbers(torch.stack(tuple(parts))) for name, parts in inside.items()}

    def loss(self, ids_BT: torch.Tensor, targets_BT: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy in nats over all positions."""
        return F.cross_entropy(self.logits(ids_BT).flatten(0, 1), targets_BT.flatten())

    def _journal_layer(self, at: str, x_BTD: torch.Tensor) -> torch.Tensor:
        normed_BTD = self._norm(at + "norm1", x_BTD)
        joined_BTD = self._norm(at + "norm2", normed_BTD + self._attention(at, normed_BTD))
        return joined_BTD + self._feed_forward(at, joined_BTD)

    def _prenorm_layer(self, at: str, x_BTD: torch.Tensor) -> torch.Tensor:
        x_BTD = x_BTD + self._attention(at, self._norm(at + "norm1", x_BTD))
        return x_BTD + self._feed_forward(at, self._norm(at + "norm2", x_BTD))

    def _attention(self, at: str, x_BTD: torch.Tensor) -> torch.Tensor:
        qkv = x_BTD @ self.parameters[at + "attention.qkv.weight"]
        q, k, v = (
            part.unflatten(-1, (self.size.n_heads, -1)).transpose(1, 2) for part in qkv.chunk(3, dim=-1)
        )
        self.first_values = v if at == "layers.0." else self.first_values
        share = 0.0 if at == "layers.0." else self.size.value_residual
        v = (1 - share) * v + share * self.first_values
        k = shifted(k, self.size.shifted_columns)
        q, k = (rotated(x, self.size.rotary_columns, self.size.rotary_base) for x in (q, k))
        scores_BHTT = q @ k.mT / math.sqrt(q.shape[-1])
        later_TT = torch.ones(scores_BHTT.shape[-2:], dtype=torch.bool).triu(1)
        weights_BHTT = F.softmax(scores_BHTT.masked_fill(later_TT, -math.inf), dim=-1)
        self.attention.append(weights_BHTT)
        mixed_BHTS = self._dropped(at + "attention", weights_BHTT) @ v
        written_BTD = self._linear(at + "attention.projection", mixed_BHTS.transpose(1, 2).flatten(2))
        return self._dropped(at + "projection", written_BTD)

    def _feed_forward(self, at: str, x_BTD: torch.Tensor) -> torch.Tensor:
        hidden_BTF = F.gelu(self._linear(at + "feed_forward.up", x_BTD), approximate="tanh")
        return self._dropped(at + "down", self._linear(at + "feed_forward.down", hidden_BTF))

    def _dropped(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return x * self.masks[name] if name in self.masks else x

    def _linear(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return x @ self.parameters[name + ".weight"] + self.parameters[name + ".bias"]

    def _norm(self, name: str, x_BTD: torch.Tensor) -> torch.Tensor:
        gain_D, bias_D = self.parameters[name + ".gain"], self.parameters[name + ".bias"]
        return F.layer_norm(x_BTD, gain_D.shape, gain_D, bias_D, eps=1e-5)

    def backward(self, ids_BT: torch.Tensor, targets_BT: torch.Tensor) -> tuple[float, float]:
        """Fill every gradient; return the loss and the global norm of the gradients."""
        for tensor in self.parameters.values():
            tensor.grad = None
        loss = self.loss(ids_BT, targets_BT)
        loss.backward()
        return loss.item(), math.sqrt(sum((g**2).sum().item() for g in self.gradients().values()))

    def gradients(self) -> Arrays:
        return {name: numbers(tensor.grad) for name, tensor in self.parameters.items()}

    def values(self) -> Arrays:
        return {name: numbers(tensor) for name, tensor in self.parameters.items()}


def numbers(tensor: torch.Tensor | None) -> Array:
    """A copy of a tensor as a NumPy array."""
    if tensor is None:
        raise ValueError("a parameter without a gradient")
    copied: Array = tensor.detach().numpy().copy()
    return copied
