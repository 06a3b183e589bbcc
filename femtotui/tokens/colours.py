"""Colours for token probabilities: from the theme's background for the expected to a bright surprise.

The scale runs over lightness and from blue to yellow, which every common kind of colour vision can follow
(as in Nuñez, Anderton and Renslow, "cividis", PLoS ONE 2018), and it is even in OKLab (Ottosson, 2020).
Its unit is surprise, -log2 p: each halving of a probability is one step of the same size.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console
from rich.style import Style
from rich.text import Text
from textual.color import Color

from ..text.safe import glyphs, incomplete_tail

if TYPE_CHECKING:
    from textual.app import App

    from femtotui.core.sampling.distribution import SampledToken

SCALE_BITS = 7.0
N_SHADES = 29

_DARK_ANCHORS = ("#10306b", "#1f8a8c", "#fde725")
_LIGHT_ANCHORS = ("#f4f3c8", "#58a9a0", "#13245e")
_GROUND_SHARE = 0.72
_FIRST_STEP = 0.04
"""How far the first shade's lightness is from the ground's; from there it moves evenly to the last."""

DIFFERENCE_BITS = 4.0
N_DIFFERENCES = 7
"""Shades on either side of no difference."""

# Blue and orange: kept apart by every common kind of colour vision.
_DARK_SIDES = ("#f29a3f", "#4aa3ff")
_LIGHT_SIDES = ("#b35806", "#1f5fb4")

# From violet to pale orange: rising lightness, as in magma (S. van der Walt and N. Smith, matplotlib 2015).
_DARK_WEIGHTS = ("#3b1d6e", "#b5367a", "#fecf92")
_LIGHT_WEIGHTS = ("#f8dccb", "#d5548a", "#2c115f")

DARK_GROUND = Color.parse("#121212")
LIGHT_GROUND = Color.parse("#f5f5f5")
PROMPT_STYLE = Style(dim=True)
_LIGHT_COLORFGBG = ("7", "15")

_Lab = tuple[float, float, float]


# -- scales --------------------------------------------------------------------------------------------


def shade_of(p: float) -> int:
    """The shade for a probability: 0 is certain, N_SHADES - 1 a great surprise (or not a probability)."""
    if not p > 0:
        return N_SHADES - 1
    position = min(max(-math.log2(p) / SCALE_BITS, 0.0), 1.0)
    return round(position * (N_SHADES - 1))


@lru_cache(maxsize=64)
def shades(ground: Color) -> tuple[Color, ...]:
    """All shades on a theme's background colour; the first are close to it, the last stands out most."""
    return _even_shades(ground, _DARK_ANCHORS if ground.brightness < 0.5 else _LIGHT_ANCHORS)


def _even_shades(ground: Color, anchors: tuple[str, ...]) -> tuple[Color, ...]:
    return tuple(_shade(ground, anchors, index / (N_SHADES - 1)) for index in range(N_SHADES))


def _plain_style(shade: int) -> Style:
    """Without colours: attributes that every terminal has."""
    if shade > shade_of(0.01):
        return Style(reverse=True, bold=True)
    return Style(underline=shade > shade_of(0.5) or None, bold=shade > shade_of(0.1) or None)


def _difference_shade_of(bits: float) -> int:
    """The shade for a difference of surprise in bits: N_DIFFERENCES is none, 0 the most negative."""
    share = 0.0 if math.isnan(bits) else min(max(bits / DIFFERENCE_BITS, -1.0), 1.0)
    return N_DIFFERENCES + round(share * N_DIFFERENCES)


@lru_cache(maxsize=64)
def _difference_shades(ground: Color) -> tuple[Color, ...]:
    """Shades from orange (negative) through the ground (no difference) to blue (positive)."""
    sides = _DARK_SIDES if ground.brightness < 0.5 else _LIGHT_SIDES
    minus, plus = (_to_oklab(Color.parse(side)) for side in sides)
    middle = _to_oklab(ground)
    return tuple(
        _from_oklab(_mix(middle, plus if n > 0 else minus, abs(n) / N_DIFFERENCES)) if n else ground
        for n in range(-N_DIFFERENCES, N_DIFFERENCES + 1)
    )


def _plain_difference_style(shade: int) -> Style:
    difference = shade - N_DIFFERENCES
    if abs(difference) <= 1:
        return Style()
    return Style(underline=difference > 0, reverse=difference < 0, bold=abs(difference) > 4)


def _weight_shade_of(weight: float) -> int:
    """The shade for a weight, 0 to 1, by its square root, so that a twentieth can be seen."""
    return round(math.sqrt(min(weight, 1.0)) * (N_SHADES - 1)) if weight > 0 else 0


