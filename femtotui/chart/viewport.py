"""The visible part of a chart: everything, or a window set by zooming and moving."""

from __future__ import annotations

from dataclasses import dataclass

Range = tuple[float, float]

ZOOM = 0.6
"""The share of a range that remains after zooming in once."""

DEEPEST = 1e-6
"""The smallest share of the whole range, limited by the precision of numbers."""


@dataclass(frozen=True)
class Viewport:
    """A window on a chart; None is an axis that shows everything, including new points.

    x in steps or seconds, y on the drawn axis (on a logarithmic one, logarithms).
    """

    x: Range | None = None
    y: Range | None = None

    @property
    def is_whole(self) -> bool:
        return self.x is None and self.y is None

    def zoomed_x(self, whole: Range, factor: float, at: float) -> Viewport:
        """x made `factor` times as wide with `at` fixed; None once it is as wide as everything."""
        return Viewport(_zoomed(self.x or whole, whole, factor, at, within=True), self.y)

    def zoomed_y(self, whole: Range, factor: float) -> Viewport:
        """y made `factor` times as high about its middle."""
        low, high = self.y or whole
        return Viewport(self.x, _zoomed((low, high), whole, factor, (low + high) / 2, within=False))

    def moved_x(self, whole: Range, share: float) -> Viewport:
        """x moved by a share of its width, not beyond the ends."""
        if self.x is None:
            return self
        width = self.x[1] - self.x[0]
        low = min(max(self.x[0] + share * width, whole[0]), max(whole[1] - width, whole[0]))
        return Viewport((low, low + width), self.y)

    def moved_y(self, share: float) -> Viewport:
        """y moved up by a share of its height."""
        if self.y is None:
            return self
        by = share * (self.y[1] - self.y[0])
        return Viewport(self.x, (self.y[0] + by, self.y[1] + by))

    def holding(self, x: float, whole: Range) -> Viewport:
        """Moved as far as necessary to make `x` visible."""
        if self.x is None or self.x[0] <= x <= self.x[1]:
            return self
        width = self.x[1] - self.x[0]
        by = x - (self.x[0] if x < self.x[0] else self.x[1])
        return self.moved_x(whole, by / width)


def _zoomed(now: Range, whole: Range, factor: float, at: float, *, within: bool) -> Range | None:
    extent = whole[1] - whole[0]
    width = max((now[1] - now[0]) * factor, extent * DEEPEST)
    if width >= extent * 0.999:
        return None
    at = min(max(at, now[0]), now[1])
    share = (at - now[0]) / (now[1] - now[0])
    low = at - share * width
    if within:
        low = min(max(low, whole[0]), whole[1] - width)
    return low, low + width
