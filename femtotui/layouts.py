"""At which sizes of the terminal the screens change their layout: classes that the stylesheet goes by."""

from __future__ import annotations

WIDTHS = [(0, "-tiny"), (72, "-narrow"), (100, "-wide"), (160, "-huge")]
HEIGHTS = [(0, "-flat"), (20, "-short"), (30, "-tall")]
