"""Three steps of PyTorch's AdamW, with clipping, checked against the formula written out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch_model import Array, Arrays, Model


@dataclass(frozen=True)
class Optimizer:
    """AdamW's settings, with a learning rate for each of the three steps."""

    name: str
    learning_rates: tuple[float, float, float]
    beta1: float
    beta2: float
    eps: float
    weight_decay: float
    decay: str
    clip_norm: float | None


def _decays(optimizer: Optimizer, values: Array | torch.Tensor) -> bool:
    return optimizer.decay == "all" or values.ndim == 2


def torch_adamw(model: Model, optimizer: Optimizer) -> torch.optim.AdamW:
    """PyTorch's AdamW, with the tensors that decay and those that do not in groups of their own."""
    tensors = list(model.parameters.values())
    groups = [
        {"params": [t for t in tensors if _decays(optimizer, t)], "weight_decay": optimizer.weight_decay},
        {"params": [t for t in tensors if not _decays(optimizer, t)], "weight_decay": 0.0},
    ]
    betas = (optimizer.beta1, optimizer.beta2)
    return torch.optim.AdamW([group for group in groups if group["params"]], betas=betas, eps=optimizer.eps)


class FormulaAdamW:
    """AdamW written out, a second opinion on PyTorch's: the learning rate multiplies the decay as well.

    Source: Loshchilov and Hutter (2019), algorithm 2, with its schedule multiplier and step size made one.
    """

    def __init__(self, optimizer: Optimizer, values: Arrays) -> None:
        self.optimizer, self.values = optimizer, values
        self.mean = {name: np.zeros_like(p) for name, p in values.items()}
        self.square = {name: np.zeros_like(p) for name, p in values.items()}

    def step(self, t: int, gradients: Arrays) -> None:
        o, lr = self.optimizer, self.optimizer.learning_rates[t - 1]
        for name, g in gradients.items():
            self.mean[name] = o.beta1 * self.mean[name] + (1 - o.beta1) * g
            self.square[name] = o.beta2 * self.square[name] + (1 - o.beta2) * g**2
            m_hat = self.mean[name] / (1 - o.beta1**t)
            v_hat = self.square[name] / (1 - o.beta2**t)
            decay = o.weight_decay if _decays(o, g) else 0.0
            p = self.values[name]
            self.values[name] = p - lr * (m_hat / (np.sqrt(v_hat) + o.eps) + decay * p)


def clip(model: Model, norm: float, clip_norm: float | None) -> None:
    """Scale all gradients so that their global norm is at most `clip_norm`.

    PyTorch's `clip_grad_norm_` divides by norm + 1e-6, which is not quite the definition; this is.
    """
    if clip_norm is not None and norm > clip_norm:
        for tensor in model.parameters.values():
            if tensor.grad is not None:
                tensor.grad *= clip_norm / norm


def three_steps(model: Model, optimizer: Optimizer, ids: torch.Tensor, targets: torch.Tensor) -> Arrays:
    """Train `model` on the three batches; losses, norms and the parameters it ends with."""
    adamw, formula = torch_adamw(model, optimizer), FormulaAdamW(optimizer, model.values())
    losses, norms = [], []
    for step, lr in enumerate(optimizer.learning_rates):
        loss, norm = model.backward(ids[step], targets[step])
        clip(model, norm, optimizer.clip_norm)
        formula.step(step + 1, model.gradients())
        for group in adamw.param_groups:
            group["lr"] = lr
        adamw.step()
        losses.append(loss)
        norms.append(norm)
    for name, values in model.values().items():
        np.testing.assert_allclose(values, formula.values[name], rtol=1e-12, atol=1e-14, err_msg=name)
    return {
        "losses": np.array(losses),
        "grad_norms": np.array(norms),
        **under("parameters", model.values()),
    }


def under(folder: str, arrays: Arrays) -> Arrays:
    """The same arrays, with `folder/` before their names."""
    return {f"{folder}/{name}": array for name, array in arrays.items()}
