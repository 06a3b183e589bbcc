"""Length, temperature, top-k, top-p and seed, as fields that say at once what cannot be."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input, Static, TextArea
from textual.widgets.text_area import Edit, EditResult

from femtotui.core.errors import ConfigError
from femtotui.core.run_folder.info import CHECKPOINT_SUFFIX, is_run
from femtotui.core.sampling.sampler import JOURNAL_SAMPLING, JOURNAL_TOKENS, Sampling

from ..text.safe import harmless

MOST_TOKENS = 2000
"""What a screen may ask for: each token keeps its whole distribution, for the reshaping."""


@dataclass(frozen=True)
class Asked:
    """What the fields say."""

    n_tokens: int
    sampling: Sampling


class SettingField(Input):
    """One number, as wide as it needs."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "sample"),
        Binding("escape", "screen.leave", "to the tokens"),
    ]


class SamplingFields(Horizontal):
    """A row of fields. `asked` is the last setting that could be; the journal's to begin with."""

    DEFAULT_CSS = """
    SamplingFields {
        height: 1;
        padding: 0 1;
        & > Static { width: auto; color: $text-muted; padding: 0 1 0 0; }
        & > SettingField { width: 7; margin-right: 1; }
        & > #field-seed { width: 1fr; max-width: 12; margin-right: 0; }
        & > SettingField.-invalid { color: $text-error; }
    }
    """
    _FIRST: ClassVar[dict[str, str]] = {
        "tokens": str(JOURNAL_TOKENS),
        "temperature": f"{JOURNAL_SAMPLING.temperature:g}",
        "top-k": str(JOURNAL_SAMPLING.top_k),
        "top-p": f"{JOURNAL_SAMPLING.top_p:g}",
        "seed": str(JOURNAL_SAMPLING.seed),
    }
    _STEPS: ClassVar[dict[str, tuple[float, float, float]]] = {
        "temperature": (0.1, 0.0, 100.0),
        "top-k": (1, 0, 65_536),
        "top-p": (0.05, 0.05, 1.0),
        "seed": (1, 0, 2**32 - 1),
    }

    @dataclass
    class Changed(Message):
        """Another setting; `trouble` says why it cannot be, and is empty if it can."""

        trouble: str

    def __init__(self) -> None:
        super().__init__(id="sampling-fields")
        self.asked = Asked(JOURNAL_TOKENS, JOURNAL_SAMPLING)
        self.trouble = ""

    def compose(self) -> ComposeResult:
        for name, value in self._FIRST.items():
            yield Static(name)
            yield SettingField(value, compact=True, id=f"field-{name}")

    def field(self, name: str) -> SettingField:
        """The field of a setting."""
        return self.query_one(f"#field-{name}", SettingField)

    def move(self, name: str, direction: int) -> None:
        """A step up or down, within what can be."""
        step, least, most = self._STEPS[name]
        try:
            value = float(self.field(name).value or 0)
        except ValueError:
            value = float(self._FIRST[name])
        moved = min(max(round((value + direction * step) / step) * step, least), most)
        self.field(name).value = f"{moved:.10g}"

    @on(Input.Changed)
    def _read(self, event: Input.Changed) -> None:
        event.stop()
        self.trouble = ""
        for name in self._FIRST:
            self.field(name).remove_class("-invalid")
        try:
            self.asked = self._parsed()
        except _FieldError as error:
            self.field(error.name).add_class("-invalid")
            self.trouble = str(error)
        self.post_message(self.Changed(self.trouble))

    def _parsed(self) -> Asked:
        n_tokens = self._whole("tokens")
        if not 1 <= n_tokens <= MOST_TOKENS:
            raise _FieldError("tokens", f"tokens must be from 1 to {MOST_TOKENS:,}, not {n_tokens:,}")
        temperature, top_k = self._real("temperature"), self._whole("top-k")
        top_p, seed = self._real("top-p"), self._whole("seed")
        self._check("temperature", lambda: Sampling(temperature=temperature))
        self._check("top-k", lambda: Sampling(top_k=top_k))
        self._check("top-p", lambda: Sampling(top_p=top_p))
        self._check("seed", lambda: Sampling(seed=seed))
        return Asked(n_tokens, Sampling(temperature=temperature, top_k=top_k, top_p=top_p, seed=seed))

    @staticmethod
    def _check(name: str, make: Callable[[], Sampling]) -> None:
        try:
            make()
        except ConfigError as error:
            raise _FieldError(name, str(error)) from error

    def _real(self, name: str) -> float:
        text = self.field(name).value.strip().replace(",", ".")
        try:
            return float(text or self._FIRST[name])
        except ValueError:
            raise _FieldError(name, f"{name} must be a number") from None

    def _whole(self, name: str) -> int:
        text = self.field(name).value.strip()
        try:
            return int(text or self._FIRST[name])
        except ValueError:
            raise _FieldError(name, f"{name} must be a whole number") from None


