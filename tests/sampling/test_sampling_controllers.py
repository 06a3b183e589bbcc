"""The controllers of the Sample screen without an app: reader, time-lapse player, pace, scored text."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from test_branches import token

from femtotui.core.sampling.distribution import Distribution, SampledToken, Sampling
from femtotui.core.tokenizers import ByteTokenizer, CharTokenizer
from femtotui.runs.state import Status
from femtotui.sampling.branches import Branches
from femtotui.sampling.fields import SampleRequest
from femtotui.sampling.models import (
    LEAVE_OUT_HINT,
    ModelOpened,
    ModelReader,
    NewestModel,
    SampleGrew,
    TextRead,
)
from femtotui.sampling.stream import Pace
from femtotui.sampling.timelapse import SampleSetup, Timelapse, TimelapsePlayer
from femtotui.tokens.scoring import ScoredText

REQUEST = SampleRequest(5, Sampling())


class FakeSampler:
    """Continues with the letters of the alphabet; every token has a surprise of `bits`."""

    def __init__(self, bits: float = 1.0, alphabet: str = "") -> None:
        self.bits = bits
        self.tokenizer = CharTokenizer(alphabet) if alphabet else ByteTokenizer()

    def sibling(self) -> FakeSampler:
        return self

    def encode(self, prompt: bytes) -> list[int]:
        return list(prompt)

    def _tokens(self, ids: Any, sampling: Sampling) -> list[SampledToken]:
        place = Distribution(np.zeros(256, np.float32), sampling, [bytes([i]) for i in range(256)])
        return [SampledToken(i, bytes([i]), 0.5, 0.5, 1, self.bits, 8.0, place) for i in ids]

    def continue_from(self, _prompt: Any, after: Any, n_tokens: int, sampling: Sampling) -> Any:
        return iter(self._tokens(range(97 + len(after), 97 + len(after) + n_tokens), sampling))

    def score(self, _prompt: bytes, text: bytes, sampling: Sampling) -> Any:
        return self._tokens(text, sampling)

    def score_ids(self, _prompt: Any, ids: Any, sampling: Sampling) -> Any:
        return self._tokens(ids, sampling)


def model(**sampler: Any) -> Any:
    return SimpleNamespace(name="a model", sampler=FakeSampler(**sampler))


class Reading:
    """A reader with a fake model, and what it posts."""

    def __init__(self, path: Path, **sampler: Any) -> None:
        self.posted: list[Any] = []
        self.arrived = threading.Event()
        actions: Any = SimpleNamespace(current=None, status=None, manager=SimpleNamespace(runs=path))
        self.reader = ModelReader(actions, NewestModel(), self._post)
        self.reader.model = model(**sampler)

    def _post(self, message: Any) -> None:
        self.posted.append(message)
        if not isinstance(message, SampleGrew) or message.piece.done:
            self.arrived.set()

    def wait(self) -> Any:
        assert self.arrived.wait(30)
        self.arrived.clear()
        return self.posted[-1]


def test_a_sample_is_written_up_to_its_length_after_the_tokens_before_it(tmp_path: Path) -> None:
    it = Reading(tmp_path)
    it.reader.write(b"\n", [97, 98], REQUEST)
    assert it.wait().number == it.reader.sample_number
    tokens = [token for message in it.posted for token in message.piece.tokens]
    assert b"".join(token.bytes for token in tokens) == b"cde"
    it.reader.write(b"\n", [97] * 5, REQUEST)
    assert it.posted[-1].number != it.reader.sample_number, "nothing is left to write"


def test_what_the_tokenizer_lacks_is_named_with_the_key_that_leaves_it_out(tmp_path: Path) -> None:
    it = Reading(tmp_path, alphabet="ab")
    it.reader.write(b"aX", [], REQUEST)
    assert LEAVE_OUT_HINT in it.wait().piece.failure
    it.reader.read(b"a", b"bY", REQUEST.sampling)
    assert "'Y'" in it.wait().failure
    assert it.reader.writable("aXbY") == "ab"


def test_another_model_scores_the_same_tokens_and_an_older_reading_no_longer_counts(tmp_path: Path) -> None:
    it = Reading(tmp_path, bits=1.0)
    own = it.reader.model
    assert not it.reader.compare_with(model(bits=3.0)), "the first of the two is the same as before"
    it.reader.read(b"", b"xy", REQUEST.sampling)
    read: TextRead = it.wait()
    assert read.number == it.reader.text_number and read.text.differences == (2.0, 2.0)
    assert read.text.figures == "1.000 bits per byte, beside 3.000"
    it.reader.compare_with(None)
    assert read.number != it.reader.text_number and it.reader.model is own
    it.reader.compare_with(model(alphabet="xy"))
    it.reader.read(b"", b"xy", REQUEST.sampling)
    assert "splits text into other tokens" in it.wait().failure


def test_a_model_that_is_not_there_is_a_failure_in_words(tmp_path: Path) -> None:
    it = Reading(tmp_path)
    it.reader.open_models("nothing")
    opened: ModelOpened = it.wait()
    assert opened.model is None and "nothing" in opened.failure


def lapse(*steps: int) -> TimelapsePlayer:
    player = TimelapsePlayer(Timelapse())
    for step in steps:
        player.timelapse.record(SampleSetup("run", b"\n", Sampling()), step, [token(b"a")])
    return player


def test_a_player_stays_on_the_newest_frame_and_on_no_other() -> None:
    player = lapse(10, 20, 30)
    player.move_to_newest()
    assert player.caption.startswith("step 30 · 3 of 3")
    player.timelapse.record(SampleSetup("run", b"\n", Sampling()), 40, [token(b"b")])
    assert player.follow() and not player.follow()
    assert player.caption.startswith("step 40 · 4 of 4") and player.text.tokens[0].id == 0
    player.move(-9)
    assert player.caption.startswith("step 10 · 1 of 4")
    player.timelapse.record(SampleSetup("run", b"\n", Sampling()), 50, [token(b"c")])
    assert not player.follow() and player.caption.startswith("step 10 · 1 of 5")


def test_a_player_survives_another_time_lapse_and_an_empty_one() -> None:
    player = lapse(10, 20, 30)
    player.move_to_newest()
    player.timelapse.record(SampleSetup("other", b"\n", Sampling()), 5, [token(b"a")])
    assert player.caption.startswith("step 5 · 1 of 1")
    assert TimelapsePlayer(Timelapse()).text == ScoredText()


def test_frames_can_be_due_every_so_many_steps() -> None:
    pace = Pace()
    run: Any = SimpleNamespace(step=1, status=Status.TRAINING, elapsed_s=0.1, parameters=100)
    assert pace.due(run, drawing=False), "a run's first steps"
    assert pace.set_every("0") and pace.set_every("ten") and not pace.set_every("50")
    due = []
    for run.step in (20, 49, 50, 70, 101):
        due.append(pace.due(run, drawing=False))
    assert due == [False, False, True, False, True]
    assert not pace.set_every("") and pace.every_steps == 0


@pytest.mark.parametrize("others", [(), (token(b"a"), token(b"b"))])
def test_a_scored_text_in_figures(others: tuple[SampledToken, ...]) -> None:
    text = ScoredText(b"p", (token(b"a"), token(b"b")), others)
    assert text.data == b"ab" and text.differences == (0.0,) * len(others)
    assert text.figures.startswith(
        "1.000 bits per byte, beside" if others else "1.000 bits per byte · perplexity 2"
    )
    shown = text.alternatives(0, Sampling(top_k=3))
    assert sum(entry.p_cut > 0 for entry in shown) == (len(shown) if others else 3)
    assert ScoredText().figures == "no tokens yet"


def test_branches_of_a_text_begin_with_its_tokens() -> None:
    branches = Branches(b"p", [token(b"a"), token(b"b")])
    branches.branch(1, token(b"x"))
    assert branches.text.data == b"ax" and branches.undo().tokens[1].bytes == b"b"
