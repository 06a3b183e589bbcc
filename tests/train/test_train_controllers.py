"""The controllers of the Train screen, without a screen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest
from fake_trainer import FakeFleet
from run_folders import make_run, trial_on_disk

from femtotui.chart.frame_data import MAX_OVERLAYS
from femtotui.chart.glyphs import BRAILLE
from femtotui.core.commands import Pause, Resume, Snapshot
from femtotui.core.errors import FemtoError
from femtotui.edit.edit_screen import EditAnswer, EditScreen
from femtotui.experiments.experiment_screen import ExperimentScreen
from femtotui.presets import list_presets, load_preset
from femtotui.runs import choices as choices_module
from femtotui.runs.actions import RunActions, StatusMessage
from femtotui.runs.choices import Choices
from femtotui.runs.library import read_rows
from femtotui.runs.manager import RunManager
from femtotui.runs.run_list import Rows, RunListUpdater
from femtotui.runs.state import Status
from femtotui.sampling.sample_pane import SamplePane
from femtotui.text.formats import Tone
from femtotui.train import download as download_module
from femtotui.train.download import Answer, EnglishDownload, EnglishQuestion
from femtotui.train.header import RunNews
from femtotui.train.open_experiments import OpenExperiments
from femtotui.train.overlays import Overlays
from femtotui.train.preset_list import PresetMarks, PresetNumber, Verdicts, edit_preset
from femtotui.train.run_pane import LiveSamples
from femtotui.trainer.protocol import SnapshotArrived


class Heard(list[str]):
    """Collects what a controller says."""

    def say(self, words: str, tone: Tone) -> None:
        del tone
        self.append(words)


@pytest.fixture
def fleet(tmp_path: Path) -> FakeFleet:
    return FakeFleet(lambda key: str(tmp_path / f"run-{key}"))


@pytest.fixture
def actions(runs: Path, fleet: FakeFleet) -> RunActions:
    return RunActions(RunManager(runs, fleet), Choices(load_preset("2")))


def training(actions: RunActions, fleet: FakeFleet, last: int = 5) -> None:
    actions.start_preset("2")
    fleet.last.play(last)
    actions.manager.collect()


def test_a_preset_whose_heads_do_not_fit_the_recipe_says_so_and_starts_nothing(
    runs: Path, fleet: FakeFleet
) -> None:
    whole = load_preset("2")
    odd = msgspec.structs.replace(whole, key="odd", model=msgspec.structs.replace(whole.model, n_heads=32))
    actions = RunActions(RunManager(runs, fleet), Choices(odd))
    assert not actions.needs_english("odd")
    said = actions.start_preset("odd")
    assert said.tone == "error" and "even number of columns" in said.words
    assert not actions.manager.handles


def test_digits_point_and_two_soon_after_each_other_are_one_number(monkeypatch: pytest.MonkeyPatch) -> None:
    heard, pointed, now = Heard(), list[str](), [0.0]
    monkeypatch.setattr("femtotui.train.preset_list.time.monotonic", lambda: now[0])
    number = PresetNumber(lambda: [preset.key for preset in list_presets()], pointed.append, heard.say)
    for digit, after_s in (("1", 0.1), ("4", 5.0), ("1", 5.0), ("4", 0.1), ("9", 0.1)):
        number.type(digit)
        now[0] += after_s
    assert pointed == ["1", "14", "1", "4", "9"] and heard == []
    number.type("0")
    assert heard[-1] == "there is no preset 0"


class English:
    """An EnglishDownload whose question is answered as the test says."""

    def __init__(self, actions: RunActions, answer: Answer) -> None:
        self.heard, self.trained = Heard(), list[str]()
        self.asked, self.reopened = list[str](), list[tuple[str, str]]()

        async def ask(question: EnglishQuestion) -> Answer:
            self.asked.append(question.question_title)
            return answer

        self.download = EnglishDownload(
            actions,
            ask=ask,
            train=self.trained.append,
            reopen=lambda key, trouble: self.reopened.append((key, trouble)),
            call_later=lambda callback, *arguments: callback(*arguments),
            say=self.heard.say,
        )


@pytest.fixture
def no_english(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Downloads that were started, none of which does anything."""
    started: list[str] = []
    monkeypatch.setattr(choices_module, "english_is_cached", lambda: False)
    thread = SimpleNamespace(start=lambda: started.append("one"))
    monkeypatch.setattr(download_module, "Thread", lambda **_: thread)
    return started


