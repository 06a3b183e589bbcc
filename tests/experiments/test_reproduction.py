"""The journal's entries trained again: resumable, judged by measure, misses shown as misses."""

from __future__ import annotations

import json
from pathlib import Path
from queue import SimpleQueue

import msgspec
import pytest
from rich.console import Console

from femtotui.cli.main import main
from femtotui.cli.reproduce import reproduce_table
from femtotui.core.commands import Steering, Stop
from femtotui.core.config import ModelConfig
from femtotui.core.errors import RunError
from femtotui.core.events import Event, StepDone
from femtotui.experiments.reproduction import Interrupted, ReproductionResult, reproduce
from femtotui.presets import Goal, Peer, Preset, list_presets, load_preset


def small(goal: Goal, journal_step: int = 3, steps: int = 5) -> Preset:
    """Entry 10's record on a model that a test has time for."""
    entry = load_preset("10")
    assert entry.journal is not None
    return msgspec.structs.replace(
        entry,
        model=ModelConfig(n_layers=1, width=8, n_heads=1, context=8, vocab_size=256),
        batch=2,
        steps=steps,
        goal=goal,
        journal=msgspec.structs.replace(entry.journal, step=journal_step),
    )


class Recorder:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    @property
    def steps(self) -> int:
        return sum(isinstance(event, StepDone) for event in self.events)


UNREACHABLE = Goal(seconds=10, score=1.0)
REACHED_AT_ONCE = Goal(seconds=10, score=1e-9)


def test_a_goal_missed_at_the_journals_step_is_tried_at_the_usual_steps(tmp_path: Path) -> None:
    watch = Recorder()
    outcome = reproduce(small(UNREACHABLE), "modern", 0, tmp_path, watch, SimpleQueue())
    assert watch.steps == 3 + 5
    assert (outcome.verdict, outcome.steps_to_success, outcome.seconds_to_success) == ("fail", None, None)
    assert outcome.goal == "at least 100%"
    assert outcome.journal_step == 3
    assert 0 < outcome.loss_at_journal_step < 6


def test_what_is_finished_is_not_trained_again(tmp_path: Path) -> None:
    first = reproduce(small(UNREACHABLE), "modern", 0, tmp_path, Recorder(), SimpleQueue())
    watch = Recorder()
    again = reproduce(small(UNREACHABLE), "modern", 0, tmp_path, watch, SimpleQueue())
    assert watch.steps == 0
    assert again == first
    reproduce(small(UNREACHABLE), "modern", 1, tmp_path, watch, SimpleQueue())
    assert watch.steps == 8


def test_a_stop_is_saved_and_the_same_request_goes_on(tmp_path: Path) -> None:
    commands: SimpleQueue[Steering] = SimpleQueue()
    watch = Recorder()

    def stop_after_two(event: Event) -> None:
        watch(event)
        if watch.steps == 2:
            commands.put(Stop())

    with pytest.raises(Interrupted):
        reproduce(small(UNREACHABLE), "modern", 0, tmp_path, stop_after_two, commands)
    assert watch.steps == 2
    rest = Recorder()
    reproduce(small(UNREACHABLE), "modern", 0, tmp_path, rest, SimpleQueue())
    assert rest.steps == 1 + 5


def test_the_journals_recipe_stops_where_the_journal_did(tmp_path: Path) -> None:
    watch = Recorder()
    outcome = reproduce(small(UNREACHABLE), "journal", 0, tmp_path, watch, SimpleQueue())
    assert watch.steps == 3
    assert outcome.recipe == "journal"


def test_success_says_after_how_many_steps_and_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("femtotui.experiments.experiment.reaches", lambda _goal, score: score.step == 5)
    outcome = reproduce(small(REACHED_AT_ONCE), "modern", 0, tmp_path, Recorder(), SimpleQueue())
    assert (outcome.verdict, outcome.steps_to_success) == ("success", 5)
    assert outcome.seconds_to_success is not None
    assert outcome.seconds_to_success > 0


