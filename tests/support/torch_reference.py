"""Reference values of an independent PyTorch implementation, see core/model/reference/make_reference.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from femtotui.core.config import (
    AdamWConfig,
    AttentionConfig,
    Initialisation,
    ModelConfig,
    Recipe,
    ScheduleConfig,
)
from femtotui.core.model.parameters import parameter_table

SIZES = ("two_layers", "one_head", "all_attention")
WIRINGS = ("journal", "prenorm")


class Reference:
    """One size and wiring of the reference file, with what the core needs to compute the same."""

    def __init__(self, values: Mapping[str, Any], size: str, wiring: str) -> None:
        self._values, self._size, self._wiring = values, size, wiring
        names = ("n_layers", "width", "n_heads", "context", "vocab_size")
        self.config = ModelConfig(**{name: int(values[f"{size}/config/{name}"]) for name in names})
        attention = AttentionConfig(
            rotary_share=float(values[f"{size}/rotary_columns"]) / self.config.head_size,
            rotary_base=float(values[f"{size}/rotary_base"]),
            shifted_keys=float(values[f"{size}/shifted_columns"]) / self.config.head_size,
            value_residual=float(values[f"{size}/value_residual"]),
        )
        amplitude = float(values[f"{size}/position_amplitude"])
        self.recipe = recipe(wiring, position_amplitude=amplitude, attention=attention)
        self.ids_SBT, self.targets_SBT = values[f"{size}/ids"], values[f"{size}/targets"]
        self.parameters_P = self.flat(f"{size}/parameters")

    def flat(self, prefix: str) -> np.ndarray:
        table = parameter_table(self.config)
        return np.concatenate([self._values[f"{prefix}/{p.name}"].reshape(-1) for p in table])

    def __getitem__(self, key: str) -> Any:
        """A value of this size and wiring: "loss", "clipped/losses", ..."""
        return self._values[f"{self._size}/{self._wiring}/{key}"]

    def flat_of(self, key: str) -> np.ndarray:
        return self.flat(f"{self._size}/{self._wiring}/{key}")

    def optimizer(self, name: str) -> tuple[AdamWConfig, np.ndarray]:
        """The settings of one of the reference's optimizers, and its learning rates."""
        v = {k: self._values[f"optimizers/{name}/{k}"] for k in ("beta1", "beta2", "eps", "weight_decay")}
        clip = float(self._values[f"optimizers/{name}/clip_norm"])
        config = AdamWConfig(
            **{k: float(x) for k, x in v.items()},
            decay=str(self._values[f"optimizers/{name}/decay"]),  # type: ignore[arg-type]
            clip_norm=None if np.isnan(clip) else clip,
        )
        return config, self._values[f"optimizers/{name}/learning_rates"]


def recipe(
    wiring: str, *, position_amplitude: float = 1.0, attention: AttentionConfig | None = None
) -> Recipe:
    return Recipe(
        name=wiring,
        summary="",
        wiring=wiring,  # type: ignore[arg-type]
        init=Initialisation(position_amplitude=position_amplitude),
        optimizer=AdamWConfig(),
        schedule=ScheduleConfig(),
        attention=attention or AttentionConfig(),
    )
