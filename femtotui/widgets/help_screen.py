"""Help: the keys, and what the panels mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from .dialogs import ModalInTurn

Rows = tuple[tuple[str, str], ...]

_KEYS: Rows = (
    ("space", "pause, and go on; a pause saves the run"),
    ("n", "a new run of this preset, with a new seed"),
    ("↑ ↓ enter", "choose a preset; 1 to 14 choose at once, / finds one by typing"),
    ("e", "edit a preset, and keep it as your own"),
    ("u", "runs: compare, lay over the chart, rename, note, resume, delete"),
    ("v  w", "race the journal's recipe against ours on a preset; why more layers made it worse"),
    ("m", "watch the newest sweep beside this training"),
    ("o", "lay the run before over the chart, or take it off"),
    ("s", "the sampling screen: prompts, branches, texts of your own, time-lapse; it has its own help"),
    ("c", "save a checkpoint now"),
    ("r", "resume: after a failure, or what an earlier session left of this preset"),
    ("d", "detach: the training goes on, the app leaves; femtotui attach comes back"),
    ("j", "the journal entry of this run, with your note and the original entry"),
    ("p", "show or hide the presets"),
    ("g", "move to the chart; there: ← → read, ↑ ↓ zoom"),
    ("l  x  b", "loss on a logarithmic axis; steps or time; nats or bits a byte"),
    ("+   -", "smooth the curve more or less"),
    ("tab", "move on: presets, runs, chart, tokens, prompt"),
    ("S", "save a picture of the screen"),
    ("ctrl+p", "all commands, themes among them"),
    ("q  ctrl+c", "save and leave"),
)
_PANELS: Rows = (
    ("step", "batches learnt from, of how many in all"),
    ("loss", "how surprised the model is by the next token, in nats: the mean of the last 20 steps. Lower is "
     "better. val is the same on text it never trains on"),
    ("elapsed", "time spent training, and what is left at the recent pace; pauses do not count"),
    ("RAM", "trainer and app together, the most it was, and after ~ what was forecast; then what is free"),
    ("speed", "milliseconds a step and tokens a second, over the last 50 steps; the bars go back 240"),
    ("chart", "named lines say what a loss means: ln V knows nothing, unigram and bigram only count tokens "
     "and pairs, the floor knows every rule. The mark is where the journal's own run ended"),
    ("below it", "the verdict: whether the loss still falls, and how fast; how far it is from the floor; "
     "where the journal's run stood. A run that still falls was stopped too early"),
    ("sample", "what the model writes. A token's colour is its probability; walk through the tokens with the "
     "arrows to see what else was likely. An empty prompt is a newline; \\n and \\t work"),
    ("presets", "left of the key: ‖ parked, ● this session's run; right of the size: the journal's verdict, "
     "then ours, by what its runs can do"),
    ("runs", "the newest, with the loss on text never trained on: ● trains, ‖ can go on, ✓ finished, "
     "– never saved, ◆ laid over the chart"),
)  # fmt: skip
_CHART: Rows = (
    ("← →", "read a point: the line on top says what the curves are there; escape stops"),
    ("↑ ↓", "zoom in and out about the cursor, or about the newest steps; also z and Z, or the wheel"),
    ("shift+← →", "move to earlier and later steps; also , and . or drag with the mouse"),
    ("shift+↑ ↓", "zoom the losses"),
    ("home", "all of it again, following what comes; also a double click"),
    ("l  x  b", "logarithmic; steps or time; nats a token or bits a byte, in which runs with different "
     "tokenizers compare"),
    ("+ -", "smooth more, smooth less"),
    ("o  u", "lay the run before over it; choose runs to lay over it"),
)  # fmt: skip
_PRESETS: Rows = (
    ("↑ ↓", "point at a preset: the line below says what it would take"),
    ("enter", "train it; what trains now is saved and parked, and goes on when you come back"),
    ("/", "find by typing: title, data, tokenizer"),
    ("e", "edit the preset under the cursor and keep it as your own"),
    ("marks", "● trains or finished, ‖ parked, ! failed; ✓ ✗ the journal's verdict, then ours"),
)
_RUNS: Rows = (
    ("↑ ↓", "point at a run: the line below says how far it came"),
    ("enter", "lay its curve over the chart, or take it off"),
    ("u", "all runs: compare, rename, note, delete, resume"),
)
_TOPICS: dict[str, tuple[str, Rows]] = {
    "chart": ("the chart", _CHART),
    "presets": ("the presets", _PRESETS),
    "run-list": ("the runs", _RUNS),
}


def topic_of(focused: Widget | None) -> tuple[str, Rows] | None:
    """What to explain first, where the keys go to a panel that has some of its own."""
    return _TOPICS.get(focused.id or "") if focused is not None else None


def help_text(rows: Rows, width: int) -> list[Content]:
    """Lines in two columns: what, and what about it, wrapped under itself."""
    lines: list[Content] = []
    for name, meaning in rows:
        wrapped = Content(meaning).wrap(max(16, width - 12))
        for number, line in enumerate(wrapped):
            lines.append(Content.assemble((f"{name if number == 0 else '':<12}", "bold $text-accent"), line))
    return lines


class HelpText(Widget):
    """Rows under headings, wrapped as they are laid out: whoever asked should not wait for a second round."""

    DEFAULT_CSS = "HelpText { height: auto; }"

    def __init__(self, sections: Sequence[tuple[str, Rows]]) -> None:
        super().__init__(id="help-text")
        self._sections = sections
        self._wrapped: tuple[int, list[Content]] = (0, [])

    def _lines(self, width: int) -> list[Content]:
        if self._wrapped[0] != width:
            lines: list[Content] = []
            for heading, rows in self._sections:
                lines += [Content("")] if lines else []
                lines += [Content.styled(heading, "bold underline"), *help_text(rows, width)]
            self._wrapped = (width, lines)
        return self._wrapped[1]

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many lines as it takes at this width."""
        del container, viewport
        return len(self._lines(width))

    def render(self) -> Content:
        return Content("\n").join(self._lines(self.content_size.width))


class HelpScreen(ModalInTurn[None]):
    """Any of the keys that opened it closes it. Without rows of its own it is about training."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,enter,space", "dismiss", "Close"),
        Binding("q", "app.quit", "Quit", show=False),
    ]

    def __init__(self, keys: Rows = _KEYS, meanings: Rows = _PANELS, focused: Widget | None = None) -> None:
        super().__init__()
        topic = topic_of(focused)
        self._sections = [*([topic] if topic else []), ("keys", keys), ("what you see", meanings)]

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help") as box:
            box.border_title = "help"
            box.border_subtitle = "escape closes"
            yield HelpText(self._sections)

    def on_mount(self) -> None:
        self.query_one("#help").focus()