@pytest.mark.usefixtures("no_english")
async def test_other_presets_start_without_a_question(actions: RunActions) -> None:
    english = English(actions, "cancel")
    await english.download.open("2")
    assert english.trained == ["2"] and english.asked == []


@pytest.mark.usefixtures("no_english")
async def test_the_answer_decides_whether_the_preset_trains(actions: RunActions) -> None:
    english = English(actions, "stand-in")
    await english.download.open("12")
    assert english.trained == ["12"] and english.asked[0].startswith("#12 ")
    english = English(actions, "cancel")
    await english.download.open("12")
    assert english.trained == [] and english.heard == ["nothing has changed"]


async def test_one_download_serves_the_preset_that_was_wanted_last(
    actions: RunActions, no_english: list[str]
) -> None:
    english = English(actions, "download")
    await english.download.open("11")
    await english.download.open("12")
    assert no_english == ["one"] and english.trained == []
    english.download.moved(500_000, 1_000_000)
    assert english.heard[-1] == "downloading the English text: 50% of 1.0 MB"
    english.download.ended("no network")
    assert english.reopened == [("12", "no network")]


@pytest.mark.usefixtures("no_english")
async def test_a_download_that_nobody_waits_for_any_more_only_reports(actions: RunActions) -> None:
    english = English(actions, "download")
    await english.download.open("11")
    await english.download.open("2")
    english.download.ended("")
    assert english.reopened == [] and english.heard[-1] == "the English text is here: 11 trains on it"


def test_overlays_are_toggled_and_limited(actions: RunActions, runs: Path) -> None:
    for _ in range(MAX_OVERLAYS + 1):
        make_run(runs, "10", 3)
    drawn: list[list[str]] = []
    overlays = Overlays(
        actions.manager, lambda found: drawn.append([overlay.key for overlay in found]), Heard().say
    )
    *rows, one_too_many = read_rows(runs)
    messages = [overlays.toggle(row).words for row in rows]
    assert all("is on the chart too" in words for words in messages)
    assert drawn[-1] == list(overlays.names) == [row.path.name for row in rows]
    assert "no more than" in overlays.toggle(one_too_many).words
    assert "off the chart" in overlays.toggle(rows[0]).words and overlays.rows == tuple(rows[1:])
    assert overlays.toggle_newest().words == "only this run is on the chart" and drawn[-1] == []


def test_the_newest_run_of_the_same_preset_is_overlaid(
    actions: RunActions, runs: Path, fleet: FakeFleet
) -> None:
    overlays = Overlays(actions.manager, lambda _: None, Heard().say)
    assert overlays.toggle_newest().words == "there is no other run yet"
    same, _ = make_run(runs, "2", 3), make_run(runs, "10", 3)
    training(actions, fleet)
    overlays.toggle_newest()
    assert overlays.names == (same.name,)


def test_a_damaged_run_is_not_overlaid(actions: RunActions, runs: Path) -> None:
    (make_run(runs) / "run.json").write_text("{")
    overlays = Overlays(actions.manager, lambda _: None, Heard().say)
    assert "is damaged" in overlays.toggle(read_rows(runs)[0]).words and overlays.rows == ()


def test_the_run_list_is_read_only_when_a_run_has_changed(
    actions: RunActions, runs: Path, fleet: FakeFleet
) -> None:
    shown: list[Rows] = []
    updater = RunListUpdater(actions.manager, lambda read, use: use(read()), shown.append)
    updater.update()
    assert shown == []
    make_run(runs, "10", 3)
    training(actions, fleet)
    updater.update()
    updater.update()
    assert [len(rows) for rows in shown] == [1] and updater.rows == shown[0]
    updater.reload()
    assert len(shown) == 2


def test_marks_show_a_run_that_is_being_saved_as_parked(
    actions: RunActions, runs: Path, fleet: FakeFleet
) -> None:
    shown: list[tuple[dict[str, Status], Verdicts]] = []
    marks = PresetMarks(
        actions.manager, lambda read, use: use(read()), lambda *both: shown.append((both[0], both[1]))
    )
    trial_on_disk(Choices(load_preset("10")).config("10"), runs, share=0.5)
    training(actions, fleet)
    marks.read_verdicts()
    assert shown[-1][0] == {"2": Status.TRAINING}
    actions.manager.current = None
    marks.update()
    assert shown[-1][0] == {"2": Status.PARKED}