@lru_cache(maxsize=64)
def _weight_shades(ground: Color) -> tuple[Color, ...]:
    anchors = _DARK_WEIGHTS if ground.brightness < 0.5 else _LIGHT_WEIGHTS
    return ground, *_even_shades(ground, anchors)[1:]


def _plain_weight_style(shade: int) -> Style:
    seen, clear, most = (shade >= _weight_shade_of(weight) or None for weight in (0.05, 0.2, 0.45))
    return Style(underline=None if most else seen, bold=clear, reverse=most)


def weight_digit(weight: float) -> str:
    """A weight in tenths, for terminals without a scale of colours: `·` for none, 9 for all."""
    return "·123456789"[min(int(10 * weight + 0.5), 9)] if weight > 0 else "·"


def shows_scales(app: App[object]) -> bool:
    """Whether the terminal shows a scale of colours; one with 16 of them does not."""
    has_few = app.console.color_system == "standard" and not app.is_headless
    return not (app.no_color or app.native_ansi_color or has_few)


Legend = tuple[str, dict[str, float]]
"""A lead, and the samples after it: their names, with values on the scale."""

_PROBABILITY_LEGENDS: tuple[Legend, ...] = (
    ("probability ", {"100%": 1.0, "50%": 0.5, "25%": 0.25, "10%": 0.1, "3%": 0.03, "1% or less": 0.008}),
    ("", {"100%": 1.0, "50": 0.5, "25": 0.25, "10": 0.1, "3": 0.03, "≤1": 0.008}),
    ("", {"100%": 1.0, "10": 0.1, "≤1": 0.008}),
)
_PLAIN_PROBABILITY_LEGENDS: tuple[Legend, ...] = (
    ("probability ", {"over 50%": 1.0, "over 10%": 0.2, "over 1%": 0.05, "1% or less": 0.001}),
    ("", {">50%": 1.0, ">10": 0.2, ">1": 0.05, "≤1": 0.001}),
)
_DIFFERENCE_LEGENDS: tuple[Legend, ...] = (
    ("predicted better by ", {"this": 4, "by 1 bit": 1, "both alike": 0, "1 bit": -1, "the other": -4}),
    ("", {"this": 4, "alike": 0, "other": -4}),
)
_WEIGHT_LEGENDS: tuple[Legend, ...] = (
    ("looked at ", {"not": 0.0, "5%": 0.05, "20%": 0.2, "50%": 0.5, "all": 1.0}),
    ("", {"0": 0.0, "5%": 0.05, "20": 0.2, "50": 0.5, "all": 1.0}),
)
_PLAIN_WEIGHT_LEGENDS: tuple[Legend, ...] = (
    ("looked at ", {"less": 0.0, "over 5%": 0.06, "over 20%": 0.21, "over 45%": 1.0}),
    ("", {">5%": 0.06, ">20": 0.21, ">45": 1.0}),
)


class ColourScale(NamedTuple):
    """A scale of shades for a value, with its legends from the longest to the shortest."""

    shade_of: Callable[[float], int]
    shades: Callable[[Color], tuple[Color, ...]]
    plain_style: Callable[[int], Style]
    legends: tuple[Legend, ...]
    plain_legends: tuple[Legend, ...]

    def style(self, shade: int, ground: Color | None, *, faint: bool = False) -> Style:
        """The style of a shade on a background; without colours (`ground` None) by attributes alone."""
        if ground is None:
            return self.plain_style(shade)
        background = self.shades(ground)[shade]
        foreground = background.blend(text_on(background), 0.55 if faint else 1.0)
        return Style.from_color(foreground.rich_color, background.rich_color)

    def fitting_legend(self, width: int, in_colour: bool) -> Legend:
        """The fullest legend that fits into `width` cells, each sample with a space on either side."""
        for lead, entries in self.legends if in_colour else self.plain_legends:
            if len(lead) + sum(len(name) + 2 for name in entries) <= width:
                return lead, entries
        return "", {}


SURPRISE = ColourScale(shade_of, shades, _plain_style, _PROBABILITY_LEGENDS, _PLAIN_PROBABILITY_LEGENDS)
"""Colours for a probability, 0 to 1."""

DIFFERENCE = ColourScale(
    _difference_shade_of,
    _difference_shades,
    _plain_difference_style,
    _DIFFERENCE_LEGENDS,
    _DIFFERENCE_LEGENDS,
)
"""Colours for the bits by which one model predicted a token better than another."""

WEIGHT = ColourScale(
    _weight_shade_of, _weight_shades, _plain_weight_style, _WEIGHT_LEGENDS, _PLAIN_WEIGHT_LEGENDS
)
"""Colours for a share, 0 to 1: an attention weight, or a probability that a layer gives."""


