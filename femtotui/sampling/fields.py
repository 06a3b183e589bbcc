"""The fields of the sampling screen: prompt, sampler settings, the user's text, names of models."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeVar

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

MAX_TOKENS = 2000
"""Most tokens of a sample on the screen: each keeps its whole distribution, to be filtered again."""

MAX_TEXT_BYTES = 20_000
"""More than anybody reads in a terminal; files of any size are for `femtotui sample --score`."""

VERSUS = " vs "
"""Stands between two saved models that are to be compared."""

JOURNAL = "journal"
"""Stands in the field of top-p for femtoGPT's sampler."""

Number = TypeVar("Number", int, float)


class SettingField(Input):
    """A one-line field of a sample; Enter writes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "sample", tooltip="Write a new sample"),
        Binding("escape", "screen.leave", "leave the field", tooltip="Leave the field"),
    ]


class Prompt(SettingField):
    """The prompt of a sample. Empty, it stands for the journal's own prompt."""

    def __init__(self, value: str = "") -> None:
        super().__init__(value, placeholder="a newline, as in the journal", compact=True, id="prompt")


class UserText(TextArea):
    """A few lines of editor, without characters that could hide or move a terminal's cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "screen.leave", "to the tokens", tooltip="Leave the editor")
    ]

    def __init__(self) -> None:
        super().__init__(
            id="user-text",
            compact=True,
            placeholder="type or paste a text to see how surprised the model is, token by token",
        )

    def edit(self, edit: Edit) -> EditResult:
        """Filter and cut a change; every change of the text comes through here."""
        edit.text = harmless(edit.text)
        room = MAX_TEXT_BYTES - len(self.text.encode())
        room += len(self.get_text_range(edit.top, edit.bottom).encode())
        edit.text = edit.text.encode()[: max(room, 0)].decode(errors="ignore")
        return super().edit(edit)


# -- sampler settings ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class SampleRequest:
    """A number of tokens and the sampler settings for them."""

    n_tokens: int
    sampling: Sampling


class SamplingFields(Horizontal):
    """A row of fields for length, temperature, top-k, top-p and seed; invalid values are marked at once.

    Top-p may be the word `journal`, for femtoGPT's way of sampling (see `JOURNAL_SAMPLING`). `request`
    holds the last valid settings; at first they are the journal's.
    """

    _DEFAULTS: ClassVar[dict[str, str]] = {
        "tokens": str(JOURNAL_TOKENS),
        "temperature": f"{JOURNAL_SAMPLING.temperature:g}",
        "top-k": str(JOURNAL_SAMPLING.top_k),
        "top-p": JOURNAL,
        "seed": str(JOURNAL_SAMPLING.seed),
    }
    _STEPS: ClassVar[dict[str, tuple[float, float, float]]] = {
        "temperature": (0.1, 0.0, 100.0),
        "top-k": (1, 0, 65_536),
        "top-p": (0.05, 0.05, 1.0),
    }

    class Changed(Message):
        """A field was edited; the row's `problem` says what is invalid, if anything is."""

    def __init__(self) -> None:
        super().__init__(id="sampling-fields")
        self.request = SampleRequest(JOURNAL_TOKENS, JOURNAL_SAMPLING)
        self.problem = ""

    def compose(self) -> ComposeResult:
        for name, value in self._DEFAULTS.items():
            yield Static(name)
            yield SettingField(value, compact=True, id=f"field-{name}")

    def field(self, name: str) -> SettingField:
        return self.query_one(f"#field-{name}", SettingField)

    def move(self, name: str, direction: int) -> None:
        """Step a setting up or down, within its limits."""
        step, least, most = self._STEPS[name]
        try:
            value = float(self.field(name).value or 0)
        except ValueError:
            value = JOURNAL_SAMPLING.top_p if name == "top-p" else float(self._DEFAULTS[name])
        moved = min(max(round((value + direction * step) / step) * step, least), most)
        self.field(name).value = f"{moved:.10g}"

    @on(Input.Changed)
    def _read(self, event: Input.Changed) -> None:
        event.stop()
        self.problem = ""
        for name in self._DEFAULTS:
            self.field(name).remove_class("-invalid")
        try:
            self.request = self._parsed()
        except ConfigError as error:
            self.field(error.field).add_class("-invalid")
            self.problem = str(error)
        self.post_message(self.Changed())

    def _parsed(self) -> SampleRequest:
        """Raises: ConfigError for the first field that is invalid."""
        n_tokens = self._number("tokens", int)
        if not 1 <= n_tokens <= MAX_TOKENS:
            raise ConfigError(f"must be from 1 to {MAX_TOKENS:,}, not {n_tokens:,}", "tokens")
        temperature, top_k = self._number("temperature", float), self._number("top-k", int)
        trims = (self.field("top-p").value.strip().lower() or JOURNAL) == JOURNAL
        top_p = JOURNAL_SAMPLING.top_p if trims else self._number("top-p", float)
        sampling = Sampling(temperature, top_k, top_p, trims, self._number("seed", int))
        return SampleRequest(n_tokens, sampling)

    def _number(self, name: str, kind: type[Number]) -> Number:
        text = self.field(name).value.strip().replace(",", ".")
        try:
            return kind(text or self._DEFAULTS[name])
        except ValueError:
            raise ConfigError(f"must be {'a whole' if kind is int else 'a'} number", name) from None


# -- names of models -----------------------------------------------------------------------------------


class ModelSuggester(Suggester):
    """Completes names from the runs folder, and paths from the disk."""

    def __init__(self, runs: Path) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._runs = runs

    async def get_suggestion(self, value: str) -> str | None:
        return completed_model(self._runs, value)


def completed_model(runs: Path, typed: str) -> str | None:
    """`typed` with its last name completed to the newest run or checkpoint, None if there is none."""
    head, versus, last = typed.rpartition(VERSUS)
    folder, slash, start = last.rpartition("/")
    if not last:
        return None
    with suppress(OSError, RuntimeError, ValueError):  # unreadable, `~nobody`, a zero byte
        path = folder + slash
        searched = Path(path).expanduser() if path.startswith((".", "~")) else runs / path
        for found in sorted(searched.iterdir(), key=_age_order, reverse=True):
            if found.name.startswith(start) and found.name.isprintable() and _is_candidate(found):
                end = "/" if found.is_dir() and not is_run(found) else ""
                return f"{head}{versus}{path}{found.name}{end}"
    return None


def _age_order(path: Path) -> tuple[int, str]:
    """Runs by the date in their names, checkpoints by their step."""
    return (len(path.name) if path.name.endswith(CHECKPOINT_SUFFIX) else 0), path.name


def _is_candidate(path: Path) -> bool:
    return path.name.endswith(CHECKPOINT_SUFFIX) or (path.is_dir() and not path.name.startswith("."))
