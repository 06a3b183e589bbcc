"""What a person can ask of the desk, and the words that answer. No Textual in here."""

from __future__ import annotations

from dataclasses import dataclass

from .choices import Choices, wants_english
from .desk import Desk, Place
from .run_view import Status
from .tones import Tone


@dataclass(frozen=True)
class News:
    """One line for the status line."""

    words: str
    tone: Tone = "plain"


_AT_REST = {Status.FINISHED, Status.FAILED}


class Helm:
    """Turns wishes into what the desk does. Raises FemtoError children for settings that cannot be."""

    def __init__(self, desk: Desk, choices: Choices) -> None:
        self.desk, self.choices = desk, choices

    @property
    def current(self) -> Place | None:
        return self.desk.current

    def must_ask(self, key: str) -> bool:
        """Whether a download has to be decided on before this preset can start."""
        return key not in self.desk.places and wants_english(self.choices.config(key))

    def choose(self, key: str) -> News:
        """Train a preset: start it, or continue what this session has of it."""
        place = self.desk.places.get(key)
        if place is None or (place.view.status is Status.FAILED and not place.view.can_recover):
            return self._begin(key, None)
        name = _name(place)
        if place.view.status in _AT_REST:
            self.desk.show(key)
            failed = place.view.status is Status.FAILED
            return News(
                f"{name} failed: r resumes, n starts anew"
                if failed
                else f"{name} has finished: n starts anew"
            )
        if place is self.current:
            return News(f"{name} is the one that trains now")
        self.desk.go_on(key)
        return News(f"{name} goes on with its parked run from step {place.view.step:,}", "good")

    def _begin(self, key: str, seed: int | None) -> News:
        before = self.current
        config = self.choices.config(key, seed=seed)
        parked = before is not None and before.link is not None and before.view.status not in _AT_REST
        self.desk.begin(config)
        saved = f" · {_name(before)} is saved" if before is not None and parked else ""
        return News(f"#{key} {config.title}: a new run, seed {config.train.seed}{saved}", "good")

    def anew(self) -> News:
        """Start the current preset again with the next seed; what trained is saved."""
        if self.current is None:
            return News("choose a preset first", "warning")
        return self._begin(self.current.config.preset, self.current.config.train.seed + 1)

    def recover(self) -> News:
        """Resume a failed run from its last checkpoint."""
        place = self.current
        if place is None or place.view.status is not Status.FAILED:
            return News("nothing to resume: the run has not failed")
        if not place.view.can_recover:
            return News("this run was never saved: n starts anew", "warning")
        self.desk.go_on(place.config.preset)
        return News(f"{_name(place)} resumes from its last checkpoint", "good")

    def pause(self) -> News:
        """Pause the current run."""
        place = self.current
        if place is None or place.view.status is not Status.TRAINING or not self.desk.pause():
            return News("nothing to pause: no training is running")
        return News("pausing…")

    def resume(self) -> News:
        """Go on after a pause."""
        place = self.current
        if place is None or place.view.status is not Status.PAUSED or not self.desk.resume():
            return News("nothing to go on with: no training is paused")
        return News("going on", "good")

    def checkpoint(self) -> News:
        """Save the current run now."""
        place = self.current
        if (
            place is None
            or place.view.status not in {Status.TRAINING, Status.PAUSED}
            or not self.desk.checkpoint()
        ):
            return News("nothing to save: no training is running")
        return News("saving a checkpoint…")


def _name(place: Place) -> str:
    return f"#{place.config.preset} {place.config.title}"
