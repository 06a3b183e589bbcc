"""The Weights screen: a heat map of any tensor of the current run, as of its newest snapshot."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from femtotui.core.model.parameters import named_tensors

from ..runs.actions import RunActions
from ..text.safe import one_line
from ..tokens.colours import shows_scales
from ..trainer.protocol import SnapshotArrived
from ..widgets import framed
from ..widgets.dialogs import InTurn
from ..widgets.help_screen import HelpScreen, Rows
from ..widgets.key_line import KeyLine
from .weights import HeatMap, TensorFigures, WeightsWalk

MAX_BINS = 24
_FACTS_HEIGHT = 8
_LAYERS, _KINDS = "the embedding, the layers, the output", "the kinds of tensors of a layer"
_hidden = partial(Binding, show=False)

MEANINGS: Rows = (
    ("weights", "One tensor of the model as a map: a row is an input, a column an output, blue above 0 and "
     "orange below. Its patterns are what the model has learnt: a new model is noise, and a stripe is a "
     "coordinate or a unit that many others use. Look for rows and columns that stand out, and for a "
     "spread that changes from layer to layer"),
    ("rows", "embedding: a row a token, a column a coordinate of the stream; head.weight is the other way "
     "round. Each attention head has own columns of queries, keys and values, and own rows of projection"),
    ("colours", "a scale alike on both sides of 0, which ends where a hundredth of the cells lies beyond; 7 "
     "where there are no colours. What is not finite any more is white, black in light themes, or a ?"),
)  # fmt: skip


@dataclass
class TensorDrawn(Message):
    """Picture `number`; posted from a background thread."""

    number: int
    heat_map: HeatMap
    figures: TensorFigures


class WeightsMap(Widget, can_focus=True):
    """A heat map, with the meaning of its colours in the last line."""

    DEFAULT_CSS = framed("WeightsMap", "width: 1fr; border-subtitle-color: $text-muted;")
    heat_map: HeatMap | None = None

    def show(self, heat_map: HeatMap) -> None:
        self.heat_map, self.border_subtitle = heat_map, heat_map.caption
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """A line of the map, or the legend below it."""
        (width, height), drawn = self.content_size, self.heat_map
        if drawn is None:
            return Strip.blank(width, self.rich_style)
        ground = self.background_colors[1] if shows_scales(self.app) else None
        strip = Strip(drawn.legend(ground) if y == height - 1 else drawn.line(y, ground))
        return strip.apply_style(self.rich_style).adjust_cell_length(width, self.rich_style)


class WeightsScreen(InTurn[None]):
    """The weights of the current run; they change while it trains."""

    DEFAULT_CSS = """
    WeightsScreen {
        #weights-head { height: 1; background: $panel; }
        #weights-figures { width: 34; height: 1fr; padding: 1 0 0 2; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move('layer', -1)", "layer", key_display="← →", tooltip=_LAYERS),
        _hidden("right", "move('layer', 1)", tooltip=_LAYERS),
        Binding("up", "move('kind', -1)", "kind", key_display="↑ ↓", tooltip=_KINDS),
        _hidden("down", "move('kind', 1)", tooltip=_KINDS),
        Binding("h", "move('head')", "head", tooltip="the next attention head alone; after the last, all"),
        Binding("question_mark", "help", "help", key_display="?", tooltip="this help"),
        Binding("escape,q,W", "dismiss", "back"),
    ]

    def __init__(self, actions: RunActions) -> None:
        super().__init__()
        self._actions = actions
        self._snapshot: SnapshotArrived | None = None
        self._walk: WeightsWalk | None = None
        self._model = ""
        self._number, self._lock = 0, threading.Lock()

    def compose(self) -> ComposeResult:
        yield Static(id="weights-head")
        with Horizontal():
            yield WeightsMap(id="weights-map")
            yield Static(id="weights-figures")
        yield KeyLine()

    def on_mount(self) -> None:
        waits = self._actions.manager.ask_snapshot()
        self._say("waiting for the parameters" if waits else "there are no parameters to show")
        self.tick()

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw)

    def on_unmount(self) -> None:
        self._number += 1

    def tick(self) -> None:
        """Show the newest parameters; the sample pane asks for them while the run trains."""
        run = self._actions.current
        if run is None or run.snapshot is None or run.snapshot is self._snapshot:
            return
        self._snapshot, config = run.snapshot, run.state.config
        self._model = f"#{config.preset} {config.title}, step {run.snapshot.step:,}"
        self._walk = self._walk or WeightsWalk(config.model.n_heads)
        self._walk.use(named_tensors(run.snapshot.parameters_P, config.model))
        self._draw()

    def _say(self, words: str) -> None:
        self.query_one("#weights-head", Static).update(Content(one_line(f" {words}", self.size.width)))

    def _draw(self) -> None:
        """Name the tensor at once, and draw it in a thread; of several requests, the newest."""
        walk, view = self._walk, self.query_one(WeightsMap)
        if walk is None:
            return
        self._number += 1
        self.refresh_bindings()
        self._say(f"{walk.words} · {self._model}")
        number, tensor, (width, height) = self._number, walk.tensor, view.content_size
        draw = partial(HeatMap.of, tensor, width, height - 1, in_colour=shows_scales(self.app))
        rest = self.query_one("#weights-figures").content_size.height - _FACTS_HEIGHT

        def work() -> None:
            with self._lock, suppress(RuntimeError):  # the app has just ended
                if number == self._number:
                    figures = TensorFigures.of(tensor, min(max(rest, 3), MAX_BINS))
                    self.post_message(TensorDrawn(number, draw(), figures))

        threading.Thread(target=work, name="weights", daemon=True).start()

    def on_tensor_drawn(self, message: TensorDrawn) -> None:
        if message.number == self._number:
            self.query_one(WeightsMap).show(message.heat_map)
            panel = self.query_one("#weights-figures", Static)
            panel.update(Content("\n".join(message.figures.lines(panel.content_size.width))))

    # -- keys ------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer heads only where there are any."""
        is_head = action == "move" and parameters[0] == "head"
        return not is_head or (self._walk is not None and self._walk.has_heads)

    def action_move(self, what: str, *by: int) -> None:
        if self._walk is not None:
            move: Callable[..., None] = getattr(self._walk, f"move_{what}")
            move(*by)
            self._draw()

    def action_help(self) -> None:
        self.app.push_screen(HelpScreen.for_screen(self, MEANINGS))
