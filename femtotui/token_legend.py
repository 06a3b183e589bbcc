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


_DIFFERENCE_LEGENDS: tuple[Legend, ...] = (
    (
        "foreseen better by ",
        (("this", 4.0), ("by 1 bit", 1.0), ("both alike", 0.0), ("1 bit", -1.0), ("the other", -4.0)),
    ),
    ("", (("this", 4.0), ("alike", 0.0), ("other", -4.0))),
)


def fitting_difference_legend(width: int) -> Legend:
    """The fullest legend for differences (bits instead of probabilities) that fits into `width` cells."""
    for lead, entries in _DIFFERENCE_LEGENDS:
        if len(lead) + sum(len(name) + 2 for name, _ in entries) <= width:
            return lead, entries
    return "", ()


def plain_difference_style(shade: int) -> Style:
    """The attributes for a difference where there are no colours to tell it."""
    if abs(shade) <= 1:
        return Style()
    return Style(underline=shade > 0, reverse=shade < 0, bold=abs(shade) > 4)
