"""Numbers, times, bars and tones as the screens show them, in fixed forms, so that nothing jitters."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import msgspec

from femtotui.presets import Preset

if TYPE_CHECKING:
    from femtotui.core.events import ScoreDone

BARS = "▁▂▃▄▅▆▇█"
UNKNOWN = "–"


def duration(seconds: float | None) -> str:
    """A duration in its two largest units, from minutes on: `0m 44s`, `12m 41s`, `1h 02m`, `3d 04h`."""
    if seconds is None or not math.isfinite(seconds):
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


def score(value: float | None, unit: str) -> str:
    """A score in its unit, see `ScoreDone`: `97.1%`, `2.158 bits per byte`."""
    if value is None:
        return UNKNOWN
    return f"{value:.1%}" if unit == "share" else f"{value:.3f} bits per byte"


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


def fitted(text: str, width: int) -> str:
    """`text` in exactly `width` characters; an ellipsis stands for an end that is cut off."""
    return text.ljust(width) if len(text) <= width else f"{text[: width - 1]}…"


def preset_parameters(preset: Preset) -> int:
    """The exact parameter count of a preset, as far as its vocabulary is known before its data is read."""
    asked = 256 if preset.tokenizer.kind == "byte" else preset.tokenizer.vocab_size
    vocabulary = preset.model.vocab_size or asked
    return msgspec.structs.replace(preset.model, vocab_size=vocabulary).n_parameters


def sparkline(values: Sequence[float], width: int) -> str:
    """The newest `width` values as bars from 0 to the highest; a value that is not finite is a gap."""
    newest = list(values)[-width:]
    highest = max((value for value in newest if math.isfinite(value)), default=0.0)
    return "".join(_bar(value, highest) for value in newest)


def _bar(value: float, highest: float) -> str:
    if not math.isfinite(value) or value < 0:
        return " "
    return BARS[min(int(value / highest * len(BARS)), len(BARS) - 1)] if highest > 0 else BARS[0]


def progress_bar(share: float, width: int) -> str:
    """A bar of `width` cells, filled to `share` (0 to 1)."""
    share = min(max(share, 0.0), 1.0)
    done = round(share * width)
    return "━" * done + "╌" * (width - done)


def score_bars(scores: Sequence[ScoreDone], width: int) -> str:
    """The scores from the first to the last in at most `width` cells, evenly chosen.

    Shares are scaled from 0 to 1, other scores from the lowest to the highest.
    """
    if not scores or width < 1:
        return ""
    count = min(len(scores), width)
    values = [scores[(index + 1) * len(scores) // count - 1].score for index in range(count)]
    low, high = (0.0, 1.0) if scores[-1].unit == "share" else (min(values), max(values))
    span, highest = high - low or 1.0, len(BARS) - 1
    return "".join(BARS[min(highest, max(0, int((value - low) / span * len(BARS))))] for value in values)


def score_curve(scores: Sequence[ScoreDone], width: int) -> str:
    """The bars, followed by the last score with its unit, in `width` cells."""
    if not scores:
        return ""
    last = scores[-1]
    words = f" {score(last.score, last.unit)}"
    return score_bars(scores, max(1, width - len(words))) + words


def local_now() -> datetime:
    """Now, with the local offset."""
    return datetime.now(UTC).astimezone()


Tone = Literal["plain", "good", "warning", "error"]
Say = Callable[[str, Tone], None]
"""Shows a line of text in a tone, such as `StatusLine.say`."""

TONES: dict[Tone, str] = {
    "plain": "$foreground-muted",
    "good": "$text-success",
    "warning": "$text-warning",
    "error": "$text-error",
}
