"""What `femtotui inspect` prints: attention, logit lens, layers and weights, for people and for programs."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from contextlib import closing
from itertools import product
from typing import NamedTuple

import numpy as np
from msgspec import to_builtins
from rich.text import Text
from textual.color import Color

from femtotui.core.errors import OUT_OF_MEMORY, ConfigError, FemtoError, TokenizerError
from femtotui.core.events import StepInspected
from femtotui.core.model.inspection import stream_statistics
from femtotui.core.run_folder.saved_model import SavedModel
from femtotui.core.sampling.sampler import JOURNAL_PROMPT, Sampler
from femtotui.core.tokenizers import characters_lacking, lacking_words
from femtotui.presets.toml_file import did_you_mean

from ..text.formats import UNKNOWN
from ..tokens.export_formats import quoted_token, text_of
from ..trainer.session import open_trained
from .layer_report import depth_name
from .weights import Floats, HeatMap, TensorFigures, viewed_tensors

MAX_WEIGHTS = 2**27
"""Attention weights of all heads together that a text may have: half a GiB."""

TOP = 5
"""Tokens that are listed at most for a head, or at a depth."""

_MAP_HEIGHT, _FIGURES_WIDTH, _BINS = 24, 60, 12

JsonRow = dict[str, object]


class Part(NamedTuple):
    """A part of the report: a table (`>` before a header aligns right) or `lines`, and rows for JSON."""

    title: str
    rows: Sequence[JsonRow]
    headers: Sequence[str] = ()
    cells: Sequence[Sequence[str]] = ()
    lines: Text | None = None
    note: str = ""
    gap: int = 2


class Reading(NamedTuple):
    """A text up to the token that is looked at; the first `n_before` tokens were too many for the context."""

    sampler: Sampler
    ids: list[int]
    n_before: int
    notes: tuple[str, ...]

    @classmethod
    def of(cls, sampler: Sampler, text: str, token: int | None) -> Reading:
        """The text up to token `token`, from 1 on, or to its end. Raises: ConfigError, TokenizerError."""
        given, config = text.encode("utf-8", "surrogateescape") or JOURNAL_PROMPT, sampler.config
        lacking = characters_lacking(sampler.tokenizer, given)
        if lacking:
            raise TokenizerError(f"{lacking_words(lacking)}: give a text without")
        notes = [] if text else ["no text is given: a newline is read"]
        ids = sampler.encode(given)
        ids = ids[: _numbered("--token", token, len(ids))[-1] + 1]
        most = min(config.context, max(1, math.isqrt(MAX_WEIGHTS // (config.n_layers * config.n_heads))))
        n_before = max(0, len(ids) - most)
        if n_before:
            notes.append(f"{len(ids):,} tokens are too many to read at once: the last {most:,} are read")
        return cls(sampler, ids[n_before:], n_before, tuple(notes))

    @property
    def words(self) -> str:
        return f"token {self.n_before + len(self.ids):,}, {self.quoted(self.ids[-1])}"

    def quoted(self, index: int) -> str:
        return quoted_token(self.sampler.tokenizer.decode([index]))

    def named(self, index: int) -> JsonRow:
        return {"id": index, "token": text_of(self.sampler.tokenizer.decode([index]))}


def _numbered(name: str, number: int | None, n: int) -> range:
    """The index of a number that counts from 1, or all `n` of them. Raises: ConfigError."""
    if number is not None and not 1 <= number <= n:
        raise ConfigError(f"must be from 1 to {n:,}, not {number:,}", name)
    return range(n) if number is None else range(number - 1, number)


# -- a text --------------------------------------------------------------------------------------------


@np.errstate(all="ignore")  # what is not finite is shown as such
def text_parts(
    saved: SavedModel, reading: Reading, views: Collection[str], layer: int | None, head: int | None
) -> list[Part]:
    """The `attention` (of one layer or head, or of all), `lens` and `layers` that are among the views.

    Raises: ConfigError.
    """
    config, parts = saved.sampler.config, []
    chosen = _numbered("--layer", layer, config.n_layers), _numbered("--head", head, config.n_heads)
    if "attention" in views or "lens" in views:
        inspection = saved.sampler.inspect(np.array(reading.ids, np.int32))
        weights_LHT = inspection.attention_LHTT[:, :, -1]
        parts += [attention_part(reading, weights_LHT, *chosen)] if "attention" in views else []
        parts += [lens_part(reading, inspection.lens(-1))] if "lens" in views else []
    return [*parts, layers_part(saved, reading)] if "layers" in views else parts


def attention_part(reading: Reading, weights_LHT: Floats, layers: range, heads: range) -> Part:
    """The tokens that the last one looked at most, by head."""
    rows, cells, n = [], [], len(reading.ids)
    for layer, head in product(layers, heads):
        top = _top(weights_LHT[layer, head])
        looks = [
            {"position": reading.n_before + t + 1, **reading.named(reading.ids[t]), "weight": weight}
            for t, weight in top
        ]
        rows.append({"view": "attention", "layer": layer + 1, "head": head + 1, "top": looks})
        words = (f"{weight:4.0%} {reading.quoted(reading.ids[t])} {t + 1 - n}" for t, weight in top)
        cells.append((f"{layer + 1}", f"{head + 1}", *_filled(words)))
    title = f"attention of {reading.words}: weight, token, its place from there"
    return Part(title, rows, (">layer", ">head", *[""] * TOP), cells)


def lens_part(reading: Reading, logits_KV: Floats) -> Part:
    """The next token as it would be at each depth."""
    p_KV = np.exp(logits_KV - logits_KV.max(axis=1, keepdims=True), dtype=np.float64)
    p_KV /= p_KV.sum(axis=1, keepdims=True)
    rows, cells = [], []
    for depth, top in enumerate(map(_top, p_KV)):
        found = [{**reading.named(index), "p": p} for index, p in top]
        rows.append({"view": "lens", "depth": depth, "top": found})
        words = (f"{p:6.1%} {reading.quoted(index)}" for index, p in top)
        cells.append((depth_name(depth), *_filled(words)))
    title = f"logit lens: the token after {reading.words}, as it would be"
    return Part(title, rows, ("after", *[""] * TOP), cells)


def _top(shares_N: Floats) -> list[tuple[int, float]]:
    """The largest shares and their indices, largest first; none where one is not finite."""
    largest_N = (-shares_N).argsort(kind="stable")[:TOP]
    return [(int(n), float(shares_N[n])) for n in largest_N] if np.isfinite(shares_N).all() else []


def _filled(words: Iterable[str]) -> list[str]:
    found = list(words) or ["not finite"]
    return found + [""] * (TOP - len(found))


# -- layers and weights --------------------------------------------------------------------------------


def layers_part(saved: SavedModel, reading: Reading) -> Part:
    """The figures of the next training step by depth; where none can be done, the text's stream alone.

    Layer 0 is the embedding. Units never or always fire in the step's tokens.
    """
    step, note = _inspected_step(saved)
    title = f"layers: the stream of the text up to {reading.words}"
    if step is not None:
        title, streams = f"layers: step {step.step:,}, {step.n_tokens:,} tokens of its batch", step.streams
    else:
        inspection = saved.sampler.inspect(np.array(reading.ids, np.int32))
        streams = tuple(map(stream_statistics, inspection.streams_KTD))
    rows: list[JsonRow] = []
    for depth, stream in enumerate(streams):
        row = {"view": "layers", "depth": depth, **to_builtins(stream)}
        if step is not None:
            tensor = step.of_layer(depth - 1) if depth else step.tensors["token_embedding.weight"]
            row |= {"weights_gradient_norm": tensor.gradient_norm, "update_ratio": tensor.update_ratio}
            row |= to_builtins(step.layers[depth - 1]) if depth else {}
        rows.append(row)
    headers = {
        "rms": ">stream\nRMS", "carrying": f">carrying\nof {saved.config.model.width}",
        "gradient_rms": ">gradient\nRMS", "weights_gradient_norm": ">weights'\ngradient",
        "update_ratio": ">update/\nweight", "silent": ">never\nfire", "open": ">always\nfire",
        "entropies": ">entropy by\nhead, bits",
    }  # fmt: skip
    cells = [(str(k), *(_figure(name, row.get(name)) for name in headers)) for k, row in enumerate(rows)]
    if step is not None:
        rows += [{"view": "tensor", "name": name, **to_builtins(t)} for name, t in step.tensors.items()]
    return Part(title, rows, (">after\nlayer", *headers.values()), cells, note=note, gap=1)


def _inspected_step(saved: SavedModel) -> tuple[StepInspected | None, str]:
    """The step after the checkpoint, by a training that is not recorded, or a note why there is none."""
    try:
        with closing(open_trained(saved.path.absolute().parent.parent, str(saved.step))) as training:
            training.inspect_next()
            training.advance()
            return training.inspected, ""
    except (FemtoError, MemoryError) as error:
        why = str(error) or OUT_OF_MEMORY[1]
        return None, f"no training step can be measured, so this is the text's stream alone: {why}"


def _figure(name: str, value: object) -> str:
    if isinstance(value, tuple | list):
        return " ".join(f"{each:.1f}" for each in value)
    form = ".1%" if name in ("silent", "open") else ".3g"
    return f"{value:{form}}" if isinstance(value, float) else UNKNOWN


def weights_part(sampler: Sampler, name: str, width: int, ground: Color | None) -> Part:
    """A tensor as a heat map, on a background or with signs and digits, and its figures.

    Raises: ConfigError.
    """
    tensors = {**sampler.parameters, **viewed_tensors(sampler.parameters)}
    if name not in tensors:
        raise ConfigError(f"`{name}` is no tensor of this model{did_you_mean(name, tensors)}")
    drawn = HeatMap.of(tensors[name], width, _MAP_HEIGHT, in_colour=ground is not None)
    figures = TensorFigures.of(tensors[name], _BINS)
    picture = [*(drawn.line(y, ground) for y in range(len(drawn.shades_LRC))), drawn.legend(ground)]
    texts = [Text.assemble(*((s.text, s.style or "") for s in line)) for line in picture]
    words = drawn.caption, "", *figures.lines(min(width, _FIGURES_WIDTH))
    shown = Text("\n").join([*texts, *map(Text, words)])
    return Part(f"weights: {name}", [{"view": "weights", "name": name, **figures._asdict()}], lines=shown)
