"""Kills trainings at random moments, also inside writes, resumes them, and compares every bit at the end.

    python tests/proofs/killing.py --kills 200

A process of its own trains each time; SIGKILL comes from outside after a random while, or, every second time,
from inside at a random call that writes: before or after it, so that every state between is met.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from small_runs import ALL_CONFIGS, STEPS, Outcome, outcome_of, train_to_the_end

from femtotui.core.config import RunConfig
from femtotui.core.errors import RunError
from femtotui.core.run_folder.folder import RunFolder
from femtotui.trainer.session import continue_run, prepare

LONGEST_SECONDS = 0.35
WRITING_CALLS = ("fsync", "replace", "write", "ftruncate", "open", "rename")
MOST_CALLS = 400


@dataclass
class Tally:
    """What was done and seen."""

    kills: int = 0
    inside_writes: int = 0
    runs: int = 0
    begun_anew: int = 0
    resumed_at: list[int] = field(default_factory=list)


def kill_and_compare(kills: int, seed: int, folder: Path) -> Tally:
    """Kills `kills` times over as many runs as that takes. Raises: AssertionError if a bit differs."""
    rng, tally = random.Random(seed), Tally()
    expected: dict[int, Outcome] = {}
    while tally.kills < kills:
        number = tally.runs % len(ALL_CONFIGS)
        config = ALL_CONFIGS[number]
        if number not in expected:
            whole = prepare(config, folder / "whole")
            train_to_the_end(whole)
            expected[number] = outcome_of(whole.run.path)
        path = _train_killed_often(config, folder / f"killed-{tally.runs}", kills, rng, tally)
        _compare(outcome_of(path), expected[number], config)
        assert not list(path.rglob("*.tmp")), "a temporary file was left behind"
        tally.runs += 1
    return tally


def _compare(found: Outcome, expected: Outcome, config: RunConfig) -> None:
    what = f"{config.recipe.name}, {config.tokenizer.kind}"
    assert [step for step, _ in found.losses] == list(range(1, STEPS + 1)), f"{what}: rows are torn or double"
    assert found.evaluated == expected.evaluated, f"{what}: evaluations are missing or double"
    assert found.losses == expected.losses, f"{what}: a loss differs"
    assert found.parameters == expected.parameters, f"{what}: a parameter differs"


def _train_killed_often(config: RunConfig, runs: Path, kills: int, rng: random.Random, tally: Tally) -> Path:
    """Trains one run to its end, killed each time until then or until there were enough kills."""
    path: Path | None = None
    while True:
        killing = _nobody if tally.kills >= kills else _choose(rng, tally)
        known = _newest_checkpoint(path)
        killed = _train_in_child(partial(_session_work, config, runs, path), killing)
        found = sorted(runs.iterdir(), key=lambda run: run.stat().st_mtime_ns) if runs.exists() else []
        if not killed:
            return path or found[-1]
        tally.kills += 1
        if path is not None:
            assert _newest_checkpoint(path) >= known, "a checkpoint that was good is gone"
            tally.resumed_at.append(_newest_checkpoint(path))
        path = next((run for run in found if _newest_checkpoint(run) >= 0), None)
        tally.begun_anew += path is None


def _session_work(config: RunConfig, runs: Path, path: Path | None) -> None:
    train_to_the_end(prepare(config, runs) if path is None else continue_run(path))


def _newest_checkpoint(path: Path | None) -> int:
    if path is None:
        return -1
    try:
        there = RunFolder.open(path).checkpoint_paths()
    except RunError:  # killed while the folder was being made
        return -1
    return int(there[0].stem.removeprefix("step-")) if there else -1


Killing = Callable[[], float | None]
"""Arranges for a death inside this process, or says after how many seconds it is to come from outside."""


def _nobody() -> float | None:
    return None


def _choose(rng: random.Random, tally: Tally) -> Killing:
    if rng.random() < 0.5:
        seconds = rng.random() * LONGEST_SECONDS
        return lambda: seconds
    tally.inside_writes += 1
    calls, after = rng.randrange(1, MOST_CALLS), rng.random() < 0.5

    def arrange() -> float:
        _die_at_call(calls, after=after)
        return LONGEST_SECONDS * 4  # for one that has fewer calls than that

    return arrange


def _die_at_call(number: int, *, after: bool) -> None:
    """From now on the system calls that write are counted, and one of them is the last."""
    counted = [0]

    def deadly(call: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*arguments: object, **named: object) -> object:
            counted[0] += 1
            if counted[0] == number and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = call(*arguments, **named)
            if counted[0] == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return wrapped

    for name in WRITING_CALLS:
        setattr(os, name, deadly(getattr(os, name)))


def _train_in_child(work: Callable[[], None], killing: Killing) -> bool:
    """Whether the child was killed; one that fails in another way fails the test."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            seconds = killing()
            if seconds is not None:
                _kill_self_in(seconds)
            work()
            code = 0
        except BaseException as error:
            print(f"the child failed: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert killed or os.waitstatus_to_exitcode(status) == 0, "the child failed; its words are on stderr"
    return killed


def _kill_self_in(seconds: float) -> None:
    """A second child is the one that kills: no thread of the training's own has a say in it."""
    victim = os.getpid()
    if os.fork() == 0:
        time.sleep(seconds)
        if os.getppid() == victim:
            os.kill(victim, signal.SIGKILL)
        os._exit(0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        tally = kill_and_compare(options.kills, options.seed, Path(folder))
    print(
        f"{tally.kills} kills ({tally.inside_writes} at a call that writes) over {tally.runs} runs, "
        f"{tally.begun_anew} before their first checkpoint: every run equals the undisturbed one, "
        f"bit for bit ({time.monotonic() - begin:.0f} s)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
