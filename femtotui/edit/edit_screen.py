"""The Edit screen: a form that changes a preset, validates each field, and saves it as a user preset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.suggester import Suggester
from textual.widgets import Button, Input, Select, Static

from femtotui.presets import Preset

from ..text.safe import unwrapped
from ..widgets.dialogs import ModalInTurn
from .form import FIELDS, Field, completion, form_of, read_form

Wish = Literal["train", "save", "save-train"]


@dataclass(frozen=True)
class EditAnswer:
    """The edited preset, and what to do with it."""

    preset: Preset
    wish: Wish


class PathSuggester(Suggester):
    """Completes the path that is being typed."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        return completion(value)


class EditScreen(ModalInTurn[EditAnswer | None]):
    """Each change is validated at once; an invalid preset can be neither trained nor saved."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Cancel"),
        Binding("ctrl+s", "wish('save')", "Save", priority=True),
        Binding("ctrl+t", "wish('train')", "Train", priority=True),
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]

    def __init__(self, preset: Preset, forecast: Callable[[Preset], str]) -> None:
        super().__init__()
        self._preset, self._forecast = preset, forecast
        self._values = form_of(preset)

    def compose(self) -> ComposeResult:
        with Vertical(id="edit") as box:
            box.border_title = Content(f"edit #{self._preset.key} {unwrapped(self._preset.title)}")
            box.border_subtitle = "escape cancels"
            with VerticalScroll(id="edit-fields"):
                for field in FIELDS:
                    yield from self._row(field)
            yield Static(id="edit-forecast")
            with Horizontal(classes="dialog-buttons"):
                yield Button("Train", id="train", variant="primary", compact=True)
                yield Button("Save and train", id="save-train", compact=True)
                yield Button("Save", id="save", compact=True)
                yield Button("Cancel", id="cancel", compact=True)

    def _row(self, field: Field) -> ComposeResult:
        value = self._values[field.name]
        with Horizontal(classes="edit-row"):
            yield Static(field.label, classes="edit-label")
            if field.choices:
                options = [(choice, choice) for choice in field.choices]
                yield Select(options, value=value, allow_blank=False, compact=True, id=f"edit-{field.name}")
            else:
                suggester = PathSuggester() if field.name == "paths" else None
                yield Input(
                    value, placeholder=field.hint, compact=True, suggester=suggester, id=f"edit-{field.name}"
                )
        yield Static(id=f"problem-{field.name}", classes="edit-problem")

    def on_mount(self) -> None:
        self._check()
        self.query_one("#edit-n_layers").focus()

    @on(Input.Changed)
    @on(Select.Changed)
    def _changed(self, event: Input.Changed | Select.Changed) -> None:
        if event.control.id is not None:
            self._values[event.control.id.removeprefix("edit-")] = str(event.value)
            self._check()

    def _check(self) -> Preset | None:
        """Show the problem of each field, or the forecast of a valid preset."""
        preset, problems = read_form(self._values)
        for field in FIELDS:
            words = problems.get(field.name, "")
            problem = self.query_one(f"#problem-{field.name}", Static)
            problem.display = bool(words)
            problem.update(Content(unwrapped(words)))
            self.query_one(f"#edit-{field.name}").set_class(bool(words), "-wrong")
        forecast = self._forecast(preset) if preset is not None else "not yet: see the fields marked in red"
        self.query_one("#edit-forecast", Static).update(Content(forecast))
        return preset

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_wish("train")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        match event.button.id:
            case "train" | "save" | "save-train" as wish:
                self.action_wish(wish)
            case _:
                self.dismiss(None)

    def action_wish(self, wish: Wish) -> None:
        """Close with the preset, or focus the first invalid field."""
        preset = self._check()
        if preset is not None:
            self.dismiss(EditAnswer(preset, wish))
            return
        wrong = self.query(".-wrong").first()
        wrong.focus()
        wrong.scroll_visible()
        self.app.bell()
