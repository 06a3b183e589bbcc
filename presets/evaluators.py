"""Which evaluator goes with which text."""

from __future__ import annotations

from femtotui.core.config import DataConfig
from femtotui.core.evaluators import Evaluator, SumsEvaluator, TextEvaluator, WordsEvaluator
from femtotui.dummy_data import simple_dummy


def choose_evaluator(data: DataConfig) -> Evaluator:
    """The evaluator that judges what a model has learnt from this data."""
    match data.source:
        case "simple_dummy":
            return WordsEvaluator("simple_dummy", simple_dummy.broken_rules, tuple(simple_dummy.RULES))
        case "addition_dummy":
            return SumsEvaluator()
        case "english" | "rust" | "files":
            return TextEvaluator(data.source)
