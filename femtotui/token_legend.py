"""What the look of a token says about its probability: legends for every width, and looks without colour."""

from __future__ import annotations

from rich.style import Style

from .palette import shade_of

Legend = tuple[str, tuple[tuple[str, float], ...]]
"""What stands before the samples, and each sample's name and probability."""

_LEGENDS: tuple[Legend, ...] = (
    (
        "probability ",
        (("100%", 1.0), ("50%", 0.5), ("25%", 0.25), ("10%", 0.1), ("3%", 0.03), ("1% or less", 0.008)),
    ),
    ("", (("100%", 1.0), ("50", 0.5), ("25", 0.25), ("10", 0.1), ("3", 0.03), ("≤1", 0.008))),
    ("", (("100%", 1.0), ("10", 0.1), ("≤1", 0.008))),
)
# Without colours, probability is carried by attributes that every terminal has.
_PLAIN_STYLES = ((0.5, Style()), (0.1, Style(underline=True)), (0.01, Style(underline=True, bold=True)))
_PLAIN_SURPRISE = Style(reverse=True, bold=True)
_PLAIN_LEGENDS: tuple[Legend, ...] = (
    ("probability ", (("over 50%", 1.0), ("over 10%", 0.2), ("over 1%", 0.05), ("1% or less", 0.001))),
    ("", ((">50%", 1.0), (">10", 0.2), (">1", 0.05), ("≤1", 0.001))),
)


def fitting_legend(width: int, in_colour: bool) -> Legend:
    """The fullest legend that fits into `width` cells, each sample with a space on either side."""
    for lead, entries in _LEGENDS if in_colour else _PLAIN_LEGENDS:
        if len(lead) + sum(len(name) + 2 for name, _ in entries) <= width:
            return lead, entries
    return "", ()


def plain_style(shade: int) -> Style:
    """The attributes for a shade where there are no colours to tell it."""
    for least, style in _PLAIN_STYLES:
        if shade <= shade_of(least):
            return style
    return _PLAIN_SURPRISE
