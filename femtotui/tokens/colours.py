"""Colours for probabilities: from the theme's own ground for the expected to a bright mark for a surprise.

The scale runs over lightness and from blue to yellow, which every common kind of colour vision can follow
(as in Nuñez, Anderton and Renslow, "cividis", PLoS ONE 2018), and it is even in OKLab (Ottosson, 2020).
Its unit is surprise, -log2 p: each halving of a probability is one step of the same size.
"""

from __future__ import annotations

import math
from functools import lru_cache

from textual.color import Color

SCALE_BITS = 7.0
N_SHADES = 29

_DARK_ANCHORS = ("#10306b", "#1f8a8c", "#fde725")
_LIGHT_ANCHORS = ("#f4f3c8", "#58a9a0", "#13245e")
_GROUND_SHARE = 0.72

DIFFERENCE_BITS = 4.0
N_DIFFERENCES = 7
"""Shades on either side of no difference."""

# Blue and orange: kept apart by every common kind of colour vision.
_DARK_SIDES = ("#f29a3f", "#4aa3ff")
_LIGHT_SIDES = ("#b35806", "#1f5fb4")

_Lab = tuple[float, float, float]


def shade_of(p: float) -> int:
    """The shade for a probability: 0 is certain, N_SHADES - 1 a great surprise (or not a probability)."""
    if not p > 0:
        return N_SHADES - 1
    position = min(max(-math.log2(p) / SCALE_BITS, 0.0), 1.0)
    return round(position * (N_SHADES - 1))


@lru_cache(maxsize=64)
def shades(ground: Color) -> tuple[Color, ...]:
    """All shades on a theme's background colour; the first are close to it, the last stands out most."""
    anchors = _DARK_ANCHORS if ground.brightness < 0.5 else _LIGHT_ANCHORS
    return tuple(_shade(ground, anchors, index / (N_SHADES - 1)) for index in range(N_SHADES))


def difference_shade_of(bits: float) -> int:
    """The shade for a difference of surprise in bits: from -N_DIFFERENCES to N_DIFFERENCES, 0 is none."""
    if math.isnan(bits):
        return 0
    return round(min(max(bits / DIFFERENCE_BITS, -1.0), 1.0) * N_DIFFERENCES)


@lru_cache(maxsize=64)
def difference_shades(ground: Color) -> tuple[Color, ...]:
    """Shades from orange (negative) through the ground (no difference) to blue (positive)."""
    sides = _DARK_SIDES if ground.brightness < 0.5 else _LIGHT_SIDES
    minus, plus = (_to_oklab(Color.parse(side)) for side in sides)
    middle = _to_oklab(ground)
    shares = [index / N_DIFFERENCES for index in range(1, N_DIFFERENCES + 1)]
    below = [_from_oklab(_mix(middle, minus, share)) for share in reversed(shares)]
    above = [_from_oklab(_mix(middle, plus, share)) for share in shares]
    return (*below, ground, *above)


def text_on(background: Color) -> Color:
    """Black or white, whichever is easier to read on `background`."""
    return max(Color(0, 0, 0), Color(255, 255, 255), key=lambda color: contrast(color, background))


def contrast(one: Color, other: Color) -> float:
    """The contrast ratio of two colours, 1 to 21 (WCAG 2.1)."""
    bright, dim = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def _shade(ground: Color, anchors: tuple[str, ...], position: float) -> Color:
    place = position * (len(anchors) - 1)
    index = min(int(place), len(anchors) - 2)
    lower, upper = (_to_oklab(Color.parse(anchor)) for anchor in anchors[index : index + 2])
    color = _mix(lower, upper, place - index)
    return _from_oklab(_mix(color, _to_oklab(ground), _GROUND_SHARE * (1 - position)))


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