async def test_an_edited_preset_is_saved_and_trained_as_the_answer_says(actions: RunActions) -> None:
    done, changed = list[str](), list[str]()
    mine = msgspec.structs.replace(load_preset("10"), key="mine")

    def do(action: Callable[[], StatusMessage]) -> bool:
        try:
            done.append(action().words)
        except FemtoError as error:
            done.append(str(error))
            return False
        return True

    async def answered(answer: EditAnswer | None) -> None:
        async def ask(_screen: EditScreen) -> EditAnswer | None:
            return answer

        if key := await edit_preset(load_preset("10"), actions, ask, do):
            changed.append(key)

    await answered(None)
    assert done == [] and changed == []
    await answered(EditAnswer(mine, "save-train"))
    assert done == ["there is no folder to keep presets in"] and changed == []
    await answered(EditAnswer(mine, "train"))
    assert "a new run" in done[-1] and changed == ["mine"]


def test_news_reports_changes_and_the_checkpoint_that_was_asked_for(
    actions: RunActions, fleet: FakeFleet
) -> None:
    training(actions, fleet)
    assert actions.current is not None
    state, news = actions.current.state, RunNews()
    assert news.update(state) == [] and news.status_of(state) is Status.TRAINING
    state.set_status(Status.PAUSED)
    assert news.update(state)[0].words.startswith("paused at step 5; the run is saved")
    state.set_status(Status.TRAINING)
    assert [message.words for message in news.update(state)] == ["resumed"]
    news.expect_checkpoint()
    assert news.update(state) == []
    state.checkpoint_step = 5
    assert [message.words for message in news.update(state)] == ["step 5 is saved"]
    assert news.update(state) == []


class FakePane:
    """Notes what it is asked to sample from."""

    def __init__(self, actions: RunActions) -> None:
        self._actions = actions
        self.is_read, self.is_drawing, self.can_show = False, False, True
        self.sampled: list[tuple[object, bool]] = []
        self.cleared = 0

    def clear(self) -> None:
        self.cleared += 1

    def sample(self, *, asked: bool) -> None:
        handle = self._actions.current
        assert handle is not None
        self.sampled.append((handle.snapshot, asked))


def test_samples_are_drawn_once_per_snapshot_and_not_under_the_cursor(
    actions: RunActions, fleet: FakeFleet
) -> None:
    pane = FakePane(actions)
    samples = LiveSamples(actions.manager, cast("SamplePane", pane))
    message = samples.ask()
    assert message is not None and message.words == "nothing to sample from yet"
    training(actions, fleet)
    handle = actions.current
    assert handle is not None
    samples.update(handle)
    assert pane.cleared == 1 and any(isinstance(command, Snapshot) for command in fleet.last.commands)
    handle.snapshot = cast("SnapshotArrived", object())
    samples.update(handle)
    samples.update(handle)
    assert pane.sampled == [(handle.snapshot, False)]
    pane.is_read, handle.snapshot = True, cast("SnapshotArrived", object())
    samples.update(handle)
    assert len(pane.sampled) == 1
    assert samples.ask() is None and pane.sampled[-1] == (handle.snapshot, True)


async def test_the_current_run_pauses_only_for_an_experiment_that_trains(
    actions: RunActions, fleet: FakeFleet
) -> None:
    training(actions, fleet)
    screens: list[ExperimentScreen] = []

    async def show(screen: ExperimentScreen) -> None:
        screens.append(screen)
        if len(screens) == 2:
            screen._pause_current()

    heard = Heard()
    experiments = OpenExperiments(actions, BRAILLE, show, heard.say)
    preset = load_preset("10")
    await experiments.race(preset)
    assert not any(isinstance(command, Pause | Resume) for command in fleet.last.commands)
    await experiments.race(preset)
    assert isinstance(fleet.last.commands[-2], Pause) and isinstance(fleet.last.commands[-1], Resume)
    assert screens[0]._runner is screens[1]._runner
    assert experiments.newest_sweep() is None and "femtotui sweep --help" in heard[-1]
    experiments.close()


async def test_a_preset_with_nothing_to_race_against_is_refused(actions: RunActions) -> None:
    async def show(screen: ExperimentScreen) -> None:
        raise AssertionError(screen)

    bare = msgspec.structs.replace(load_preset("10"), goal=None, journal=None)
    heard = Heard()
    await OpenExperiments(actions, BRAILLE, show, heard.say).race(bare)
    assert "nothing to race against" in heard[-1]
