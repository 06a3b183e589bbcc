"""The panels in the place of the chart, and their names on its frame."""

from __future__ import annotations

from typing import NamedTuple

from textual.content import Content

from ..chart.quantities import GRADIENT_NORM, LEARNING_RATE, LOSS, THROUGHPUT, Quantity


class Tab(NamedTuple):
    """A panel: a chart of a quantity, or without one the layers. `short` is its name in a small terminal."""

    name: str
    short: str
    quantity: Quantity | None = None


_SHORT = {LOSS: "loss", LEARNING_RATE: "rate", GRADIENT_NORM: "gradient", THROUGHPUT: "speed"}
TABS = (*(Tab(quantity.name, short, quantity) for quantity, short in _SHORT.items()), Tab("layers", "layers"))


def tab_line(current: int, width: int) -> Content:
    """The names, of which a click chooses one; where not even the short ones fit, the current one alone."""
    for names in ([tab.name for tab in TABS], [tab.short for tab in TABS]):
        for separator in (" · ", " "):
            if sum(map(len, names)) + len(separator) * (len(TABS) - 1) <= width:
                return Content(separator).join(_name(names[i], i, i == current) for i in range(len(TABS)))
    return Content.assemble((TABS[current].short, "bold underline"), f" {current + 1}/{len(TABS)}")


def _name(name: str, number: int, is_current: bool) -> Content:
    style = "bold underline $text" if is_current else ""
    return Content.from_markup(f"[@click=screen.panel({number})]$name[/]", name=name).stylize(style)
