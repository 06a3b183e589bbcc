"""`make pictures`: the README's pictures, made from the running app. Takes about a minute.

The picture is Textual's own SVG, without the fonts that it would fetch from elsewhere.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from pathlib import Path

from femtotui.choices import Choices
from femtotui.desk import Desk
from femtotui.environment import limit_blas_threads
from femtotui.femto_app import FemtoApp
from femtotui.helm import Helm
from femtotui.presets import load_preset
from femtotui.trainer import Trainer

DOCS = Path(__file__).parents[1] / "docs"
STEPS = 1500
"""By then entry 2 has learnt most of its words' rules, and the curve has a shape."""


async def picture_of(preset: str, size: tuple[int, int], theme: str) -> str:
    """Train `preset` in the app until step `STEPS`, and return the screen as SVG."""
    with tempfile.TemporaryDirectory() as runs:
        desk = Desk(Path(runs), Trainer)
        desk.warm_up()
        app = FemtoApp(Helm(desk, Choices(load_preset(preset))))
        async with app.run_test(size=size) as pilot:
            app.theme = theme
            while preset not in desk.places or desk.places[preset].view.step < STEPS:
                await asyncio.sleep(0.1)
            await pilot.press("space")
            await asyncio.sleep(2)  # the pause is saved, and a last sample drawn
            svg = app.export_screenshot()
        desk.close()
    return re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL).replace(
        "<text ", '<text xml:space="preserve" '
    )


def main() -> None:
    """Write every picture."""
    limit_blas_threads()
    DOCS.mkdir(exist_ok=True)
    for name, preset, size, theme in (("train", "2", (120, 36), "textual-dark"),):
        (DOCS / f"{name}.svg").write_text(asyncio.run(picture_of(preset, size, theme)), "utf-8")


if __name__ == "__main__":
    main()
