"""Write reference.npz: what the model must compute, worked out by an independent PyTorch implementation.

    python -m venv torchenv && torchenv/bin/pip install torch==2.13.0 numpy
    torchenv/bin/python tests/core/model/reference/make_reference.py

Only the scripts of this folder need PyTorch; the tests read the file. Nothing is shared with femtotui:
forward passes are made of PyTorch's own functions in float64, gradients are autograd's. Sizes are chosen
so that no two axes that a mistake could exchange are equally long.

Keys of the file, where {size} is `two_layers`, `one_head` or `all_attention`, {wiring} `journal` or
`prenorm`, {optimizer} `plain` or `clipped`, and {tensor} a name out of `parameter_shapes` in
torch_model.py:

    {size}/config/{field}                  n_layers, width, n_heads, context, vocab_size: whole numbers
    {size}/position_amplitude              what the position table is multiplied by
    {size}/{field}                         rotary_columns, rotary_base, shifted_columns, value_residual
    {size}/positions                       (T, D) the table itself, amplitude 1
    {size}/ids, {size}/targets             (3, B, T) int32: a batch for each of three optimizer steps
    {size}/parameters/{tensor}             where all begin; every value is a float32 number, stored as float64
    {size}/{wiring}/logits                 (B, T, V) of batch 0
    {size}/{wiring}/loss, .../grad_norm    of batch 0, at the starting parameters
    {size}/{wiring}/gradients/{tensor}
    {size}/{wiring}/inside/{what}          attention (L, B, H, T, T), streams (L + 1, B, T, D) after the
                                           embedding and each layer, stream_gradients of the summed loss,
                                           lens (L + 1, B, T, V): logits read from each of the streams
    {size}/{wiring}/{optimizer}/losses     (3,), not of `all_attention`: before each step
    {size}/{wiring}/{optimizer}/grad_norms (3,) before each step, and before clipping
    {size}/{wiring}/{optimizer}/parameters/{tensor}    after the three steps
    dropout/config/..., dropout/ids, ...   another size, with the dropout masks
    dropout/masks/{name}                   0 or 1 / (1 - p); see `Model` in torch_model.py
    dropout/{wiring}/loss, .../gradients/{tensor}
    optimizers/{optimizer}/{field}         learning_rates (3,), beta1, beta2, eps, weight_decay,
                                           clip_norm (NaN: none), decay ("all" or "matrices")
    schedules/{name}/{field}               base_lr, min_lr, warmup_steps, decay_steps (0: None), run_steps,
                                           steps (K,) and the learning_rates (K,) at them
    positions                              (80, 6) a longer table, amplitude 1
    made_with                              versions
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from torch_model import WIRINGS, Array, Arrays, Model, Size, numbers, parameter_shapes, position_table
from torch_training import Optimizer, three_steps, under

OUTPUT = Path(__file__).with_name("reference.npz")
SEED = 20_240_229
N_STEPS = 3

POSITION_FIELDS = ("position_amplitude", "rotary_columns", "rotary_base", "shifted_columns", "value_residual")

Batches = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Schedule:
    """A learning-rate schedule in exact decimals, and the steps at which to note it."""

    name: str
    base_lr: str
    min_lr: str
    warmup_steps: int
    decay_steps: int | None
    run_steps: int
    steps: tuple[int, ...]


SIZES = (
    Size("two_layers", 2, 8, 2, context=7, vocab_size=11, batch=3, position_amplitude=0.5),
    Size("one_head", 1, 5, 1, context=4, vocab_size=7, batch=2, position_amplitude=1.0),
)
ATTENTION = (
    Size(
        "all_attention", 2, 12, 2, context=5, vocab_size=9, batch=2, position_amplitude=0.3,
        rotary_columns=4, rotary_base=50.0, shifted_columns=3, value_residual=0.4,
    ),
)  # fmt: skip
DROPPED = Size("dropout", 2, 6, 2, context=4, vocab_size=7, batch=3, position_amplitude=0.5)
DROPOUT = 0.3
OPTIMIZERS = (
    Optimizer("plain", (0.01, 0.02, 0.005), 0.9, 0.999, 1e-8, 0.1, "all", None),
    # AdamW forgets the size of a gradient unless eps is comparable with it: here it is, so clipping shows.
    Optimizer("clipped", (0.02, 0.01, 0.015), 0.8, 0.95, 1e-3, 0.2, "matrices", 0.05),
)
SCHEDULES = (
    Schedule(
        "journal", "0.001", "0.00001", 100, 50_000, 629,
        (0, 1, 50, 99, 100, 101, 628, 25_100, 50_099, 50_100, 50_101, 1_000_000),
    ),
    Schedule("to_the_end", "0.003", "0.00015", 100, None, 2000, (0, 7, 99, 100, 101, 1050, 1999, 2000, 2001)),
    Schedule("no_warmup", "0.02", "0", 0, 10, 20, (0, 1, 5, 9, 10, 11, 19)),
)  # fmt: skip


def draw_parameters(size: Size, random: np.random.Generator) -> Arrays:
    """Parameters that leave no gradient trivial: gains around 1, and no bias at 0."""
    drawn: Arrays = {}
    for name, shape in parameter_shapes(size).items():
        noise = random.normal(scale=0.4 if len(shape) == 2 else 0.2, size=shape)
        values = 1 + noise if name.endswith("gain") else noise
        drawn[name] = values.astype(np.float32).astype(np.float64)
    return drawn


def draw_batches(size: Size, random: np.random.Generator) -> tuple[Array, Array]:
    """Inputs and targets (3, B, T): tokens occur more than once, and the last of the vocabulary never."""
    tokens = random.integers(
        size.vocab_size - 1, size=(N_STEPS, size.batch, size.context + 1), dtype=np.int32
    )
    return tokens[..., :-1].copy(), tokens[..., 1:].copy()


def require_settings_to_matter(size: Size, wiring: str, start: Arrays, batches: Batches) -> None:
    """Refuse settings whose neglect would not show: each is changed in turn and must move a parameter."""
    clipped = OPTIMIZERS[1]
    results = [
        three_steps(Model(size, wiring, start), dataclasses.replace(clipped, **change), *batches)
        for change in ({}, {"clip_norm": None}, {"decay": "all"}, {"weight_decay": 0.0}, {"beta2": 0.9})
    ]
    for result in results[1:]:
        if max(np.abs(result[key] - results[0][key]).max() for key in result) < 1e-4:
            raise ValueError(f"a setting of {clipped.name!r} changes nothing in {size.name}, {wiring}")


def learning_rate(schedule: Schedule, step: int) -> float:
    """The schedule at one step, in exact fractions, rounded once at the end."""
    base, least, warmup = Fraction(schedule.base_lr), Fraction(schedule.min_lr), schedule.warmup_steps
    if step < warmup:
        return float(base * Fraction(step, warmup))
    decay_steps = schedule.decay_steps or schedule.run_steps - warmup
    return float(max(least, base - (base - least) * Fraction(step - warmup, decay_steps)))


def draw_masks(size: Size, random: np.random.Generator) -> Arrays:
    """Dropout masks for one batch."""
    b, t, d, h = size.batch, size.context, size.width, size.n_heads
    shapes = {"token_embedding": (b, t, d)}
    for layer in range(size.n_layers):
        shapes |= {f"layers.{layer}.attention": (b, h, t, t)}
        shapes |= {f"layers.{layer}.{name}": (b, t, d) for name in ("projection", "down")}
    return {name: (random.random(shape) >= DROPOUT) / (1 - DROPOUT) for name, shape in shapes.items()}


def dropout_arrays(random: np.random.Generator) -> Arrays:
    """One forward and backward pass in each wiring, under the same masks."""
    start, (ids, targets), masks = (
        draw(DROPPED, random) for draw in (draw_parameters, draw_batches, draw_masks)
    )
    arrays = start_arrays(DROPPED, start, ids[:1], targets[:1]) | under("masks", masks)
    for wiring in WIRINGS:
        model = Model(DROPPED, wiring, start, masks)
        loss, _ = model.backward(torch.tensor(ids[0]).long(), torch.tensor(targets[0]).long())
        arrays |= under(wiring, {"loss": np.array(loss), **under("gradients", model.gradients())})
    return arrays


def start_arrays(size: Size, start: Arrays, ids: Array, targets: Array) -> Arrays:
    """A size, its starting parameters and its batches."""
    fields = ("n_layers", "width", "n_heads", "context", "vocab_size")
    return {
        **{f"config/{field}": np.array(getattr(size, field)) for field in fields},
        **{field: np.array(getattr(size, field)) for field in POSITION_FIELDS},
        "positions": position_table(size.context, size.width),
        "ids": ids,
        "targets": targets,
        **under("parameters", start),
    }


def size_arrays(size: Size, random: np.random.Generator) -> Arrays:
    """Everything that the file holds about one size."""
    start, (ids, targets) = draw_parameters(size, random), draw_batches(size, random)
    batches = torch.tensor(ids).long(), torch.tensor(targets).long()
    arrays = start_arrays(size, start, ids, targets)
    for wiring in WIRINGS:
        if size in SIZES:
            require_settings_to_matter(size, wiring, start, batches)
        arrays |= under(wiring, wiring_arrays(size, wiring, start, batches))
    return arrays


def wiring_arrays(size: Size, wiring: str, start: Arrays, batches: Batches) -> Arrays:
    """One forward and backward pass, and three steps with each optimizer, from the same start."""
    ids, targets = batches
    model = Model(size, wiring, start)
    loss, norm = model.backward(ids[0], targets[0])
    arrays: Arrays = {
        "logits": numbers(model.logits(ids[0])),
        "loss": np.array(loss),
        "grad_norm": np.array(norm),
        **under("gradients", model.gradients()),
        **under("inside", model.inside(ids[0], targets[0])),
    }
    for optimizer in OPTIMIZERS if size in SIZES else ():
        arrays |= under(optimizer.name, three_steps(Model(size, wiring, start), optimizer, ids, targets))
    return arrays


def optimizer_arrays(optimizer: Optimizer) -> Arrays:
    fields = dataclasses.asdict(optimizer) | {"clip_norm": optimizer.clip_norm or math.nan}
    return {field: np.array(value) for field, value in fields.items() if field != "name"}


def schedule_arrays(schedule: Schedule) -> Arrays:
    return {
        "base_lr": np.array(float(schedule.base_lr)),
        "min_lr": np.array(float(schedule.min_lr)),
        "warmup_steps": np.array(schedule.warmup_steps),
        "decay_steps": np.array(schedule.decay_steps or 0),
        "run_steps": np.array(schedule.run_steps),
        "steps": np.array(schedule.steps),
        "learning_rates": np.array([learning_rate(schedule, step) for step in schedule.steps]),
    }


def main() -> None:
    torch.set_num_threads(1)
    random = np.random.default_rng(SEED)
    made_with = f"torch {torch.__version__}, numpy {np.__version__}"
    arrays: Arrays = {"made_with": np.array(made_with), "positions": position_table(80, 6)}
    for size in (*SIZES, *ATTENTION):
        arrays |= under(size.name, size_arrays(size, random))
    arrays |= under("dropout", dropout_arrays(random))
    for optimizer in OPTIMIZERS:
        arrays |= under(f"optimizers/{optimizer.name}", optimizer_arrays(optimizer))
    for schedule in SCHEDULES:
        arrays |= under(f"schedules/{schedule.name}", schedule_arrays(schedule))
    np.savez_compressed(OUTPUT, allow_pickle=False, **arrays)
    print(f"{OUTPUT}: {len(arrays)} arrays, {OUTPUT.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