class _FieldError(Exception):
    def __init__(self, name: str, words: str) -> None:
        super().__init__(words)
        self.name = name


class Prompt(Input):
    """An Input that says what Enter and Escape do. Empty, it stands for the journal's own prompt."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "sample"),
        Binding("escape", "screen.leave", "back to the keys"),
    ]

    def __init__(self) -> None:
        super().__init__(placeholder="a newline, as in the journal", compact=True, id="prompt")


MOST_BYTES = 20_000
"""More than anybody reads in a terminal; files of any size are for `femtotui sample --score`."""


class UserText(TextArea):
    """A few lines of editor. What could hide, or move a terminal's cursor, is left out of it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "screen.leave", "to the tokens")]

    def __init__(self) -> None:
        super().__init__(
            id="own-text",
            compact=True,
            placeholder="type or paste a text: how surprised is the model, token by token?",
        )

    def edit(self, edit: Edit) -> EditResult:
        """Every change of the text comes through here."""
        edit.text = harmless(edit.text)
        room = MOST_BYTES - len(self.text.encode()) + len(self.get_text_range(edit.top, edit.bottom).encode())
        edit.text = edit.text.encode()[: max(room, 0)].decode(errors="ignore")
        return super().edit(edit)


AGAINST = " vs "
"""Stands between two saved models that are to be set beside each other."""


class ModelSuggester(Suggester):
    """Looks into the runs folder first, and at the disk for what begins as a path does."""

    def __init__(self, runs: Path) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._runs = runs

    async def get_suggestion(self, value: str) -> str | None:
        return completed_model(self._runs, value)


def completed_model(runs: Path, typed: str) -> str | None:
    """`typed` with its last name completed to the newest that begins so; None if there is none."""
    head, against, last = typed.rpartition(AGAINST)
    folder, slash, start = last.rpartition("/")
    if not last:
        return None
    with suppress(OSError, RuntimeError, ValueError):  # unreadable, `~nobody`, a zero byte
        for path in _newest_first(_folder_of(runs, folder + slash)):
            if path.name.startswith(start) and path.name.isprintable() and _may_lead_on(path):
                end = "/" if path.is_dir() and not is_run(path) else ""
                return f"{head}{against}{folder}{slash}{path.name}{end}"
    return None


def _folder_of(runs: Path, typed: str) -> Path:
    if typed.startswith((".", "~")):
        return Path(typed).expanduser()
    return runs / typed


def _newest_first(folder: Path) -> list[Path]:
    """Runs by the date in their names, checkpoints by their step."""
    return sorted(folder.iterdir(), key=lambda path: _order(path.name), reverse=True)


def _order(name: str) -> tuple[int, str]:
    return (len(name) if name.endswith(CHECKPOINT_SUFFIX) else 0), name


def _may_lead_on(path: Path) -> bool:
    return path.name.endswith(CHECKPOINT_SUFFIX) or (path.is_dir() and not path.name.startswith("."))
