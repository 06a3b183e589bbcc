"""Messages about changes of the current run: a new status, and a checkpoint that the user asked for."""

from __future__ import annotations

from ..runs.actions import StatusMessage
from ..runs.state import RunState, Status
from ..runs.verdict import too_early_words


class RunNews:
    """Compares a run with what it was at the last update. A run that is new here is compared with nothing."""

    def __init__(self) -> None:
        self._state: RunState | None = None
        self._status: Status | None = None
        self._expected: tuple[RunState, int | None] | None = None

    def status_of(self, state: RunState) -> Status | None:
        """The status at the last update; None for another run."""
        return self._status if state is self._state else None

    def expect_checkpoint(self) -> None:
        """Report the next checkpoint of the run."""
        if self._state is not None:
            self._expected = (self._state, self._state.checkpoint_step)

    def update(self, state: RunState) -> list[StatusMessage]:
        """The messages since the last update."""
        before = self.status_of(state)
        self._state, self._status = state, state.status
        status = status_news(state, before) if state.status is not before else None
        messages = [status] if status is not None else []
        if self._expected is not None and self._expected != (state, state.checkpoint_step):
            if self._expected[0] is state:
                messages.append(StatusMessage(f"step {state.checkpoint_step or 0:,} is saved", "good"))
            self._expected = None
        return messages


def status_news(state: RunState, before: Status | None) -> StatusMessage | None:
    """A message about a run whose status was `before`, None if it was not looked at."""
    match state.status:
        case Status.PAUSED:
            early = too_early_words(state)
            words = f"paused at step {state.step:,}; the run is saved{early and ' · ' + early}"
            return StatusMessage(words, "warning")
        case Status.FINISHED if before is not None:
            return StatusMessage(f"finished after {state.step:,} steps; n starts a new run", "good")
        case Status.FAILED if before is not None and state.failure is not None:
            return StatusMessage(f"{state.failure.title} at step {state.step:,}", "error")
        case Status.TRAINING if before is Status.PAUSED:
            return StatusMessage("resumed", "good")
    return None
