"""Evaluators against models whose answers are known."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from small_training import small_config, small_training

from femtotui.core import evaluators as evaluator
from femtotui.core.config import DataConfig
from femtotui.core.evaluators import Sum, SumsEvaluator, TextEvaluator, WordsEvaluator, held_out_sums
from femtotui.core.events import ScoreDone
from femtotui.core.sampling.sampler import SampledToken, Sampler
from femtotui.core.training.baselines import ngram_losses
from femtotui.core.training.training import Training
from femtotui.dummy_data import simple_dummy
from femtotui.presets.load import choose_evaluator


class Writer:
    """A sampler that always says the same, and answers sums by a function."""

    def __init__(self, text: bytes = b"", answer=None) -> None:
        self._text, self._answer = text, answer

    def generate(self, prompt: bytes, n_tokens: int, _sampling: object) -> Iterator[SampledToken]:
        text = self._answer(prompt) if self._answer else self._text
        for byte in text[:n_tokens]:
            yield SampledToken(byte, bytes([byte]), 1.0, 1.0, 1, 0.0, 0.0, ())


@pytest.fixture
def training() -> Iterator[Training]:
    training = small_training(small_config())
    yield training
    training.close()


def judged(monkeypatch: pytest.MonkeyPatch, what, training: Training, writer: Writer) -> ScoreDone:
    monkeypatch.setattr("femtotui.core.evaluators.sampler_of", lambda _training: writer)
    *looks, score = what.examine(training, 1.0, thorough=True)
    assert looks
    assert set(looks) == {None}
    return score


def test_words_that_obey_and_words_that_do_not(monkeypatch: pytest.MonkeyPatch, training: Training) -> None:
    words = WordsEvaluator("simple_dummy", simple_dummy.broken_rules, tuple(simple_dummy.RULES))
    # Good, then: a letter twice, the first letter of one of the last three, no semicolon, and half a word.
    score = judged(monkeypatch, words, training, Writer(b"bacedi;\ndafa;\nbeko;\nhoku\ngif"))
    streams = score.details["words"] / 4
    assert score.score == 1 / 4
    assert score.verdict == "fail"
    assert score.details["broken.letter_twice"] == streams
    assert score.details["broken.recent_first_letter"] == streams
    assert score.details["broken.semicolon"] == streams
    assert "25.0% of" in score.summary


def test_the_data_itself_is_a_success(monkeypatch: pytest.MonkeyPatch, training: Training) -> None:
    text = simple_dummy.generate(3, 20).encode()
    score = judged(monkeypatch, choose_evaluator(DataConfig(source="simple_dummy")), training, Writer(text))
    assert (score.score, score.verdict) == (1.0, "success")


def test_sums_are_asked_once_each_and_grouped(monkeypatch: pytest.MonkeyPatch, training: Training) -> None:
    text = b"7 + 5 = 12;\n99 + 2 = 101;\n7 + 5 = 12;\n20 + 30 = 50;\n"
    monkeypatch.setattr(training, "source", type(training.source)("sums", text, text))

    def answer(prompt: bytes) -> bytes:
        return {b"\n7 + 5 =": b" 12;\n", b"\n99 + 2 =": b" 111;", b"\n20 + 30 =": b" 50;"}[prompt]

    score = judged(monkeypatch, SumsEvaluator(), training, Writer(answer=answer))
    assert score.score == pytest.approx(2 / 3)
    assert (score.details["right.sums"], score.details["asked.sums"]) == (2, 3)
    assert (score.details["right.2 carries"], score.details["asked.2 carries"]) == (0, 1)
    assert (score.details["right.2 digits"], score.details["asked.2 digits"]) == (2, 2)


def test_carries_and_digits_as_on_paper() -> None:
    assert [Sum(a, b).carries for a, b in ((0, 0), (7, 5), (95, 5), (20, 30), (99, 99))] == [0, 1, 2, 0, 2]
    assert [Sum(a, b).digits for a, b in ((0, 0), (7, 5), (95, 5))] == [1, 2, 3]
    assert held_out_sums(b"1 + 2 = 3;\nrubbish\n1 + 2 = 3;\n4 + 5 = 9;\n") == [Sum(1, 2), Sum(4, 5)]


def test_ngrams_agree_with_counting_by_hand() -> None:
    rng = np.random.default_rng(0)
    train = rng.integers(0, 3, 60).astype(np.int32)
    inputs, targets = (rng.integers(0, 4, (2, 5)).astype(np.int32) for _ in range(2))
    counts = [Counter(tuple(train[i : i + n]) for i in range(len(train) - n + 1)) for n in (1, 2, 3)]

    def p(n: int, context: tuple[int, ...], target: int) -> float:
        if n == 0:
            return 1 / 4
        # A context at the very end of the text was never followed by anything.
        times = {t: counts[n - 1][(*context, t)] for t in range(4)}
        total, kinds = sum(times.values()), sum(c > 0 for c in times.values())
        simpler = p(n - 1, context[1:], target)
        return (times[target] + kinds * simpler) / (total + kinds) if total else simpler

    nats = {1: 0.0, 2: 0.0, 3: 0.0}
    for row in range(2):
        for t in range(5):
            past = tuple(inputs[row, : t + 1])
            for n in nats:
                context = past[max(0, len(past) - (n - 1)) :] if n > 1 else ()
                nats[n] -= math.log(p(len(context) + 1, context, targets[row, t])) / 10
    found = ngram_losses(train, inputs, targets, 4)
    assert found.unigram == pytest.approx(nats[1])
    assert found.bigram == pytest.approx(nats[2])
    assert found.trigram == pytest.approx(nats[3])


def test_text_is_a_success_once_it_beats_a_trigram_model(training: Training) -> None:
    text = TextEvaluator("english")
    first = list(text.examine(training, 99.0, thorough=False))[-1]
    trigram = first.details["loss.trigram"]
    assert (first.verdict, first.unit) == ("fail", "bits a byte")
    assert first.details["loss.unigram"] > first.details["loss.bigram"] > trigram
    better = list(text.examine(training, trigram - 0.01, thorough=True))[-1]
    assert better.verdict == "success"
    assert better.score == pytest.approx((trigram - 0.01) / math.log(2) / training.batches.bytes_per_token)


def test_with_one_kind_of_token_no_loss_is_below_zero() -> None:
    ones = np.zeros((2, 5), np.int32)
    losses = ngram_losses(np.zeros(50, np.int32), ones, ones, 1)
    assert [f"{loss:.3f}" for loss in (losses.unigram, losses.bigram, losses.trigram)] == ["0.000"] * 3


def test_examining_changes_nothing(training: Training) -> None:
    before = training.parameters_P.tobytes()
    words = WordsEvaluator("simple_dummy", simple_dummy.broken_rules, tuple(simple_dummy.RULES))
    scores = [list(words.examine(training, 1.0, thorough=False))[-1] for _ in range(2)]
    assert scores[0] == scores[1]
    assert training.parameters_P.tobytes() == before
    assert isinstance(evaluator.sampler_of(training), Sampler)
