"""Numbers, times and tones as the screens show them, in fixed forms, so that nothing jitters."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Literal

import msgspec

from femtotui.presets import Preset

UNKNOWN = "–"


def duration(seconds: float) -> str:
    """A duration in its two largest units, from minutes on: `0m 44s`, `12m 41s`, `1h 02m`, `3d 04h`."""
    if not math.isfinite(seconds):
        return UNKNOWN
    whole = max(0, int(seconds))
    days, hours, minutes = whole // 86_400, whole // 3600, whole // 60
    if days:
        return f"{days}d {hours % 24:02}h"
    if hours:
        return f"{hours}h {minutes % 60:02}m"
    return f"{minutes}m {whole % 60:02}s"


def size(count: int) -> str:
    """A count of parameters in four characters at most, cut off as the journal does: `67K`, `6.4M`."""
    for unit, letter in ((1_000_000_000, "G"), (1_000_000, "M"), (1000, "K")):
        if count >= unit:
            tenths = count * 10 // unit
            small = tenths < 100 and letter != "K"
            return f"{tenths // 10}.{tenths % 10}{letter}" if small else f"{tenths // 10}{letter}"
    return str(count)


def loss(value: float | None) -> str:
    """A loss with four decimals, or a dash where none is known."""
    if value is None:
        return UNKNOWN
    return f"{value:.4f}" if math.isfinite(value) else "not finite"


def memory(mib: float) -> str:
    """Memory in MiB, or in GiB from 10,000 MiB on."""
    return f"{mib / 1024:.1f} GiB" if mib >= 10_000 else f"{mib:,.0f} MiB"


def milliseconds(ms: float) -> str:
    """The time of a step in three significant digits: `16.9 ms`, `412 ms`, `21.9 s`."""
    if ms >= 10_000:
        return f"{ms / 1000:.1f} s"
    return f"{ms:,.0f} ms" if ms >= 100 else f"{ms:.1f} ms"


def rate(tokens_per_s: float) -> str:
    """Tokens per second: `940 tok/s`, `9.4k tok/s`, `121k tok/s`, `1.2M tok/s`."""
    for unit, letter in ((1_000_000, "M"), (1000, "k")):
        if tokens_per_s >= unit:
            number = tokens_per_s / unit
            return f"{number:.1f}{letter} tok/s" if number < 10 else f"{number:.0f}{letter} tok/s"
    return f"{tokens_per_s:.0f} tok/s"


def short_title(title: str) -> str:
    """A journal title without the words that all of them share: `very simple model 2` is `simple 2`."""
    words = [word for word in title.split() if word not in {"very", "model", "coder"}]
    return " ".join(words) or title


def preset_parameters(preset: Preset) -> int:
    """The exact parameter count of a preset, as far as its vocabulary is known before its data is read."""
    asked = 256 if preset.tokenizer.kind == "byte" else preset.tokenizer.vocab_size
    vocabulary = preset.model.vocab_size or asked
    return msgspec.structs.replace(preset.model, vocab_size=vocabulary).n_parameters


def local_now() -> datetime:
    """Now, with the local offset."""
    return datetime.now(UTC).astimezone()


Tone = Literal["plain", "good", "warning", "error"]

TONES: dict[Tone, str] = {
    "plain": "$foreground-muted",
    "good": "$text-success",
    "warning": "$text-warning",
    "error": "$text-error",
}
