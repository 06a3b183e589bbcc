"""Run folders on disk, as a finished training leaves them, without training anything."""

from __future__ import annotations

from pathlib import Path

from fake_trainer import resolved, steps

from femtotui.core.config import RunConfig
from femtotui.core.events import ScoreDone
from femtotui.core.run_folder.folder import RunFolder
from femtotui.core.tokenizers import build_tokenizer
from femtotui.core.training.batches import Source
from femtotui.experiments.experiment import trial_folder
from femtotui.presets import load_preset, run_config


def make_run(runs: Path, key: str = "2", last: int = 200, seed: int = 0, *, saved: bool = True) -> Path:
    """A run of a preset up to step `last`, with its rows and, if `saved`, what looks like a checkpoint."""
    config = resolved(run_config(load_preset(key), seed=seed))
    source = Source(
        name=config.data.source, train=b"abc;\n", validation=b"abc;\n", notes=(), command="true", floor=1.2,
        fresh=None,
    )  # fmt: skip
    folder = RunFolder.create(runs, config, build_tokenizer(config.tokenizer, source.train), source, 1.0)
    for event in steps(1, last):
        folder.append(event)
    folder.flush()
    if saved:
        (folder.path / "checkpoints" / f"step-{last}.safetensors").write_bytes(b"")
    return folder.path


def score_done(step: int, share: float) -> ScoreDone:
    return ScoreDone(
        step=step,
        evaluator="simple_dummy",
        score=share,
        unit="share",
        verdict="success" if share >= 0.9 else "fail",
        summary=f"{share:.0%}",
        details={},
        thorough=True,
    )


def trial_on_disk(config: RunConfig, runs: Path, share: float | None = None, last: int = 0) -> Path:
    """A run of these settings: finished and judged, or left at step `last`."""
    folder, config = trial_folder(config, runs), resolved(config)
    source = Source(name=config.data.source, train=b"abc;\n", validation=b"abc;\n", command="true")
    run = RunFolder.create(folder, config, build_tokenizer(config.tokenizer, source.train), source, 1.0)
    last = last or config.train.steps
    for event in steps(1, last):
        run.append(event)
    if share is not None:
        run.append(score_done(last, share))
    run.flush()
    (run.path / "checkpoints" / f"step-{last}.safetensors").write_bytes(b"")
    return run.path
