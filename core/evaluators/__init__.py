"""Verdicts by measure, not by eye: an evaluator asks a model to do what its data is about.

Reading order: evaluator (what all of them are), words, sums, text, ngrams.
"""

from .evaluator import Evaluator, drawn_bytes
from .sums import SumsEvaluator
from .text import TextEvaluator
from .words import WordsEvaluator

__all__ = ["Evaluator", "SumsEvaluator", "TextEvaluator", "WordsEvaluator", "drawn_bytes"]
