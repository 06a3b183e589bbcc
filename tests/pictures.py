"""`make pictures`: the README's pictures, made from the running app. Takes about two minutes.

The pictures are Textual's own SVG, without the fonts that it would fetch from elsewhere.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from pathlib import Path

from textual.pilot import Pilot

from femtotui.choices import Choices
from femtotui.desk import Desk
from femtotui.environment import limit_blas_threads
from femtotui.femto_app import FemtoApp
from femtotui.helm import Helm
from femtotui.presets import load_preset
from femtotui.settings import Settings
from femtotui.trainer import Trainer

DOCS = Path(__file__).parents[1] / "docs"
STEPS = 1500
"""By then entry 2 has learnt most of its words' rules, and the curve has a shape."""

FIRST_STEPS = 500
"""How far the run goes that is compared with."""


async def take_pictures(preset: str, size: tuple[int, int], theme: str) -> None:
    """Train `preset` twice in the app, the second time up to step `STEPS`, and keep its main screens."""
    with tempfile.TemporaryDirectory() as runs:
        desk = Desk(Path(runs), Trainer)
        desk.warm_up()
        app = FemtoApp(Helm(desk, Choices(load_preset(preset))), Settings(theme=theme))
        async with app.run_test(size=size) as pilot:
            await until_step(desk, preset, FIRST_STEPS)
            await press(pilot, "n")
            await until_step(desk, preset, STEPS)
            await press(pilot, "space")  # the pause is saved, and a last sample drawn
            keep(app, "train")
            await press(pilot, "o", "g", "left", "left")
            keep(app, "chart")
            await press(pilot, "escape", "escape", "e")
            keep(app, "edit")
            await press(pilot, "escape", "u", "space", "down", "c")
            keep(app, "compare")
        desk.close()


async def until_step(desk: Desk, preset: str, step: int) -> None:
    """Wait for the training."""
    while preset not in desk.places or desk.places[preset].view.step < step:
        await asyncio.sleep(0.1)


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Press keys, and give the screen time to come to rest."""
    for key in keys:
        await pilot.press(key)
        await asyncio.sleep(0.5)
    await asyncio.sleep(1.5)


def keep(app: FemtoApp, name: str) -> None:
    """Write the screen to docs/."""
    svg = re.sub(r"@font-face \{.*?\}", "", app.export_screenshot(), flags=re.DOTALL)
    (DOCS / f"{name}.svg").write_text(svg.replace("<text ", '<text xml:space="preserve" '), "utf-8")


def main() -> None:
    """Write every picture."""
    limit_blas_threads()
    DOCS.mkdir(exist_ok=True)
    asyncio.run(take_pictures("2", (120, 36), "textual-dark"))


if __name__ == "__main__":
    main()
