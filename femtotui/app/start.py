"""Opens the app. The trainer process is spawned first, before Textual and NumPy are imported here."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from ..blas.kernel import limit_blas_threads
from ..paths import config_folder, runs_folder
from ..runs.manager import RunManager
from ..trainer.client import Trainer

if TYPE_CHECKING:
    from ..runs.choices import Choices


def run_app(preset: str, *, recipe: str | None, seed: int | None, runs: Path, data: tuple[str, ...]) -> int:
    """Open the app, training `preset` at once. Returns its exit code, having printed where the run lies.

    Raises: FemtoError, before anything is drawn, for a preset or a setting that cannot be.
    """
    limit_blas_threads()
    manager = RunManager(runs, Trainer)
    manager.warm_up()
    try:
        code = _open(manager, preset, recipe, seed, data)
    finally:
        manager.close()
    manager.collect()
    line = farewell(manager)
    if line:
        print(line)
    return code


def attach_app(run: Path) -> int:
    """Open the app on a run whose trainer goes on without one. Returns its exit code.

    Raises: FemtoError, before anything is drawn, if nobody trains it or the trainer cannot be reached.
    """
    limit_blas_threads()
    from femtotui.core.run_folder.info import read_info  # noqa: PLC0415

    from ..runs.choices import Choices, preset_of_run  # noqa: PLC0415
    from ..trainer.remote import RemoteProcess  # noqa: PLC0415

    config = read_info(run).config
    manager = RunManager(run.parent, Trainer)
    manager.attach(config, lambda listener: Trainer(listener, RemoteProcess(run)))
    try:
        code = _show(manager, Choices(preset_of_run(config)))
    finally:
        manager.close()
    manager.collect()
    print(farewell(manager))
    return code


def _open(
    manager: RunManager, preset: str, recipe: str | None, seed: int | None, data: tuple[str, ...]
) -> int:
    from femtotui.presets import load_preset  # noqa: PLC0415  (the trainer starts meanwhile)

    from ..runs.choices import Choices, UserPresets  # noqa: PLC0415

    user_presets = UserPresets(config_folder() / "presets")
    opening = user_presets.saved[preset] if preset in user_presets.saved else load_preset(preset)
    choices = Choices(opening, recipe=recipe, seed=seed, data=data, user_presets=user_presets)
    choices.config(choices.opening.key)
    return _show(manager, choices)


def _show(manager: RunManager, choices: Choices) -> int:
    from ..runs.actions import RunActions  # noqa: PLC0415
    from .app import FemtoApp  # noqa: PLC0415  (Textual is imported while the trainer starts)
    from .settings import load_settings  # noqa: PLC0415

    app = FemtoApp(RunActions(manager, choices), load_settings(config_folder() / "settings.toml"))
    app.run()
    return app.return_code or 0


def farewell(manager: RunManager) -> str:
    """The line that is left on the terminal: where the run lies and how to go on with it."""
    from ..runs.verdict import too_early_words  # noqa: PLC0415  (NumPy comes with it)

    saved = [handle.state.run for handle in manager.handles.values() if handle.state.run is not None]
    run = manager.current.state.run if manager.current is not None else None
    if run is None:
        return f"{len(saved)} runs saved in {manager.runs}" if saved else ""
    if manager.current is not None and manager.current.detached_pid is not None:
        name = shlex.quote(Path(run).name if Path(run).parent == runs_folder() else run)
        return (
            f"Run {run} goes on without the app (process {manager.current.detached_pid}). "
            f"To see it again: femtotui attach {name}"
        )
    early = too_early_words(manager.current.state) if manager.current is not None else ""
    more = f" (and {len(saved) - 1} more beside it)" if len(saved) > 1 else ""
    too_early = f" ({early})" if early else ""
    return f"Run saved in {run}{more}{too_early}. To go on: femtotui train --resume {shlex.quote(run)}"
