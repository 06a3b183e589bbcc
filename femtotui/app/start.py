"""Opens the app. The trainer process is spawned first, before Textual and NumPy are imported here."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from .desk import Desk
from .environment import limit_blas_threads
from .paths import config_folder, runs_folder
from .trainer import Trainer

if TYPE_CHECKING:
    from .choices import Choices


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


def attach_app(run: Path) -> int:
    """Open the app on a run whose trainer goes on without one. Returns its exit code.

    Raises: FemtoError, before anything is drawn, if nobody trains it or the trainer cannot be reached.
    """
    limit_blas_threads()
    from femtotui.core.run_info import read_info  # noqa: PLC0415

    from .attached import AttachedTrainer  # noqa: PLC0415
    from .choices import Choices, preset_of_run  # noqa: PLC0415

    config = read_info(run).config
    desk = Desk(run.parent, Trainer)
    desk.attach(config, lambda listener: AttachedTrainer(run, listener))
    try:
        code = _show(desk, Choices(preset_of_run(config)))
    finally:
        desk.close()
    desk.take()
    print(farewell(desk))
    return code


def _open(desk: Desk, preset: str, recipe: str | None, seed: int | None, data: tuple[str, ...]) -> int:
    from femtotui.presets import load_preset  # noqa: PLC0415  (the trainer starts meanwhile)

    from .choices import Choices  # noqa: PLC0415
    from .own_presets import Shelf  # noqa: PLC0415

    shelf = Shelf(config_folder() / "presets")
    opening = shelf.saved[preset] if preset in shelf.saved else load_preset(preset)
    choices = Choices(opening, recipe=recipe, seed=seed, data=data, shelf=shelf)
    choices.config(choices.opening.key)
    return _show(desk, choices)


def _show(desk: Desk, choices: Choices) -> int:
    from .femto_app import FemtoApp  # noqa: PLC0415  (Textual is imported while the trainer starts)
    from .helm import Helm  # noqa: PLC0415
    from .settings import load_settings  # noqa: PLC0415

    app = FemtoApp(Helm(desk, choices), load_settings(config_folder() / "settings.toml"))
    app.run()
    return app.return_code or 0


def farewell(desk: Desk) -> str:
    """The line that is left on the terminal: where the run lies and how to go on with it."""
    from .run_verdict import too_early_words  # noqa: PLC0415  (NumPy comes with it)

    saved = [place.view.run for place in desk.places.values() if place.view.run is not None]
    run = desk.current.view.run if desk.current is not None else None
    if run is None:
        return f"{len(saved)} runs saved in {desk.runs}" if saved else ""
    if desk.current is not None and desk.current.detached_pid is not None:
        name = shlex.quote(Path(run).name if Path(run).parent == runs_folder() else run)
        return (
            f"Run {run} goes on without the app (process {desk.current.detached_pid}). "
            f"To see it again: femtotui attach {name}"
        )
    early = too_early_words(desk.current.view) if desk.current is not None else ""
    more = f" (and {len(saved) - 1} more beside it)" if len(saved) > 1 else ""
    too_early = f" ({early})" if early else ""
    return f"Run saved in {run}{more}{too_early}. To go on: femtotui train --resume {shlex.quote(run)}"