# -- mixing --------------------------------------------------------------------------------------------


def text_on(background: Color) -> Color:
    """Black or white, whichever is easier to read on `background`."""
    return max(Color(0, 0, 0), Color(255, 255, 255), key=lambda color: contrast(color, background))


def contrast(one: Color, other: Color) -> float:
    """The contrast ratio of two colours, 1 to 21 (WCAG 2.1)."""
    bright, dim = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def _shade(ground: Color, anchors: tuple[str, ...], position: float) -> Color:
    offset = position * (len(anchors) - 1)
    index = min(int(offset), len(anchors) - 2)
    lower, upper = (_to_oklab(Color.parse(anchor)) for anchor in anchors[index : index + 2])
    _, a, b = _mix(_mix(lower, upper, offset - index), _to_oklab(ground), _GROUND_SHARE * (1 - position))
    first, last = _to_oklab(ground)[0], _to_oklab(Color.parse(anchors[-1]))[0]
    first += math.copysign(_FIRST_STEP, last - first)
    return _from_oklab((first + (last - first) * position, a, b))


def _mix(one: _Lab, other: _Lab, share: float) -> _Lab:
    """`one`, with that share of `other`."""
    mixed = [a + (b - a) * share for a, b in zip(one, other, strict=True)]
    return mixed[0], mixed[1], mixed[2]


def _linear(channel: int) -> float:
    value = channel / 255
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


def _encoded(value: float) -> int:
    value = min(max(value, 0.0), 1.0)
    return round(255 * (12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055))


def _luminance(color: Color) -> float:
    red, green, blue = map(_linear, color.rgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _to_oklab(color: Color) -> _Lab:
    """Source: B. Ottosson, "A perceptual color space for image processing" (2020)."""
    red, green, blue = map(_linear, color.rgb)
    long = math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue)
    medium = math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue)
    short = math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )


def _from_oklab(lab: _Lab) -> Color:
    lightness, a, b = lab
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return Color(
        _encoded(4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short),
        _encoded(-1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short),
        _encoded(-0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short),
    )


# -- text for Rich ---------------------------------------------------------------------------------------


def console_ground(console: Console) -> Color | None:
    """The terminal's background as far as it is known; None where it has 16 colours, or none."""
    if console.color_system in (None, "standard", "windows") or console.no_color:
        return None
    # Some terminals set "15;0": the last number is the background.
    is_light = os.environ.get("COLORFGBG", "").rpartition(";")[2] in _LIGHT_COLORFGBG
    return LIGHT_GROUND if is_light else DARK_GROUND


class TokenPaint:
    """Turns tokens into styled text as they arrive; a character waits until its last byte is there."""

    def __init__(self, *, ground: Color = DARK_GROUND, in_colour: bool = True) -> None:
        self._ground = ground if in_colour else None
        self._waiting: list[SampledToken] = []

    @classmethod
    def for_console(cls, console: Console) -> TokenPaint:
        """Colours as far as the terminal has them; attributes where it has 16 of them, or none."""
        ground = console_ground(console)
        return cls(ground=ground or DARK_GROUND, in_colour=ground is not None)

    def prompt(self, prompt: bytes) -> Text:
        return _styled_text(prompt, PROMPT_STYLE)

    def tokens(self, tokens: Iterable[SampledToken]) -> Text:
        """The text that is complete with these tokens."""
        painted = Text()
        for token in tokens:
            self._waiting.append(token)
            if not incomplete_tail(b"".join(waiting.bytes for waiting in self._waiting)):
                painted.append_text(self.rest())
        return painted

    def rest(self) -> Text:
        """The bytes that still wait, as they are."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return Text()
        data = b"".join(token.bytes for token in waiting)
        return _styled_text(data, self.style(math.prod(token.p for token in waiting)))

    def style(self, p: float) -> Style:
        """The style of a probability; expected text has none."""
        shade = shade_of(p)
        return Style() if self._ground is not None and shade == 0 else SURPRISE.style(shade, self._ground)

    def legend(self, width: int) -> Text:
        lead, entries = SURPRISE.fitting_legend(width, self._ground is not None)
        return Text.assemble(lead, *((f" {name} ", self.style(p)) for name, p in entries.items()))


def _styled_text(data: bytes, style: Style) -> Text:
    """Inert text; a space stays one, and a newline is visible and breaks the line."""
    text = Text()
    for glyph in glyphs(data):
        is_space = glyph.kind == "space" and glyph.text == "·"
        text.append(" " if is_space else glyph.text, style)
        if glyph.kind == "newline":
            text.append("\n")
    return text
