"""A training so small that a test may start it many times: one layer, width 8, about a millisecond a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from queue import SimpleQueue

from tiny_config import tiny_config

from femtotui.core.commands import Steering
from femtotui.core.config import AdamWConfig, RunConfig, ScheduleConfig, TrainConfig
from femtotui.core.events import Event, StepDone
from femtotui.core.run_folder.folder import RunFolder
from femtotui.core.run_folder.recorder import record
from femtotui.core.tokenizers import build_tokenizer
from femtotui.core.training.batches import Source
from femtotui.core.training.training import Training


def small_config(steps: int = 6, *, base_lr: float = 0.01, **train: float) -> RunConfig:
    settings = {"batch": 2, "threads": 1, "eval_every": 4, "eval_windows": 2, **train}
    return tiny_config(
        TrainConfig(steps=steps, **settings),
        tokenizer="char",
        optimizer=AdamWConfig(clip_norm=1.0),
        schedule=ScheduleConfig(base_lr=base_lr, warmup_steps=2, decay_steps=None),
    )


def small_source() -> Source:
    text = b"bacedi;\nhokuba;\ngifude;\n" * 40
    return Source(
        name="words",
        train=text,
        validation=text[:240],
        notes=("a stand-in",),
        command="by hand",
        floor=None,
        fresh=None,
    )


def small_training(config: RunConfig | None = None) -> Training:
    config, source = config or small_config(), small_source()
    return Training(config, source, build_tokenizer(config.tokenizer, source.train))


def small_run(runs: Path, config: RunConfig | None = None) -> tuple[RunFolder, Training]:
    training = small_training(config)
    tokenizer, source, bytes_per_token = training.tokenizer, training.source, training.batches.bytes_per_token
    return RunFolder.create(runs, training.config, tokenizer, source, bytes_per_token), training


def resumed_run(path: Path) -> tuple[RunFolder, Training]:
    """What the session does to go on with a run, without presets."""
    run = RunFolder.open(path)
    training = Training(run.config, small_source(), run.tokenizer())
    saved, _ = run.load_newest(training.tensors())
    training.restore(saved.tensors, saved.step, saved.elapsed_s)
    run.cut_after(saved.step)
    return run, training


def record_all(run: RunFolder, training: Training, *commands: Steering) -> list[Event]:
    """Every event of a training for which all commands are waiting from the beginning."""
    waiting: SimpleQueue[Steering] = SimpleQueue()
    for command in commands:
        waiting.put(command)
    return list(record(run, training, waiting))


def record_doing(
    run: RunFolder, training: Training, actions: Mapping[int, Steering | Callable[[], object]]
) -> list[Event]:
    """Every event of a training; after a step of `actions`, its command is sent or its function called."""
    commands: SimpleQueue[Steering] = SimpleQueue()
    events = []
    for event in record(run, training, commands):
        events.append(event)
        action = actions.get(event.step) if isinstance(event, StepDone) else None
        if callable(action):
            action()
        elif action is not None:
            commands.put(action)
    return events


def rows(path: Path) -> list[list[str]]:
    """The rows of a CSV file below its header; every line must be whole."""
    text = path.read_text()
    assert text.endswith("\n")
    return [line.split(",") for line in text.splitlines()[1:]]