def test_a_preset_without_a_record_is_trained_once_and_set_beside_its_peer(tmp_path: Path) -> None:
    watch = Recorder()
    peer = Peer(name="nobody", val_loss=6.0, note="knows nothing", elapsed_s=76)
    own = msgspec.structs.replace(small(UNREACHABLE), journal=None, peer=peer)
    outcome = reproduce(own, "modern", 0, tmp_path, watch, SimpleQueue())
    assert (watch.steps, outcome.steps) == (5, 5)
    assert (outcome.journal_step, outcome.loss_at_journal_step) == (None, None)
    assert (outcome.peer, outcome.peer_loss) == ("nobody", 6.0)
    assert outcome.seconds_to_peer is not None
    console = Console(width=160, record=True, file=(tmp_path / "out").open("w"))
    console.print(reproduce_table([outcome]))
    text = console.export_text()
    assert "nobody: 6.0000, 1m 16s" in text
    assert f"its loss after {outcome.seconds_to_peer:.1f} s" in text


def test_several_seeds_are_summed_up_as_median_and_spread(tmp_path: Path) -> None:
    outcome = reproduce(small(UNREACHABLE), "modern", 0, tmp_path, Recorder(), SimpleQueue())
    seeds = [
        msgspec.structs.replace(outcome, seed=i, loss_at_journal_step=loss, score_at_journal_step=i / 10)
        for i, loss in enumerate((1.5, 1.25, 1.75))
    ]
    console = Console(width=240, record=True, file=(tmp_path / "out").open("w"))
    console.print(reproduce_table(seeds))
    text = console.export_text()
    assert "modern, median of 3" in text
    assert "1.5000 [1.2500 to 1.7500], 10.0% [0.0% to 20.0%]" in text
    assert "0 of 3 succeed" in text


def test_a_preset_without_a_goal_has_nothing_to_reproduce(tmp_path: Path) -> None:
    own = msgspec.structs.replace(small(UNREACHABLE), goal=None)
    with pytest.raises(RunError, match="nothing to reproduce"):
        reproduce(own, "modern", 0, tmp_path, Recorder(), SimpleQueue())


def test_every_preset_has_a_goal_and_a_result_to_compare_with() -> None:
    for preset in list_presets():
        assert preset.goal is not None
        assert (preset.journal is None) != (preset.peer is None)


def test_misses_and_slow_successes_show_in_the_table(tmp_path: Path) -> None:
    outcome = reproduce(small(UNREACHABLE), "modern", 0, tmp_path, Recorder(), SimpleQueue())
    slow = msgspec.structs.replace(
        outcome, entry="9", verdict="success", steps_to_success=5, seconds_to_success=99.0
    )
    console = Console(width=160, record=True, file=(tmp_path / "out").open("w"))
    console.print(reproduce_table([outcome, slow]))
    text = console.export_text()
    assert "fail: at least 100% wanted" in text
    assert "allowed: 0m 10s" in text


def test_the_command_prints_an_object_an_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setattr("femtotui.presets.load_preset", lambda _key: small(UNREACHABLE))
    assert main(["reproduce", "10", "--recipe", "both", "--json", "--runs", str(tmp_path)]) == 0
    lines = capfdbinary.readouterr().out.splitlines()
    outcomes = [msgspec.json.decode(line, type=ReproductionResult) for line in lines]
    assert [o.recipe for o in outcomes] == ["journal", "modern"]
    assert set(json.loads(lines[0])) >= {"entry", "seed", "journal_step", "score_at_journal_step", "val_loss"}


@pytest.mark.parametrize(
    "arguments",
    [["15"], ["2", "--recipe", "old"], ["2", "--seeds", "0"], ["2", "--seeds", "2", "--seed", "1"]],
)
def test_mistakes_are_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", *arguments]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_settings_name_the_folder() -> None:
    from femtotui.experiments.experiment import trial_folder  # noqa: PLC0415
    from femtotui.presets import run_config  # noqa: PLC0415

    preset = small(UNREACHABLE)
    names = {
        trial_folder(config, Path("runs"))
        for config in (
            run_config(preset),
            run_config(preset, seed=1),
            run_config(preset, steps=4),
            run_config(preset, recipe="journal"),
            msgspec.structs.replace(run_config(preset), title="another"),
        )
    }
    assert len(names) == 5
    assert {name.parent for name in names} == {Path("runs/reproduce")}
