"""Models that screens read from: the one that trains, as its parameters were at a step, or a saved one."""

from __future__ import annotations

import threading
from pathlib import Path

from femtotui.core.config import RunConfig
from femtotui.core.files import open_own
from femtotui.core.sample import Sampler
from femtotui.core.saved import SavedModel
from femtotui.core.tokenizer import load_tokenizer

from .trainer import SnapshotArrived


class LiveModel:
    """A run's parameters at a step; folding them into a sampler is done once, when it is first asked for."""

    def __init__(self, run: Path, config: RunConfig, snapshot: SnapshotArrived) -> None:
        self.run, self.config, self.snapshot = run, config, snapshot
        self._lock = threading.Lock()
        self._sampler: Sampler | None = None

    @property
    def name(self) -> str:
        return f"#{self.config.preset} {self.config.title}, step {self.snapshot.step:,}"

    def sampler(self) -> Sampler:
        """One for the caller alone, from any thread.

        Raises: FemtoError; OSError if the run's tokenizer cannot be read.
        """
        with self._lock:
            if self._sampler is None:
                with open(self.run / "tokenizer.json", encoding="utf-8", opener=open_own) as file:
                    tokenizer = load_tokenizer(file.read())
                recipe, parameters_P = self.config.recipe, self.snapshot.parameters_P
                self._sampler = Sampler(self.config.model, recipe, parameters_P, tokenizer)
            return self._sampler.sibling()


class PinnedModel:
    """A saved model in the place of the live one: it stays what it is while the training goes on."""

    def __init__(self, saved: SavedModel) -> None:
        self._saved = saved

    @property
    def name(self) -> str:
        return self._saved.name

    def sampler(self) -> Sampler:
        """One for the caller alone, from any thread."""
        return self._saved.sampler.sibling()


class NewestModel:
    """The newest parameters that anybody asked for, folded once for all who read from them."""

    def __init__(self) -> None:
        self._model: LiveModel | None = None

    def of(self, run: Path, config: RunConfig, snapshot: SnapshotArrived) -> LiveModel:
        """The same model again as long as the parameters are the same."""
        if self._model is None or self._model.snapshot is not snapshot:
            self._model = LiveModel(run, config, snapshot)
        return self._model
