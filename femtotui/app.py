"""Opens the app. The trainer process is spawned first, before Textual and NumPy are imported here."""

from __future__ import annotations

import shlex
from pathlib import Path

from .desk import Desk
from .environment import limit_blas_threads
from .trainer import Trainer


def run_app(preset: str, *, recipe: str | None, seed: int | None, runs: Path, data: tuple[str, ...]) -> int:
    """Open the app, training `preset` at once. Returns its exit code, having printed where the run lies.

    Raises: FemtoError, before anything is drawn, for a preset or a setting that cannot be.
    """
    limit_blas_threads()
    desk = Desk(runs, Trainer)
    desk.warm_up()
    try:
        code = _open(desk, preset, recipe, seed, data)
    finally:
        desk.close()
    desk.take()
    line = farewell(desk)
    if line:
        print(line)
    return code


def _open(desk: Desk, preset: str, recipe: str | None, seed: int | None, data: tuple[str, ...]) -> int:
    from femtotui.presets import load_preset  # noqa: PLC0415  (the trainer starts meanwhile)

    from .choices import Choices  # noqa: PLC0415
    from .femto_app import FemtoApp  # noqa: PLC0415
    from .helm import Helm  # noqa: PLC0415

    choices = Choices(load_preset(preset), recipe=recipe, seed=seed, data=data)
    choices.config(choices.opening.key)
    app = FemtoApp(Helm(desk, choices))
    app.run()
    return app.return_code or 0


def farewell(desk: Desk) -> str:
    """The line that is left on the terminal: where the run lies and how to go on with it."""
    saved = [place.view.run for place in desk.places.values() if place.view.run is not None]
    run = desk.current.view.run if desk.current is not None else None
    if run is None:
        return f"{len(saved)} runs saved in {desk.runs}" if saved else ""
    more = f" (and {len(saved) - 1} more beside it)" if len(saved) > 1 else ""
    return f"Run saved in {run}{more}. To go on: femtotui train --resume {shlex.quote(run)}"
