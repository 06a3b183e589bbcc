"""The samples of the run in training: when a snapshot is due, and which snapshot is sampled from."""

from __future__ import annotations

from ..runs.actions import StatusMessage
from ..runs.manager import RunHandle, RunManager
from ..runs.state import RunState
from ..sampling.sample_pane import SamplePane
from ..sampling.stream import Pace
from ..trainer.protocol import SnapshotArrived


class LiveSamples:
    """Asks the trainer for snapshots, and has the pane sample from them."""

    def __init__(self, manager: RunManager, pane: SamplePane) -> None:
        self._manager, self._pane = manager, pane
        self.pace = Pace()
        self._state: RunState | None = None
        self._sampled: SnapshotArrived | None = None
        self._asked = False

    def update(self, handle: RunHandle) -> None:
        """Sample from a new snapshot, and ask for the next when it is due."""
        pane = self._pane
        if handle.state is not self._state:
            self._state, self._sampled, self._asked = handle.state, None, False
            pane.clear()
        if handle.snapshot is not None and handle.snapshot is not self._sampled:
            self._sample(handle.snapshot, asked=self._asked)
        if pane.can_show and self.pace.due(handle.state, drawing=pane.is_drawing):
            self._manager.ask_snapshot()

    def ask(self) -> StatusMessage | None:
        """Sample as the user asked, now or from the next snapshot; a message says why it is impossible."""
        handle = self._manager.current
        if handle is None or handle.state.started is None:
            return StatusMessage("nothing to sample from yet")
        if handle.snapshot is not None:
            self._sample(handle.snapshot, asked=True)
        elif self._manager.ask_snapshot():
            self._asked = True
        else:
            return StatusMessage("this run left no parameters to sample from", "warning")
        return None

    def _sample(self, snapshot: SnapshotArrived, *, asked: bool) -> None:
        self._sampled = snapshot
        if asked or not self._pane.is_read:
            self._asked = False
            self._pane.sample(asked=asked)
