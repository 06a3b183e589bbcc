"""The four tones in which things are said, and their colours in every theme."""

from __future__ import annotations

from typing import Literal

Tone = Literal["plain", "good", "warning", "error"]

TONES: dict[Tone, str] = {
    "plain": "$foreground-muted",
    "good": "$text-success",
    "warning": "$text-warning",
    "error": "$text-error",
}
