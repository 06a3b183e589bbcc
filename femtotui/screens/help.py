"""Help: the keys, and what the panels mean."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

_KEYS = (
    ("space", "pause, and go on; a pause saves the run"),
    ("n", "a new run of this preset, with a new seed"),
    ("↑ ↓ enter", "choose a preset; 1 to 12 choose at once"),
    ("s", "type a prompt; enter samples, escape leaves"),
    ("c", "save a checkpoint now"),
    ("r", "after a failure: resume from the last checkpoint"),
    ("p", "show or hide the presets"),
    ("l   x", "loss on a logarithmic axis; steps or time"),
    ("+   -", "smooth the curve more or less"),
    ("tab", "move on: presets, chart, tokens, prompt"),
    ("ctrl+p", "all commands, themes among them"),
    ("q  ctrl+c", "save and leave"),
)
_PANELS = (
    ("step", "batches learnt from, of how many in all"),
    ("loss", "how surprised the model is by the next token, in nats: the mean of the last 20 steps. Lower is "
     "better. val is the same on text it never trains on"),
    ("elapsed", "time spent training, and what is left at the recent pace; pauses do not count"),
    ("RAM", "trainer and app together, and the most it was"),
    ("speed", "milliseconds a step and tokens a second, over the last 50 steps"),
    ("chart", "named lines say what a loss means: ln V knows nothing, unigram and bigram only count tokens "
     "and pairs, the floor knows every rule. The mark is where the journal's own run ended"),
    ("sample", "what the model writes. A token's colour is its probability; walk through the tokens with the "
     "arrows to see what else was likely. An empty prompt is a newline; \\n and \\t work"),
    ("presets", "left of the key: ‖ parked, ● this session's run; right of the size: the journal's verdict"),
)  # fmt: skip


def help_text(rows: tuple[tuple[str, str], ...], width: int) -> Content:
    """Two columns: what, and what about it, wrapped under itself."""
    lines: list[Content] = []
    for name, meaning in rows:
        wrapped = Content(meaning).wrap(max(16, width - 12))
        for number, line in enumerate(wrapped):
            lines.append(Content.assemble((f"{name if number == 0 else '':<12}", "bold $text-accent"), line))
    return Content("\n").join(lines)


class HelpScreen(ModalScreen[None]):
    """Any of the keys that opened it closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,enter,space", "dismiss", "Close"),
        Binding("q", "app.quit", "Quit", show=False),
    ]

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help") as box:
            box.border_title = "help"
            box.border_subtitle = "escape closes"
            yield Static(Content.styled("keys", "bold underline"))
            yield Static(id="help-keys")
            yield Static(Content.styled("\nwhat you see", "bold underline"))
            yield Static(id="help-panels")

    def on_mount(self) -> None:
        self.query_one("#help").focus()

    def on_resize(self) -> None:
        self.call_after_refresh(self._fill)

    def _fill(self) -> None:
        width = self.query_one("#help-keys").content_size.width
        self.query_one("#help-keys", Static).update(help_text(_KEYS, width))
        self.query_one("#help-panels", Static).update(help_text(_PANELS, width))
