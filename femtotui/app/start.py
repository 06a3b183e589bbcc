"""Starting the app: the trainer process is spawned before Textual and NumPy are imported here."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..blas.kernel import limit_blas_threads
from ..installation import config_folder, runs_folder
from ..runs.manager import RunManager
from ..trainer.client import Trainer

if TYPE_CHECKING:
    from ..runs.choices import Choices


def run_app(preset: str, *, recipe: str | None, seed: int | None, runs: Path, data: tuple[str, ...]) -> int:
    """Open the app and train `preset`; print the run's folder at the end. Returns the exit code.

    Raises: FemtoError, before anything is drawn, if the preset or an option is invalid.
    """
    limit_blas_threads()
    manager = RunManager(runs, Trainer)
    manager.warm_up()
    return _run(manager, lambda: _choices(preset, recipe, seed, data))


def attach_app(run: Path) -> int:
    """Open the app on a detached run. Returns the exit code.

    Raises: FemtoError, before anything is drawn, if no trainer of the run can be reached.
    """
    limit_blas_threads()
    from femtotui.core.run_folder.info import read_info  # noqa: PLC0415

    from ..runs.choices import Choices, preset_of_run  # noqa: PLC0415
    from ..trainer.remote import RemoteProcess  # noqa: PLC0415

    config = read_info(run).config
    manager = RunManager(run.parent, Trainer)
    manager.attach(config, lambda listener: Trainer(listener, RemoteProcess(run)))
    return _run(manager, lambda: Choices(preset_of_run(config)))


def _choices(preset: str, recipe: str | None, seed: int | None, data: tuple[str, ...]) -> Choices:
    from femtotui.presets import load_preset  # noqa: PLC0415  (the trainer starts meanwhile)

    from ..runs.choices import Choices, UserPresets  # noqa: PLC0415

    user_presets = UserPresets(config_folder() / "presets")
    opening = user_presets.saved[preset] if preset in user_presets.saved else load_preset(preset)
    choices = Choices(opening, recipe=recipe, seed=seed, data=data, user_presets=user_presets)
    choices.config(choices.opening.key)
    return choices


def _run(manager: RunManager, make_choices: Callable[[], Choices]) -> int:
    """Run the app, close the trainers whatever happens, and print the last line."""
    try:
        choices = make_choices()
        from ..runs.actions import RunActions  # noqa: PLC0415
        from .app import FemtoApp  # noqa: PLC0415  (Textual is imported while the trainer starts)
        from .settings import load_settings  # noqa: PLC0415

        app = FemtoApp(RunActions(manager, choices), load_settings(config_folder() / "settings.toml"))
        app.run()
    finally:
        manager.close()
    manager.collect()
    if line := farewell(manager):
        print(line)
    return app.return_code or 0


def farewell(manager: RunManager) -> str:
    """The last line on the terminal: where the run is saved and how to resume it."""
    from ..runs.verdict import too_early_words  # noqa: PLC0415  (NumPy comes with it)

    saved = [handle.state.run for handle in manager.handles.values() if handle.state.run is not None]
    current = manager.current
    run = current.state.run if current is not None else None
    if current is None or run is None:
        return f"{len(saved)} runs saved in {manager.runs}" if saved else ""
    if current.detached_pid is not None:
        name = shlex.quote(Path(run).name if Path(run).parent == runs_folder() else run)
        return (
            f"Run {run} continues without the app (process {current.detached_pid}). "
            f"To open it again: femtotui attach {name}"
        )
    early = too_early_words(current.state)
    more = f" (and {len(saved) - 1} more)" if len(saved) > 1 else ""
    too_early = f" ({early})" if early else ""
    return f"Run saved in {run}{more}{too_early}. To resume: femtotui train --resume {shlex.quote(run)}"
