"""Starting the app: the trainer process is spawned before Textual and NumPy are imported here."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from femtotui.core.errors import RunError

from ..blas.kernel import limit_blas_threads
from ..installation import config_folder, runs_folder
from ..runs.manager import RunManager
from ..trainer.client import Trainer

if TYPE_CHECKING:
    from femtotui.core.run_folder.catalog import RunSummary

    from ..runs.choices import Choices

DEFAULT_PRESET = "2"
_MOST_OPENED = 50
"""Most runs to look at for the one that was left, while the user waits."""


def run_app(
    target: str | None,
    *,
    browse: bool,
    recipe: str | None,
    seed: int | None,
    runs: Path,
    data: tuple[str, ...],
) -> int:
    """Open the app on a preset, a run, or what was left; print the run's folder at the end.

    Returns the exit code.

    Raises: FemtoError, before anything is drawn, if the target or an option is invalid.
    """
    limit_blas_threads()
    manager = RunManager(runs, Trainer)
    manager.warm_up()
    return _run(
        manager, lambda: _choices(target, runs, trains=not browse, recipe=recipe, seed=seed, data=data)
    )


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


def _choices(target: str | None, runs: Path, *, trains: bool, **options: Any) -> Choices:
    """What to open. Raises: FemtoError for a name that is neither a preset nor a run."""
    from femtotui.core.errors import UnknownPresetError  # noqa: PLC0415  (the trainer starts meanwhile)
    from femtotui.core.run_folder.catalog import find_run, summarise  # noqa: PLC0415
    from femtotui.presets import load_preset  # noqa: PLC0415

    from ..runs.choices import Choices, UserPresets, preset_of_run  # noqa: PLC0415

    user_presets = UserPresets(config_folder() / "presets")
    run = None
    if target is None and trains and not any(option not in (None, ()) for option in options.values()):
        run = _run_left(runs)
    if target in user_presets.saved:
        opening = user_presets.saved[target]
    else:
        try:
            opening = load_preset(target or DEFAULT_PRESET)
        except UnknownPresetError as unknown:
            try:
                run = summarise(find_run(runs, str(target)))
            except RunError:
                raise UnknownPresetError(f"{unknown}; nor is there a run of that name in {runs}") from None
    if run is not None:
        opening = preset_of_run(run.config)
    choices = Choices(opening, run=run, trains=trains, user_presets=user_presets, **options)
    choices.config(choices.opening.key)
    return choices


def _run_left(runs: Path) -> RunSummary | None:
    """The newest run that can be resumed, or else the newest that has finished; None if there is neither."""
    from femtotui.core.run_folder.catalog import list_runs  # noqa: PLC0415

    try:
        newest = [run for run in list_runs(runs, _MOST_OPENED) if run.info is not None and run.holder is None]
    except RunError:
        return None
    ready = [run for run in newest if run.can_continue] or [run for run in newest if run.finished]
    return ready[0] if ready else None


def _run(manager: RunManager, make_choices: Callable[[], Choices]) -> int:
    """Run the app, close the trainers whatever happens, and print the last line."""
    try:
        choices = make_choices()
        from ..runs.actions import RunActions  # noqa: PLC0415
        from .app import FemtoApp  # noqa: PLC0415  (Textual is imported while the trainer starts)
        from .settings import load_settings  # noqa: PLC0415

        settings = config_folder() / "settings.toml"
        app = FemtoApp(RunActions(manager, choices), load_settings(settings), settings)
        app.run()
    finally:
        manager.close()
    manager.collect()
    if line := farewell(manager):
        print(line)
    return app.return_code or 0


def farewell(manager: RunManager) -> str:
    """The last line on the terminal: where the run is saved and how to resume it."""
    from ..runs.state import Status  # noqa: PLC0415
    from ..runs.verdict import too_early_words  # noqa: PLC0415  (NumPy comes with it)

    saved = [handle.state.run for handle in manager.handles.values() if handle.state.run is not None]
    current = manager.current
    run = current.state.run if current is not None else None
    if current is None or run is None:
        return f"{len(saved)} runs saved in {manager.runs}" if saved else ""
    name = shlex.quote(Path(run).name if Path(run).parent == runs_folder() else run)
    if current.detached_pid is not None:
        return (
            f"Run {run} continues without the app (process {current.detached_pid}). "
            f"To open it again: femtotui attach {name}"
        )
    early = too_early_words(current.state)
    more = f" (and {len(saved) - 1} more)" if len(saved) > 1 else ""
    too_early = f" ({early})" if early else ""
    what = "To look at it again" if current.state.status is Status.FINISHED else "To resume"
    return f"Run saved in {run}{more}{too_early}. {what}: femtotui {name}"
