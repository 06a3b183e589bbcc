"""Help of the Train screen: the meaning of its panels. Its keys are explained by their bindings."""

from __future__ import annotations

from ..widgets.help_screen import Rows

MEANINGS: Rows = (
    ("step", "batches trained on, and how many there will be"),
    ("loss", "the surprise of the next token, in nats: the mean of the last 20 steps. Lower is better. val "
     "is the same on text that is not trained on"),
    ("elapsed", "time spent training, and what is left at the recent rate; pauses do not count"),
    ("RAM", "the peak of trainer and app together, and after ~ the forecast; then what is free"),
    ("speed", "milliseconds per step and tokens per second, over the last 50 steps; the bars show 240"),
    ("chart", "named lines say what a loss means: ln V is random guessing, unigram and bigram only count "
     "tokens and pairs, the floor knows every rule. The mark is where the journal's own run ended"),
    ("below it", "the verdict: whether the loss still falls, and how fast; how far it is from the floor; "
     "where the journal's run ended. A run that still falls was stopped too early"),
    ("sample", "what the model writes. A token's colour is its probability; the arrows move through the "
     "tokens and show what else was likely. An empty prompt is a newline; \\n and \\t work"),
    ("presets", "↑ ↓ and enter choose one, so do the numbers 1 to 14. Left of the number: ‖ parked, ● this "
     "session's run; right of the size: the journal's verdict, then ours, from the runs' scores"),
    ("runs", "the newest, with the loss on text that is not trained on: ● trains, ‖ can be resumed, "
     "✓ finished, – never saved, ◆ laid over the chart"),
    ("detached", "training without the app: femtotui attach shows it again"),
)  # fmt: skip

TOPICS: dict[str, tuple[str, Rows]] = {
    "chart": ("the chart", (
        ("mouse", "the wheel zooms, dragging moves, a click reads a point, a double click shows all again"),
        ("bits", "bits per byte compare runs with different tokenizers"),
    )),
    "presets": ("the presets", (
        ("↑ ↓", "highlight a preset: the line below says what it needs"),
        ("enter", "train it; the current run is saved and parked, and resumed when you come back"),
        ("marks", "● trains or finished, ‖ parked, ! failed; ✓ ✗ the journal's verdict, then ours"),
    )),
    "run-list": ("the runs", (
        ("↑ ↓", "highlight a run: the line below says how far it got"),
        ("enter", "lay its curve over the chart, or remove it"),
    )),
}  # fmt: skip
